"""Usage of resources by an object, as quotas count. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from crds.kind import Kind
from crds.kinds.quota import COUNT, NODE_PORTS, OBJECTS, PODS
from crds.kinds.service import SERVICE
from crds.quantity import parse_quantity

Usage = Mapping[str, Decimal]
_NAMED = {kind: resource for resource, kind in OBJECTS.items()}
ONE = Decimal(1)


def usage_of(kind: Kind[Any], body: Mapping[str, Any], workers: int) -> dict[str, Decimal]:
    """The usage by resource. `workers`: how many machines a daemon runs on."""
    used = {f"{COUNT}{kind.resource}": ONE}
    if kind.resource in _NAMED:
        used[_NAMED[kind.resource]] = ONE
    if kind is SERVICE:
        used |= _of_service(body.get("spec") or {}, workers)
    return used


def _of_service(spec: Mapping[str, Any], workers: int) -> dict[str, Decimal]:
    copies = Decimal(copies_of(spec, workers))
    used = {PODS: copies, NODE_PORTS: Decimal(sum(1 for port in spec.get("ports") or () if port.get("published")))}
    for sort in ("requests", "limits"):
        for name in ("cpu", "memory"):
            used[f"{sort}.{name}"] = copies * amount(spec, sort, name)
    return used


def copies_of(spec: Mapping[str, Any], workers: int) -> int:
    """How many instances there may be of it."""
    if not spec.get("enabled", True):
        return 0
    return max(1, workers) if spec.get("mode") == "daemon" else int(spec.get("replicas", 1))


def amount(spec: Mapping[str, Any], sort: str, name: str) -> Decimal:
    """`requests` or `limits` of one instance; 0 means none. Who only says a limit asks for as much."""
    resources = spec.get("resources") or {}
    found = parse_quantity((resources.get(sort) or {}).get(name) or "0")
    if not found and sort == "requests":
        return parse_quantity((resources.get("limits") or {}).get(name) or "0")
    return found


def shown(resource: str, value: Decimal) -> str:
    """As Kubernetes writes it: whole numbers, and thousandths of a core."""
    if value == value.to_integral_value():
        return str(int(value))
    return f"{int(value * 1000)}m"
