"""ResourceQuota and LimitRange: how much one namespace may hold, and how much one container (Kubernetes core/v1)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from crds.kind import Column, Kind, KubeObject, Resource
from crds.meta import Spec, Status
from crds.model import Model
from crds.names import subdomain_fault
from crds.quantity import parse_quantity

COMPUTE = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
_SHORT = {"cpu": "requests.cpu", "memory": "requests.memory"}
OBJECTS = {
    "services": "services.aerekos.cloud",
    "secrets": "secrets",
    "configmaps": "configmaps",
    "resourcequotas": "resourcequotas",
}
"""Resources that count objects, by the kind they count."""
PODS, NODE_PORTS, COUNT = "pods", "services.nodeports", "count/"
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def _amount(value: Any) -> Any:
    """Kubernetes takes plain numbers too."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _checked_amounts(amounts: dict[str, str] | None) -> dict[str, str] | None:
    for text in (amounts or {}).values():
        parse_quantity(text)
    return amounts


AmountMap = Annotated[dict[str, str], Field(default_factory=dict)]


class _WithAmounts(Model):
    @field_validator("*", mode="before")
    @classmethod
    def _numbers_are_amounts(cls, value: Any) -> Any:
        return {name: _amount(each) for name, each in value.items()} if isinstance(value, dict) else value


def canonical(resource: str) -> str:
    """`cpu` means `requests.cpu`."""
    return _SHORT.get(resource, resource)


def counted_kind(resource: str) -> str:
    """The kind (`plural.group`) whose objects that resource counts; empty when it counts none."""
    return OBJECTS.get(resource, resource.removeprefix(COUNT) if resource.startswith(COUNT) else "")


def _resource_fault(resource: str) -> str:
    known = (*COMPUTE, *_SHORT, *OBJECTS, PODS, NODE_PORTS)
    if resource in known:
        return ""
    if resource.startswith(COUNT):
        plural, _, group = counted_kind(resource).partition(".")
        fault = None if _LABEL.fullmatch(plural) else "must name a kind, as in count/services.aerekos.cloud"
        return fault or (group and subdomain_fault(group)) or ""
    return f"is no resource that can be limited here; use count/<plural>.<group>, {', '.join(known)}"


class ResourceQuotaSpec(_WithAmounts, Spec):
    """`hard`: the most of each resource, over everything in the namespace."""

    hard: AmountMap

    @field_validator("hard")
    @classmethod
    def _is_known(cls, hard: dict[str, str]) -> dict[str, str]:
        for name in hard:
            if fault := _resource_fault(name):
                raise ValueError(f"{name}: {fault}")
        return _checked_amounts(hard) or {}


class ResourceQuotaStatus(Status):
    hard: AmountMap
    used: AmountMap


class ResourceQuota(Resource[ResourceQuotaSpec, ResourceQuotaStatus]):
    spec: ResourceQuotaSpec = Field(default_factory=ResourceQuotaSpec)
    status: ResourceQuotaStatus = Field(default_factory=ResourceQuotaStatus)


class LimitRangeItem(_WithAmounts, Model):
    """For each instance of a Service: least and most, and what it has when it says nothing."""

    type: Literal["Container", "Pod"]
    max: dict[str, str] | None = None
    min: dict[str, str] | None = None
    default: dict[str, str] | None = None
    default_request: dict[str, str] | None = None
    max_limit_request_ratio: dict[str, str] | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> LimitRangeItem:
        for amounts in (self.max, self.min, self.default, self.default_request, self.max_limit_request_ratio):
            _checked_amounts(amounts)
            if unknown := sorted(set(amounts or {}) - {"cpu", "memory"}):
                raise ValueError(f"{', '.join(unknown)}: only cpu and memory can be limited")
        if self.type == "Pod" and (self.default or self.default_request):
            raise ValueError("default: may not be specified when `type` is 'Pod'")
        for name, least in (self.min or {}).items():
            most = (self.max or {}).get(name)
            if most is not None and parse_quantity(least) > parse_quantity(most):
                raise ValueError(f"min: {name}: {least} is greater than max {most}")
        return self


class LimitRangeSpec(Spec):
    limits: list[LimitRangeItem]


class LimitRange(KubeObject):
    spec: LimitRangeSpec


RESOURCE_QUOTA = Kind(
    name="ResourceQuota",
    plural="resourcequotas",
    group="",
    singular="resourcequota",
    short_names=("quota",),
    model=ResourceQuota,
    description="How much everything in a namespace may be together.",
    columns=(
        Column("Name", "metadata.name"),
        Column("Age", "metadata.creationTimestamp", type="date"),
        Column("Hard", "", read=lambda each: _told((each.get("status") or {}), each["spec"].get("hard") or {})),
    ),
)
LIMIT_RANGE = Kind(
    name="LimitRange",
    plural="limitranges",
    group="",
    singular="limitrange",
    short_names=("limits",),
    has_status=False,
    model=LimitRange,
    description="How much one instance in a namespace may have, and what it has by default.",
    columns=(Column("Name", "metadata.name"), Column("Created At", "metadata.creationTimestamp")),
)


def _told(status: dict[str, Any], hard: dict[str, Any]) -> str:
    used = status.get("used") or {}
    return ", ".join(f"{name}: {used.get(name, '0')}/{most}" for name, most in sorted(hard.items()))
