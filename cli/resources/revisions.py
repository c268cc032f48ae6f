"""`aerekos rollback`: what a service looked like before, from the history the cloud keeps, and the way back to it.

How many replicas run and whether it is enabled are no part of a revision: going back changes neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cli.api_client import ApiClient
from cli.resources import history
from cli.resources.kinds import Served
from cli.resources.references import ServiceReference, find_service
from cli.tables import grid
from controller.main.errors import Misuse, UserError

_STRICT = {"fieldValidation": "Strict"}
_KEPT = ("replicas", "enabled")
_SERVICE = Served("aerekos.cloud", "v1", "services", "service", "Service", namespaced=True)


@dataclass(frozen=True, slots=True)
class Revision:
    """One look of a service. Numbers begin at 1 with the oldest that is kept."""

    number: int
    spec: dict[str, Any]
    changed: tuple[str, ...]


def listed(api: ApiClient, word: str, namespace: str | None) -> str:
    """A table of those that are kept. Raises Refused."""
    found = _history(api, find_service(api, word, namespace))
    rows = [[each.number, ", ".join(each.changed) or "as it was made"] for each in found]
    return grid(["REVISION", "WHAT CHANGED"], rows)


def roll_back(api: ApiClient, word: str, namespace: str | None, to: int) -> str:
    """`to` 0: the one before. Raises Misuse for a revision that is not kept, Refused."""
    service = find_service(api, word, namespace)
    found = _history(api, service)
    wanted = _chosen(found, to, service.name)
    if wanted is found[-1]:
        return f"service/{service.name} is as in revision {wanted.number} already"
    live: dict[str, Any] = api.get(service.path)
    kept = {key: live["spec"][key] for key in _KEPT if key in live["spec"]}
    api.ask("PUT", service.path, json={**live, "spec": {**wanted.spec, **kept}}, params=_STRICT)
    return f"service/{service.name} rolled back to revision {wanted.number}"


def _chosen(found: list[Revision], to: int, name: str) -> Revision:
    if to:
        wanted = next((each for each in found if each.number == to), None)
        if wanted is None:
            numbers = f"1 to {len(found)}"
            raise Misuse(f"no revision {to} is kept; there are {numbers}", hint=f"aerekos rollback {name} --list")
        return wanted
    if len(found) < 2:
        raise UserError(f"service/{name} has not been changed since it was made, or that is too long ago to be kept")
    return found[-2]


def _history(api: ApiClient, service: ServiceReference) -> list[Revision]:
    """Oldest first; the last one is how it is. A look that comes back is a revision of its own."""
    specs: list[dict[str, Any]] = []
    kept = history.versions(api, history.Subject(_SERVICE, service.namespace, service.name))
    for each in kept:
        if each.gone or each.resource["metadata"]["uid"] != kept[-1].resource["metadata"]["uid"]:
            continue
        spec = {key: value for key, value in each.resource["spec"].items() if key not in _KEPT}
        if not specs or specs[-1] != spec:
            specs.append(spec)
    return [Revision(at + 1, spec, _differing(specs[at - 1] if at else spec, spec)) for at, spec in enumerate(specs)]


def _differing(before: dict[str, Any], after: dict[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key)))
