"""Rate limits of one identity: requests per second (with a burst), and watches at once.

Protects everybody else from one client in a loop. Services and workers may ask more, for they ask for many, but not
without end; only the house's masters are exempt.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from api.auth.principal import MASTERS, SERVICES, WORKERS, Principal
from controller.kit.clock import Clock
from crds.errors import TooManyRequests

BURST_SECONDS = 2.0
_EXEMPT = frozenset({MASTERS})
_GENEROUS, GENEROUSLY = frozenset({SERVICES, WORKERS}), 20
"""How many times as much a service or a worker may ask."""


class RateLimiter:
    """A token bucket per name. Bounded by the number of users: only known identities come here."""

    def __init__(self, clock: Clock, *, per_second: float, watches: int) -> None:
        self._clock, self._rate, self._most_watches = clock, per_second, watches
        self._left: dict[str, tuple[float, float]] = {}
        self._watches: Counter[str] = Counter()

    def admit(self, who: Principal) -> None:
        """Raises TooManyRequests that says in how many whole seconds to come back."""
        if not _EXEMPT.isdisjoint(who.groups):
            return
        rate = self._rate * _times(who)
        now, most = self._clock.monotonic(), rate * BURST_SECONDS
        left, since = self._left.get(who.name, (most, now))
        left = min(left + (now - since) * rate, most) - 1
        if left < 0:
            wait = math.ceil(-left / rate)
            raise TooManyRequests(f"more than {rate:g} requests per second", retry_after=wait)
        self._left[who.name] = (left, now)

    @contextmanager
    def watching(self, who: Principal) -> Iterator[None]:
        """Holds one of the watches that identity may have. Raises TooManyRequests."""
        most = self._most_watches * _times(who)
        if self._watches[who.name] >= most and _EXEMPT.isdisjoint(who.groups):
            raise TooManyRequests(f"{who.name} has {most} watches already", retry_after=5)
        self._watches[who.name] += 1
        try:
            yield
        finally:
            self._watches[who.name] -= 1
            if not self._watches[who.name]:
                del self._watches[who.name]


def _times(who: Principal) -> int:
    return 1 if _GENEROUS.isdisjoint(who.groups) else GENEROUSLY
