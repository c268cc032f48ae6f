"""Retries are a part of the requests, not a multiple: a service in trouble is not asked four times as often.

Each request to a service earns a fifth of a retry, and some may always be made. Only requests that may have reached
an instance take from it: one that never left burdens nobody.
"""

from __future__ import annotations

from collections.abc import Callable

from api.edge.token_buckets import TokenBuckets

EARNED, MOST_SAVED = 0.2, 100.0
ALWAYS_PER_SECOND = 5.0


class RetryBudget:
    """What each service has left."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._saved: dict[str, float] = {}
        self._always = TokenBuckets(ALWAYS_PER_SECOND, now)

    def earn(self, service: str) -> None:
        """A request was made."""
        self._saved[service] = min(self._saved.get(service, 0.0) + EARNED, MOST_SAVED)

    def spend(self, service: str) -> bool:
        """Whether one more try may be made."""
        saved = self._saved.get(service, 0.0)
        if saved >= 1.0:
            self._saved[service] = saved - 1.0
            return True
        return self._always.take(service).admitted
