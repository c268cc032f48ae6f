"""Delivers what the outbox holds: each route in order. Where more routes wait than there are places, they take turns.

A destination that does not take it is asked again ever later. What is given up (`giving_up.py`) is logged and
counted. Of several processes of a data folder, one delivers.
"""

from __future__ import annotations

import logging
import math
import os
import sqlite3
from collections.abc import Callable
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from crds.meta import Condition, drop_condition, set_condition
from services.storage_manager.conditions import BucketCondition, BucketReason
from services.storage_manager.file_locks import is_locked
from services.storage_manager.kinds import Bucket
from services.storage_manager.notifications.destinations import Sends, Undelivered
from services.storage_manager.notifications.giving_up import Commit, GivingUp
from services.storage_manager.notifications.outbox import NOTIFICATION, Outbox, Route, Waiting

log = logging.getLogger(__name__)
# What another process recorded is noticed so late at most; what comes together is looked for once.
LOOK_SECONDS, TOGETHER_SECONDS, TRIM_SECONDS = 2.0, 0.02, 60.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
MOST_ROUTES_AT_ONCE, PAGE = 16, 100
# A condition tells of a loss for so long, and of what waits longer than that, whoever delivers it.
TOLD_SECONDS, LATE_SECONDS = 3600.0, 60.0


class _Pause:
    """Of a route: when it is tried again, on the clock of the event loop, and what it said."""

    def __init__(self) -> None:
        self.seconds, self.until, self.why = 0.0, 0.0, ""

    def lengthen(self, why: str) -> None:
        self.seconds = min(max(2 * self.seconds, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        self.until, self.why = anyio.current_time() + self.seconds, why


class _Losses:
    """What a destination will never get: how many events, why the last, and until when that is told."""

    def __init__(self) -> None:
        self.count, self.why, self.until = 0, "", 0.0

    def note(self, count: int, why: str, until: float) -> None:
        self.count, self.why, self.until = self.count + count, why, until


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
        self._busy, self._crowded = set[Route](), False
        self._turn, self._turns, self._losses = count(1), dict[Route, int](), dict[Route, _Losses]()
        self._giving_up, self._trim_at = GivingUp(outbox, commit, clock), 0.0

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
                        await anyio.sleep(TOGETHER_SECONDS)
                    self._news = anyio.Event()
        finally:
            os.close(file)

    async def _look(self, tasks: TaskGroup) -> None:
        """Begin what is due."""
        try:
            routes = await to_thread.run_sync(self._outbox.routes)
        except sqlite3.Error as why:
            log.warning("the outbox cannot be read; it is tried again: %s", why)
            return
        if anyio.current_time() >= self._trim_at:
            self._trim_at = math.inf
            tasks.start_soon(self._trim)
        self._remember(routes)
        due = self._due()
        places = MOST_ROUTES_AT_ONCE - len(self._busy)
        self._crowded = len(due) > places  # each tells when it is done
        for route in due[:places]:
            self._busy.add(route)
            del self._turns[route]
            tasks.start_soon(self._deliver, route)

    def _remember(self, routes: list[Route]) -> None:
        """What is new waits behind what waits already. The rest is forgotten."""
        self._pauses = {route: self._pauses[route] for route in routes if route in self._pauses}
        waiting = [route for route in routes if route not in self._busy]
        self._turns = {route: self._turns.get(route) or next(self._turn) for route in waiting}
        now = self._clock()
        self._losses = {route: lost for route, lost in self._losses.items() if lost.until > now}

    def _due(self) -> list[Route]:
        """Those that may be tried now; who waits longest comes first."""
        now = anyio.current_time()
        due = [route for route in self._turns if route not in self._pauses or self._pauses[route].until <= now]
        return sorted(due, key=self._turns.__getitem__)

    async def _deliver(self, route: Route) -> None:
        """What waits on a route, until there is none, its destination does not take it, or another's turn comes."""
        try:
            while events := await to_thread.run_sync(self._outbox.page, route, PAGE):
                await self._deliver_page(route, events)
                self._pauses.pop(route, None)
                if self._crowded:
                    break
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
                self._note_lost(route, len(sent.refused), f"it refuses them: {sent.why}")
            done = {*sent.taken, *sent.refused}
            await self._commit(partial(self._outbox.drop, done))
            events = [each for each in events if each.number not in done]

    async def _trim(self) -> None:
        try:
            for route, count in (await self._giving_up.run()).items():
                self._note_lost(route, count, "it did not take them, and too many waited, or for too long")
        except sqlite3.Error as why:
            log.warning("the outbox cannot be trimmed; it is tried again: %s", why)
        finally:
            self._trim_at = anyio.current_time() + TRIM_SECONDS

    def _note_lost(self, route: Route, count: int, why: str) -> None:
        self._record_lost(count)
        log.error("%d events of the bucket %s for %s were given up: %s", count, route.name, route.target, why)
        self._losses.setdefault(route, _Losses()).note(count, why, self._clock() + TOLD_SECONDS)

    async def update_condition(self, bucket: Bucket, *, configured: bool, now: datetime) -> None:
        """Sets the condition `EventsDelivered`, where anybody is told of events. What another process of the data
        folder delivers is told by how long it waits.
        """
        kind, id = BucketCondition.EVENTS_DELIVERED, bucket.metadata.uid or ""
        if not configured:
            drop_condition(bucket.status.conditions, kind)
            return
        stuck = sorted(await self._troubles(id))
        told = Condition(type=kind, status="True", reason=BucketReason.DESTINATIONS_ANSWER)
        if stuck:
            reason = BucketReason.DESTINATION_REFUSES
            told = Condition(type=kind, status="False", reason=reason, message="; ".join(stuck)[:1000])
        set_condition(bucket.status.conditions, told, now=now)

    async def _troubles(self, bucket: str) -> list[str]:
        late = self._clock() - LATE_SECONDS
        since = await to_thread.run_sync(self._outbox.since, bucket)
        found = {route: "events wait for longer than a minute" for route, at in since.items() if at < late}
        found |= {route: pause.why for route, pause in self._pauses.items()}
        losses = [
            f"{route.target}: {lost.count} events are lost: {lost.why}"
            for route, lost in self._losses.items()
            if route.bucket == bucket and lost.until > self._clock()
        ]
        return losses + [f"{route.target}: {why}" for route, why in found.items() if route.bucket == bucket]


def is_configured(documents: dict[str, Any]) -> bool:
    """Whether the bucket tells anybody of events."""
    return NOTIFICATION in documents
