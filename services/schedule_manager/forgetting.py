"""Takes schedules and event rules that are no more out of the store: as they are deleted, and those that went unseen,
every hour.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import anyio

from services.schedule_manager.events.plans import rule_uid
from services.schedule_manager.schedule_store import ScheduleStore
from services.sdk.informer import Informer
from services.sdk.resources import BlockingExecutor

SWEEP_SECONDS = 3600.0
_FAILED_SECONDS = 5.0
log = logging.getLogger("schedule_manager")


class Forgetting:
    """One per process."""

    def __init__(self, store: ScheduleStore, informers: Sequence[Informer[Any]], threads: BlockingExecutor) -> None:
        self._store, self._informers, self._threads = store, informers, threads
        self._gone: set[str] = set()
        self._news = anyio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        for each in self._informers:
            await each.synced.wait()
        stops = [each.listen(self._noticed) for each in self._informers]
        try:
            while True:
                await self._sweep()
                with anyio.move_on_after(SWEEP_SECONDS):
                    while True:
                        await self._news.wait()
                        await self._forget_gone()
        finally:
            for stop in stops:
                stop()

    def _noticed(self, change: str, gone: Any, before: Any) -> None:
        if change == "DELETED":
            self._gone.add(gone.metadata.uid or "")
            self._news.set()

    async def _sweep(self) -> None:
        # The store first: what it knows came from the listing, which has it unless it was deleted.
        known = await self._threads.run(self._store.uids)
        there = {each.metadata.uid or "" for informer in self._informers for each in informer.all()}
        self._gone |= {rule_uid(uid) for uid in known} - there
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
