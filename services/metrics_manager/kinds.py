"""ScrapeTarget: what is scraped besides the platform, which is scraped without being asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from crds.kind import Column, Kind, Resource
from crds.lent_rights import LentRight
from crds.meta import Spec, Status
from crds.model import Model, Timestamp
from services.sdk.urls import url_fault

LabelName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
LabelValue = Annotated[str, Field(max_length=1024)]
RESERVED = ("__name__", "namespace", "job", "instance")


class TargetAddress(Model):
    """One of `url` (outside this machine) and `service`: of that Service of the same namespace each instance is asked
    for `path`, at its own port. Either answers in the text format of Prometheus.
    """

    url: Annotated[str, Field(max_length=2048)] = ""
    service: Annotated[str, Field(max_length=253)] = ""
    path: Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=1024)] = "/metrics"

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if bool(self.url) == bool(self.service):
            raise ValueError("url, service: exactly one of them says what is scraped")
        if self.url and (fault := url_fault(self.url)):
            raise ValueError(f"url: {fault}")
        return self


class ScrapeTargetSpec(Spec):
    """`labels` are put on each series, besides `job` (the target's name), `instance` and `namespace`. `sampleLimit`:
    an answer with more is taken as none at all.
    """

    target: TargetAddress
    interval_seconds: Annotated[int, Field(ge=5, le=3600)] = 15
    timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 10
    sample_limit: Annotated[int, Field(ge=1, le=20_000)] = 5_000
    labels: dict[LabelName, LabelValue] = Field(default_factory=dict, max_length=16)
    enabled: bool = True

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if taken := sorted(set(self.labels) & set(RESERVED)):
            raise ValueError(f"labels: {', '.join(taken)} cannot be chosen")
        if self.timeout_seconds > self.interval_seconds:
            raise ValueError("timeoutSeconds: at most intervalSeconds")
        return self


class ScrapeTargetStatus(Status):
    """`samples`: of the last answer that was taken. `since`: when `phase` became what it is."""

    phase: str = ""
    samples: int = 0
    error: str = ""
    since: Timestamp | None = None


def _asks(spec: Mapping[str, Any]) -> list[LentRight]:
    """Whoever may not ask that Service has nobody else ask it."""
    target = spec.get("target")
    name = target.get("service") if isinstance(target, Mapping) else None
    return [LentRight("get", "services/proxy", str(name))] if name else []


class ScrapeTarget(Resource[ScrapeTargetSpec, ScrapeTargetStatus]):
    spec: ScrapeTargetSpec
    status: ScrapeTargetStatus = Field(default_factory=ScrapeTargetStatus)


SCRAPE_TARGET = Kind(
    name="ScrapeTarget",
    plural="scrapetargets",
    singular="scrapetarget",
    short_names=("st",),
    categories=("all",),
    model=ScrapeTarget,
    lends=_asks,
    description="An address, or a Service, whose metrics are read and kept.",
    columns=(
        Column("Name", "metadata.name"),
        Column("Phase", "status.phase"),
        Column("Samples", "status.samples", "integer"),
        Column("Interval", "spec.intervalSeconds", "integer", priority=1),
        Column("Error", "status.error", priority=1),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
