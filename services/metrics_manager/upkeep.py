"""What the store needs now and then: chunks of what memory holds, and an end of what is too old."""

from __future__ import annotations

import asyncio

from services.metrics_manager.store.sample_store import MOST_IN_MEMORY, SampleStore
from services.sdk.reconcile import Clock

CUT_SECONDS, FORGET_SECONDS = 1_800.0, 3_600.0
_LOOK = 10.0


class Upkeep:
    """A task of the service."""

    def __init__(self, store: SampleStore, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def run(self) -> None:
        """Raises sqlite3.Error: it is begun again."""
        cut = forgotten = self._clock.monotonic()
        while True:
            await asyncio.sleep(_LOOK)
            now = self._clock.monotonic()
            if now - cut >= CUT_SECONDS or self._store.in_memory >= MOST_IN_MEMORY:
                await self._store.cut()
                cut = now
            if now - forgotten >= FORGET_SECONDS:
                await self._store.forget_old(round(self._clock.now().timestamp() * 1000))
                forgotten = now
