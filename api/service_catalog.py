"""`GET /catalog`: the managed services this cloud could run, as their manifests say, whether enabled or not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crds.managed import ManagedService


def catalog(services: Iterable[ManagedService]) -> dict[str, Any]:
    """The managed services a person chooses from. `service` is the usual name of its Service resource."""
    return {"services": [_entry(each) for each in sorted(services, key=lambda each: each.name)]}


def _entry(service: ManagedService) -> dict[str, Any]:
    return {
        "managed": service.name,
        "service": service.service_name,
        "title": service.title,
        "summary": service.summary,
        "kinds": [kind.plural for kind in service.kinds if not kind.internal],
        "speaks": list(service.speaks),
        "needs": [need.replace("_", "-") for need in service.needs],
        "startsEnabled": service.starts_enabled,
        "activation": service.activation,
    }
