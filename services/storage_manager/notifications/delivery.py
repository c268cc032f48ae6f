"""Delivers what the outbox holds: each route in order, and none waits for another.

A destination that does not take it is asked again ever later. What waits longer than KEEP_SECONDS, or behind
more than MOST_WAITING newer ones of its route, is given up, logged and counted. Of several processes of a data
folder, one delivers.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from crds.meta import Condition, set_condition
from services.storage_manager.conditions import BucketCondition, BucketReason
from services.storage_manager.file_locks import is_locked
from services.storage_manager.kinds import Bucket
from services.storage_manager.notifications.destinations import Sends, Undelivered
from services.storage_manager.notifications.outbox import NOTIFICATION, Outbox, Route, Waiting

log = logging.getLogger(__name__)
KEEP_SECONDS, MOST_WAITING = 4 * 86_400.0, 100_000
# What another process recorded is noticed so late at most.
LOOK_SECONDS, TRIM_SECONDS = 2.0, 60.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
MOST_ROUTES_AT_ONCE, PAGE = 16, 100
Commit = Callable[[Callable[[], Any]], Awaitable[Any]]


class _Pause:
    """Of a route: when it is tried again, on the clock of the event loop, and what it said."""

    def __init__(self) -> None:
        self.seconds, self.until, self.why = 0.0, 0.0, ""

    def lengthen(self, why: str) -> None:
        self.seconds = min(max(2 * self.seconds, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        self.until, self.why = anyio.current_time() + self.seconds, why


class Delivery:
    """Of one data folder, whose lock file is `lock`. `commit` runs a change of the index, and returns once it is
    durable; `record_lost` counts what was given up.
    """

    def __init__(
        self,
        outbox: Outbox,
        destinations: Sends,
        commit: Commit,
        lock: Path,
        clock: Callable[[], float],
        record_lost: Callable[[int], None],
    ) -> None:
        self._outbox, self._destinations, self._commit, self._lock = outbox, destinations, commit, lock
        self._clock, self._record_lost = clock, record_lost
        self._news, self._pauses = anyio.Event(), dict[Route, _Pause]()
        self._busy = set[Route]()
        self._trim_at = 0.0

    def wake(self) -> None:
        """Something was recorded."""
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        file = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not is_locked(file):  # noqa: ASYNC110 - another process has it
                await anyio.sleep(LOOK_SECONDS)
            async with anyio.create_task_group() as tasks:
                while True:
                    await self._look(tasks)
                    with anyio.move_on_after(LOOK_SECONDS):
                        await self._news.wait()
                    self._news = anyio.Event()
        finally:
            os.close(file)

    async def _look(self, tasks: TaskGroup) -> None:
        """Begin what is due."""
        try:
            if anyio.current_time() >= self._trim_at:
                self._trim_at = anyio.current_time() + TRIM_SECONDS
                await self._trim()
            routes = await to_thread.run_sync(self._outbox.routes)
        except sqlite3.Error as why:
            log.warning("the outbox cannot be read; it is tried again: %s", why)
            return
        self._pauses = {route: pause for route, pause in self._pauses.items() if route in routes}
        now = anyio.current_time()
        for route in routes:
            pause = self._pauses.get(route)
            if route not in self._busy and (pause is None or pause.until <= now):
                if len(self._busy) >= MOST_ROUTES_AT_ONCE:
                    break  # each tells when it is done
                self._busy.add(route)
                tasks.start_soon(self._deliver, route)

    async def _deliver(self, route: Route) -> None:
        """All that waits on a route, until there is none, or its destination does not take it."""
        try:
            while events := await to_thread.run_sync(self._outbox.page, route, PAGE):
                await self._deliver_page(route, events)
            self._pauses.pop(route, None)
        except (Undelivered, sqlite3.Error, OSError) as why:
            pause = self._pauses.setdefault(route, _Pause())
            if pause.why != str(why):
                log.warning("events of the bucket %s wait for %s: %s", route.name, route.target, why)
            pause.lengthen(str(why))
        finally:
            self._busy.discard(route)
            self._news.set()

    async def _deliver_page(self, route: Route, events: list[Waiting]) -> None:
        while events:
            sent = await self._destinations.send(route, events)
            if sent.refused:
                self._note_lost(len(sent.refused), f"{route.target} takes no such message")
            done = {*sent.taken, *sent.refused}
            await self._commit(partial(self._outbox.drop, done))
            events = [each for each in events if each.number not in done]

    async def _trim(self) -> None:
        lost = await self._commit(partial(self._outbox.trim, self._clock() - KEEP_SECONDS, MOST_WAITING))
        if lost:
            self._note_lost(lost, "no destination took them")

    def _note_lost(self, count: int, why: str) -> None:
        self._record_lost(count)
        log.error("%d events of buckets were given up: %s", count, why)

    def update_condition(self, bucket: Bucket, *, configured: bool, now: datetime) -> None:
        """Sets the condition `EventsDelivered`, where anybody is told of events."""
        kind, id = BucketCondition.EVENTS_DELIVERED, bucket.metadata.uid
        if not configured:
            bucket.status.conditions = [each for each in bucket.status.conditions if each.type != kind]
            return
        stuck = sorted(f"{route.target}: {pause.why}" for route, pause in self._pauses.items() if route.bucket == id)
        told = Condition(type=kind, status="True", reason=BucketReason.DESTINATIONS_ANSWER)
        if stuck:
            reason = BucketReason.DESTINATION_REFUSES
            told = Condition(type=kind, status="False", reason=reason, message="; ".join(stuck)[:1000])
        set_condition(bucket.status.conditions, told, now=now)


def is_configured(documents: dict[str, Any]) -> bool:
    """Whether the bucket tells anybody of events."""
    return NOTIFICATION in documents
