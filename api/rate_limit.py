"""Rate limits of one identity: requests per second (with a burst), and watches at once.

Protects everybody else from one client in a loop. Services and workers may ask more, for they ask for many, but not
without end; only the house's masters are exempt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from api.auth.principal import MASTERS, SERVICES, WORKERS, Principal
from api.edge.token_buckets import TokenBuckets
from controller.kit.clock import Clock
from crds.errors import TooManyRequests

MASTERS_EXEMPT = frozenset({MASTERS})
_GENEROUS, GENEROUSLY = frozenset({SERVICES, WORKERS}), 20
"""How many times as much a service or a worker may ask."""


class RateLimiter:
    """A token bucket for each identity."""

    def __init__(self, clock: Clock, *, per_second: float, watches: int) -> None:
        self._buckets, self._most_watches = TokenBuckets(per_second, clock.monotonic), watches
        self._watches: Counter[str] = Counter()

    def admit(self, who: Principal) -> None:
        """Raises TooManyRequests that says in how many whole seconds to come back."""
        if not MASTERS_EXEMPT.isdisjoint(who.groups):
            return
        times = multiple_of(who)
        verdict = self._buckets.take(who.name, times)
        if not verdict.admitted:
            text = f"more than {self._buckets.per_second * times:g} requests per second"
            raise TooManyRequests(text, retry_after=verdict.retry_after)

    @contextmanager
    def watching(self, who: Principal) -> Iterator[None]:
        """Holds one of the watches that identity may have. Raises TooManyRequests."""
        most = self._most_watches * multiple_of(who)
        if self._watches[who.name] >= most and MASTERS_EXEMPT.isdisjoint(who.groups):
            raise TooManyRequests(f"{who.name} has {most} watches already", retry_after=5)
        self._watches[who.name] += 1
        try:
            yield
        finally:
            self._watches[who.name] -= 1
            if not self._watches[who.name]:
                del self._watches[who.name]


def multiple_of(who: Principal) -> int:
    """How many times as much as others somebody may ask."""
    return 1 if _GENEROUS.isdisjoint(who.groups) else GENEROUSLY
