"""Every service has its own part of the connections to services, and every caller a part of that.

Without such walls, who fills one service takes all others with it: storage full of slow readers, no key opens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from crds.errors import TooManyRequests, Unavailable

WAIT_SECONDS = 10.0


class Bulkheads:
    """`per_service` requests to one service at once; of those, `per_principal` of one caller."""

    def __init__(self, per_service: int, per_principal: int) -> None:
        self._per_service, self._per_principal = per_service, per_principal
        self._walls: dict[str, anyio.Semaphore] = {}
        self._callers: Counter[tuple[str, str]] = Counter()

    @asynccontextmanager
    async def slot(self, service: str, principal: str) -> AsyncIterator[None]:
        """One request's place. Raises TooManyRequests for a caller who has too many, Unavailable after a while."""
        caller = (service, principal)
        if self._callers[caller] >= self._per_principal:
            raise TooManyRequests(
                f"{principal} has {self._per_principal} requests to {service} already", retry_after=1
            )
        self._callers[caller] += 1
        wall = self._walls.setdefault(service, anyio.Semaphore(self._per_service))
        try:
            with anyio.move_on_after(WAIT_SECONDS) as waiting:
                await wall.acquire()
            if waiting.cancelled_caught:
                raise Unavailable(f"too many requests to {service} are under way", retry_after=1)
            try:
                yield
            finally:
                wall.release()
        finally:
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]
            # Names come from the store, but services come and go.
            if wall.value == self._per_service and not any(name == service for name, _ in self._callers):
                self._walls.pop(service, None)
