"""LimitRange: what an instance has when it says nothing, and how little and how much it may have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from controller.admission.request import AdmissionRequest, Body
from controller.admission.usage import amount
from controller.store.records import Store
from crds.kinds.quota import LIMIT_RANGE
from crds.kinds.service import SERVICE
from crds.quantity import parse_quantity

_NAMES = ("cpu", "memory")


class LimitRanger:
    """Speaks of containers; managed services are what their manifests say."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def filled(self, request: AdmissionRequest) -> Body:
        """The new Service with the defaults of its namespace; anything else as it is."""
        new = request.new or {}
        if request.operation != "CREATE" or not self._concerns(request):
            return new
        # Who says a limit and no request asks for as much as the limit.
        said = {name for name in _NAMES if amount(new["spec"], "limits", name)}
        for item in self._items(request):
            asked = item.get("defaultRequest") or item.get("default") or {}
            new = _with(new, "limits", item.get("default") or {})
            new = _with(new, "requests", {name: value for name, value in asked.items() if name not in said})
        return new

    def validate(self, request: AdmissionRequest) -> list[str]:
        if not request.changes_spec or not self._concerns(request) or request.new is None:
            return []
        before, now = (request.old or {}).get("spec"), request.new["spec"]
        if before is not None and before.get("resources") == now.get("resources"):
            return []
        faults = [fault for item in self._items(request) for fault in _faults(item, now)]
        if faults:
            raise request.refused(", ".join(faults) if len(faults) == 1 else f"[{', '.join(faults)}]")
        return []

    def _concerns(self, request: AdmissionRequest) -> bool:
        return request.kind is SERVICE and not ((request.new or {}).get("spec") or {}).get("managed")

    def _items(self, request: AdmissionRequest) -> list[dict[str, Any]]:
        ranges = self._store.list(LIMIT_RANGE.group, LIMIT_RANGE.plural, request.key.namespace).records
        return [item for record in ranges for item in record.object["spec"]["limits"]]


def _with(service: Body, sort: str, defaults: Mapping[str, str]) -> Body:
    spec = service["spec"]
    resources = spec.get("resources") or {}
    given = resources.get(sort) or {}
    missing = {name: value for name, value in defaults.items() if parse_quantity(given.get(name) or "0") == 0}
    if not missing:
        return service
    return {**service, "spec": {**spec, "resources": {**resources, sort: {**given, **missing}}}}


def _faults(item: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[str]:
    sort = item["type"]
    for name in _NAMES:
        request, limit = amount(spec, "requests", name), amount(spec, "limits", name)
        least, most = (item.get("min") or {}).get(name), (item.get("max") or {}).get(name)
        if least is not None and request < parse_quantity(least):
            told = f"but request is {request}" if request else "No request is specified"
            yield f"minimum {name} usage per {sort} is {least}, {told}"
        if most is not None and not limit:
            yield f"maximum {name} usage per {sort} is {most}. No limit is specified"
        elif most is not None and limit > parse_quantity(most):
            yield f"maximum {name} usage per {sort} is {most}, but limit is {limit}"
        yield from _ratio_faults(item, name, sort, request, limit)


def _ratio_faults(item: Mapping[str, Any], name: str, sort: str, request: Any, limit: Any) -> Iterator[str]:
    ratio = (item.get("maxLimitRequestRatio") or {}).get(name)
    if ratio is None:
        return
    if not request or not limit:
        yield f"{name} max limit to request ratio per {sort} is {ratio}, but no request or limit is specified"
    elif limit / request > parse_quantity(ratio):
        yield f"{name} max limit to request ratio per {sort} is {ratio}, but provided ratio is {limit / request}"
