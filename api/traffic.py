"""Traffic through the gateway: who asks whom, and how it ends, counted since the start.

Counters live in memory only: rates are what readers make of two of them. `from` is the managed service that asks, or
empty for people and their tools; `ejected` names the instances of `to` that gateways give no requests for a while.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

Seen = dict[tuple[str, str], tuple[int, tuple[str, ...]]]


class CountsTraffic(Protocol):
    """What counts who asks whom: `Traffic`, or what tells one elsewhere."""

    def note(self, asker: str, service: str, code: int, seconds: float) -> None: ...


@dataclass(slots=True)
class TrafficCounter:
    """`errors`: answers of 500 and more, and requests nobody could take."""

    requests: int = 0
    errors: int = 0
    seconds: float = 0.0


class Traffic:
    """One count for each pair that ever spoke. Callers name only services that exist, so it stays small. `ejected`:
    the instances of a service that gateways give nothing now.
    """

    def __init__(self, ejected: Callable[[str], list[str]] = lambda _: []) -> None:
        self._counts: dict[tuple[str, str], TrafficCounter] = {}
        self._ejected = ejected

    def note(self, asker: str, service: str, code: int, seconds: float) -> None:
        count = self._counts.setdefault((asker, service), TrafficCounter())
        count.requests += 1
        count.errors += code >= 500
        count.seconds += seconds

    def told(self, seen: Seen) -> list[dict[str, Any]]:
        """The pairs that asked more, or whose service has other instances ejected, than `seen` says, which learns of
        it.
        """
        told = []
        for (asker, service), count in self._counts.items():
            ejected = self._ejected(service)
            if seen.get((asker, service)) != (now := (count.requests, tuple(ejected))):
                seen[asker, service] = now
                told.append(traffic_of(asker, service, count, ejected))
        return told


def traffic_of(asker: str, service: str, count: TrafficCounter, ejected: list[str]) -> dict[str, Any]:
    """One pair, as it is told."""
    numbers = {"requests": count.requests, "errors": count.errors, "seconds": round(count.seconds, 4)}
    return {"from": asker, "to": service, **numbers, "ejected": ejected}
