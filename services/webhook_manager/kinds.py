"""Kinds of this service: endpoints that messages are sent to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from crds.kind import Column, Kind, Resource
from crds.kinds.event import EVENT
from crds.lent_rights import LentRight
from crds.meta import Spec, Status
from crds.model import Model, Timestamp
from services.sdk.urls import url_fault

STANDARD_DELAYS = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: the schedule of Standard Webhooks."""
LONGEST_DELAY = 172_800
Format = Literal["StandardWebhooks", "CloudEventsStructured", "CloudEventsBinary"]
Pattern = Annotated[str, Field(min_length=1, max_length=128)]


class EventFilter(Model):
    """Which Kubernetes Events of its namespace go to an endpoint. Each list is of alternatives; an empty one asks
    nothing. `types`: `Normal`, `Warning`; `reasons`: as `kubectl get events` shows them; `kinds`: of what they are
    about.
    """

    types: list[Literal["Normal", "Warning"]] = Field(default_factory=list, max_length=2)
    reasons: list[Pattern] = Field(default_factory=list, max_length=64)
    kinds: list[Pattern] = Field(default_factory=list, max_length=64)


class WebhookEndpointSpec(Spec):
    """`url`: what is posted to. `enabled`: messages wait while it is false. `format`: how they are written.
    `types`: of messages that are sent to the whole namespace, those it wants: a type, or its beginning and `*`; an
    empty list wants all. `events`: Kubernetes Events that are sent to it. `concurrency`: messages under way at once.
    `ratePerSecond`: how many are begun at most. `timeoutSeconds`: how long an answer may take.
    `retryDelaySeconds`: between the attempts, one more than there are delays. `disableAfterDays`: of failing without
    one success; null for never. `retentionHours`: for how long messages that ended can be sent again.
    `secretVersion`: a higher one than before has another secret made; the one before signs along for
    `secretOverlapHours`.
    """

    url: Annotated[str, Field(min_length=1, max_length=2048)]
    description: Annotated[str, Field(max_length=512)] = ""
    enabled: bool = True
    format: Format = "StandardWebhooks"
    types: list[Pattern] = Field(default_factory=list, max_length=64)
    events: EventFilter | None = None
    concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    rate_per_second: Annotated[float, Field(ge=0.01, le=1000)] | None = None
    timeout_seconds: Annotated[int, Field(ge=1, le=30)] = 15
    retry_delay_seconds: list[Annotated[int, Field(ge=1, le=LONGEST_DELAY)]] = Field(
        default_factory=lambda: list(STANDARD_DELAYS), max_length=32
    )
    disable_after_days: Annotated[int, Field(ge=1, le=30)] | None = 5
    retention_hours: Annotated[int, Field(ge=1, le=720)] = 72
    secret_version: Annotated[int, Field(ge=1)] = 1
    secret_overlap_hours: Annotated[int, Field(ge=0, le=168)] = 24

    @model_validator(mode="after")
    def _can_be_sent_to(self) -> Self:
        if fault := url_fault(self.url):
            raise ValueError(f"url: {fault}")
        for each in self.types:
            if "*" in each[:-1]:
                raise ValueError(f"types: {each!r} may have a * at its end alone")
        return self


class WebhookEndpointStatus(Status):
    """`secretName`: the Secret whose `secret` signs, and `previous` until `secretOverlapHours` are over.
    `secretVersion`: of what signs; 0 where nothing does.
    `failingSince`: the first failure after which nothing was taken. `disabledAt`, `disabledBecause`: since when and
    why nothing is sent. How many messages wait is asked of the service: it moves on with every message.
    """

    phase: str = ""
    secret_name: str = ""
    secret_version: int = 0
    failing_since: Timestamp | None = None
    disabled_at: Timestamp | None = None
    disabled_because: str = ""


class WebhookEndpoint(Resource[WebhookEndpointSpec, WebhookEndpointStatus]):
    spec: WebhookEndpointSpec
    status: WebhookEndpointStatus = Field(default_factory=WebhookEndpointStatus)


def _host(endpoint: dict[str, Any]) -> str:
    """Of the address, what no token is in."""
    url = str((endpoint.get("spec") or {}).get("url") or "")
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.partition('/')[0].partition('?')[0]}"


def _reads(spec: Mapping[str, Any]) -> list[LentRight]:
    return [] if spec.get("events") is None else [LentRight("list", EVENT.plural, group=EVENT.group)]


WEBHOOK_ENDPOINT = Kind(
    name="WebhookEndpoint",
    plural="webhookendpoints",
    singular="webhookendpoint",
    short_names=("whe",),
    categories=("all",),
    model=WebhookEndpoint,
    lends=_reads,
    description="An address that messages are sent to, signed, until it takes them.",
    columns=(
        Column("Name", "metadata.name"),
        Column("Host", "spec.url", read=_host),
        Column("Phase", "status.phase"),
        Column("Format", "spec.format", priority=1),
        Column("Failing Since", "status.failingSince", "date"),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
