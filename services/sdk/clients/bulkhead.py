"""A bulkhead: only so many requests to one service at once, so that a slow one does not take all there is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from crds.errors import Unavailable


class Bulkhead:
    """`places` at once; `queue` more wait for one."""

    def __init__(self, name: str, *, places: int = 64, queue: int = 256) -> None:
        self._name, self._queue = name, queue
        self._places = anyio.CapacityLimiter(places)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place for one request. Raises Unavailable at once when too many wait already."""
        if self._places.statistics().tasks_waiting >= self._queue:
            raise Unavailable(f"{self._name}: {self._queue} requests wait for it already", retry_after=1)
        # A borrower of its own for each: one task may have several requests.
        borrower = object()
        await self._places.acquire_on_behalf_of(borrower)
        try:
            yield
        finally:
            self._places.release_on_behalf_of(borrower)
