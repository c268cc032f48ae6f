"""Changes of a service that are one word to say: scale, enable, disable, restart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from cli.api_client import ApiClient
from cli.resources.references import SERVICES, ServiceReference, find_service
from controller.main.errors import Misuse
from crds.model import rfc3339_milli

RESTARTED_AT = "aerekos.cloud/restartedAt"
MOST_REPLICAS = 1000
_MERGE = {"content-type": "application/merge-patch+json"}


def read_scale(word: str, words: Sequence[str], replicas: int | None) -> tuple[str, int]:
    """The service and the number in `web 3`, `service web 3`, `service/web --replicas 3`. Raises Misuse."""
    rest = list(words)
    if word.lower() in SERVICES and rest and not rest[0].isdecimal():
        word = f"{word}/{rest.pop(0)}"
    given = rest.pop(0) if rest else None
    if rest or (given is not None and replicas is not None):
        raise Misuse("the number was given twice", hint=f"aerekos scale {word} 3")
    if given is None and replicas is None:
        raise Misuse("how many replicas?", hint=f"aerekos scale {word} 3")
    number = replicas if given is None else int(given) if given.isdecimal() else -1
    if number is None or not 0 <= number <= MOST_REPLICAS:
        raise Misuse(f'"{given}" is no number of replicas', hint=f"0 to {MOST_REPLICAS}")
    return word, number


def scale(api: ApiClient, word: str, namespace: str | None, replicas: int) -> str:
    """Raises Refused."""
    found = _patched(api, word, namespace, {"spec": {"replicas": replicas}})
    return f"service/{found.name} scaled to {replicas}"


def set_enabled(api: ApiClient, word: str, namespace: str | None, *, enabled: bool) -> str:
    """Raises Refused."""
    found = _patched(api, word, namespace, {"spec": {"enabled": enabled}})
    return f"service/{found.name} {'enabled' if enabled else 'disabled'}"


def restart(api: ApiClient, word: str, namespace: str | None) -> str:
    """Raises Refused. It is asked for by a time: doing so twice restarts twice."""
    moment = rfc3339_milli(datetime.now(UTC))
    found = _patched(api, word, namespace, {"metadata": {"annotations": {RESTARTED_AT: moment}}})
    return f"service/{found.name} restarts, one instance after the other; see: aerekos wait service/{found.name}"


def _patched(api: ApiClient, word: str, namespace: str | None, patch: dict[str, Any]) -> ServiceReference:
    found = find_service(api, word, namespace)
    if found.instance is not None:
        hint = f"name the service: {found.name}"
        raise Misuse(f"{found.instance} is one instance of {found.name}", hint=hint)
    api.ask("PATCH", found.path, json=patch, headers=_MERGE)
    return found
