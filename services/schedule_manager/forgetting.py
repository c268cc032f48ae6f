"""Takes schedules that are no more out of the store: as they are deleted, and those that went unseen, every hour."""

from __future__ import annotations

import logging
from typing import Any

import anyio

from services.schedule_manager.kinds import Schedule
from services.schedule_manager.schedule_store import ScheduleStore
from services.sdk.informer import Informer
from services.sdk.resources import BlockingExecutor

SWEEP_SECONDS = 3600.0
_FAILED_SECONDS = 5.0
log = logging.getLogger("schedule_manager")


class Forgetting:
    """One per process."""

    def __init__(self, store: ScheduleStore, schedules: Informer[Schedule], threads: BlockingExecutor) -> None:
        self._store, self._schedules, self._threads = store, schedules, threads
        self._gone: set[str] = set()
        self._news = anyio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        await self._schedules.synced.wait()
        stop = self._schedules.listen(self._noticed)
        try:
            while True:
                await self._sweep()
                with anyio.move_on_after(SWEEP_SECONDS):
                    while True:
                        await self._news.wait()
                        await self._forget_gone()
        finally:
            stop()

    def _noticed(self, change: str, schedule: Any, before: Any) -> None:
        if change == "DELETED":
            self._gone.add(schedule.metadata.uid or "")
            self._news.set()

    async def _sweep(self) -> None:
        # The store first: what it knows came from the listing, which has it unless it was deleted.
        known = await self._threads.run(self._store.uids)
        self._gone |= known - {each.metadata.uid or "" for each in self._schedules.all()}
        await self._forget_gone()

    async def _forget_gone(self) -> None:
        self._news = anyio.Event()
        gone, self._gone = self._gone, set()
        if not gone:
            return
        try:
            await self._threads.run(lambda: self._store.forget(*gone))
        except Exception:
            log.exception("schedules that are no more are not forgotten yet")
            self._gone |= gone
            self._news.set()
            await anyio.sleep(_FAILED_SECONDS)
