"""Sends what is due: a lane for each receiver that has messages, so that a slow one delays nobody else.

What was written is never forgotten: a message that was sent, and not noted as taken when the process was killed, is
sent again under the same id. A lane sleeps until its next message is due, and ends when it has none.
"""

from __future__ import annotations

import logging
import math
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import anyio
import anyio.abc

from services.sdk.group_commit import GroupCommitter
from services.sdk.resources import Clock
from services.webhook_manager import message_store as store
from services.webhook_manager.delivery import AttemptResult, NotAttempted, Receiver, Verdict, verdict
from services.webhook_manager.message import HEALTHY, Attempt, Due, Health, Message, State
from services.webhook_manager.metrics import WebhookMetrics

AT_ONCE, MOST_OF_ONE = 256, 64
"""Attempts under way at the same moment, and those of one namespace: whose receivers are slow delays nobody else."""
_FAILED_SECONDS = 1.0
_BROKEN_SECONDS = 60.0
log = logging.getLogger("webhook_manager")


class Sender(Protocol):
    """Makes one attempt."""

    async def send(self, receiver: Receiver, message: Message) -> AttemptResult:
        """Raises NotAttempted."""
        ...


class Receivers(Protocol):
    """Whom messages are for."""

    async def synced(self) -> None: ...

    def receiver(self, uid: str) -> Receiver | None: ...


@dataclass
class _Lane:
    """`busy`: numbers of messages under way. `starts_at`: when the next one may be begun, where there is a rate.
    `held_until`: none is begun before, since none can be; then one alone, while it `is_held`.
    """

    news: anyio.Event = field(default_factory=anyio.Event)
    busy: set[int] = field(default_factory=set)
    starts_at: float = 0.0
    held_until: float = 0.0
    is_held: bool = False


class Engine:
    """One per process. `changed` hears of receivers whose health is another one, or to whom nothing can be sent."""

    def __init__(
        self,
        committer: GroupCommitter,
        sender: Sender,
        receivers: Receivers,
        clock: Clock,
        metrics: WebhookMetrics,
        changed: Callable[[str], Awaitable[None]],
    ) -> None:
        self._committer, self._sender, self._receivers = committer, sender, receivers
        self._clock, self._metrics, self._changed = clock, metrics, changed
        self._health: dict[str, Health] = {}
        self._lanes: dict[str, _Lane] = {}
        self._group: anyio.abc.TaskGroup | None = None
        self._places = _Places()
        self.loaded = anyio.Event()
        """Set once it is known how all receivers stand."""

    def health(self, uid: str) -> Health:
        return self._health.get(uid, HEALTHY)

    def is_held(self, uid: str) -> bool:
        """Whether messages wait for it and none can be sent, for a reason of ours."""
        lane = self._lanes.get(uid)
        return lane is not None and lane.is_held

    def wake(self, uid: str) -> None:
        """Something is to be sent to that receiver, or it is another one than it was."""
        lane = self._lanes.get(uid)
        if lane is not None:
            lane.news.set()
        elif self._group is not None:
            self._lanes[uid] = _Lane()
            self._group.start_soon(self._run_lane, uid, self._lanes[uid])

    async def enable(self, uid: str) -> None:
        """Send to it again, as if it had never failed, and at once what waits. Raises sqlite3.Error."""
        now = self._clock.now().timestamp()
        await self._committer.submit(lambda db: store.enable(db, uid, now))
        self._health.pop(uid, None)
        await self._changed(uid)
        self.wake(uid)

    async def forget(self, *uids: str) -> None:
        """Receivers that are no more. Raises sqlite3.Error."""
        await self._committer.submit(lambda db: store.forget(db, uids))
        for each in uids:
            self._health.pop(each, None)

    async def run(self) -> None:
        """Until cancelled."""
        await self._receivers.synced()
        self._lanes.clear()
        self._health = await self._committer.submit(store.read_health)
        self.loaded.set()
        try:
            async with anyio.create_task_group() as self._group:
                for uid in await self._committer.submit(store.receivers_waiting):
                    self.wake(uid)
                await anyio.sleep_forever()
        finally:
            self._group = None

    async def _run_lane(self, uid: str, lane: _Lane) -> None:
        """Until nothing waits, and nothing is under way."""
        while True:
            lane.news = anyio.Event()
            try:
                seconds = await self._begin_due(uid, lane)
            except sqlite3.Error:
                log.exception("messages cannot be read", extra={"fields": {"receiver": uid}})
                seconds = _FAILED_SECONDS
            if seconds is None and not lane.busy and not lane.news.is_set():
                del self._lanes[uid]  # in the same moment: who wakes it from now on begins another one
                return
            with anyio.move_on_after(math.inf if seconds is None else max(seconds, 0.0)):
                await lane.news.wait()

    async def _begin_due(self, uid: str, lane: _Lane) -> float | None:
        """Begin what may be begun. Returns for how long nothing else can be, None for ever."""
        receiver = self._receivers.receiver(uid)
        if receiver is None:
            await self.forget(uid)
            return None
        if not self._may_be_sent_to(receiver):
            return math.inf
        room, now = receiver.concurrency - len(lane.busy), self._clock.now().timestamp()
        if room <= 0:
            return math.inf
        if now < (starts_at := max(lane.starts_at, lane.held_until)):
            return starts_at - now
        if receiver.rate is not None or lane.is_held:
            room = 1
        found = await self._committer.submit(lambda db: store.waiting(db, uid, now, room, tuple(lane.busy)))
        for each in found:
            self._begin(receiver, each, lane, now)
        if found:
            return 0.0
        due = await self._committer.submit(lambda db: store.next_due(db, uid, tuple(lane.busy)))
        return None if due is None else due - now

    def _begin(self, receiver: Receiver, due: Due, lane: _Lane, now: float) -> None:
        assert self._group is not None
        lane.busy.add(due.number)
        if receiver.rate is not None:
            lane.starts_at = max(lane.starts_at, now) + 1 / receiver.rate
        self._group.start_soon(self._attempt, receiver, due, lane)

    def _may_be_sent_to(self, receiver: Receiver) -> bool:
        return not receiver.paused and self.health(receiver.uid).disabled_at is None

    async def _attempt(self, receiver: Receiver, due: Due, lane: _Lane) -> None:
        """What is in it is read once it has its place: so many are in memory, however many wait for one."""
        try:
            async with self._places.of(receiver.namespace):
                message = await self._read(due)
                # It waited for its place: by then it may be another one, or no more.
                current = self._receivers.receiver(receiver.uid)
                if message is not None and current is not None and self._may_be_sent_to(current):
                    await self._attempt_now(current, message, lane)
        finally:
            lane.busy.discard(due.number)
            lane.news.set()

    async def _read(self, due: Due) -> Message | None:
        """None for one that does not wait any more."""
        while True:
            try:
                return await self._committer.submit(lambda db: store.message(db, due))
            except sqlite3.Error:
                log.exception("a message cannot be read", extra={"fields": {"message": due.id}})
                await anyio.sleep(_FAILED_SECONDS)

    async def _attempt_now(self, receiver: Receiver, message: Message, lane: _Lane) -> None:
        at, began = self._clock.now().timestamp(), self._clock.monotonic()
        if not message.attempts:
            self._metrics.observe_lateness(at - message.made)
        try:
            answer = await self._sender.send(receiver, message)
        except NotAttempted as why:
            await self._hold(receiver, lane, why)
            return
        except Exception:
            log.exception("an attempt broke", extra={"fields": {"receiver": receiver.name, "message": message.id}})
            await self._write(partial(store.postpone, number=message.number, due=at + _BROKEN_SECONDS))
            return
        lane.is_held = False
        await self._note(receiver, message, answer, at, self._clock.monotonic() - began)

    async def _hold(self, receiver: Receiver, lane: _Lane, why: NotAttempted) -> None:
        """What is true of one message is true of all to that receiver: none is tried, or written, one by one."""
        lane.held_until = self._clock.now().timestamp() + why.retry_after
        if lane.is_held:
            return
        lane.is_held = True
        fields = {"receiver": f"{receiver.namespace}/{receiver.name}"}
        log.warning("nothing is sent: %s", why, extra={"fields": fields})
        await self._changed(receiver.uid)

    async def _note(
        self, receiver: Receiver, message: Message, answer: AttemptResult, at: float, seconds: float
    ) -> None:
        before = self.health(receiver.uid)
        found = verdict(receiver, message, answer, before, at + seconds)
        if found.health is not None:  # at once: another attempt that ends meanwhile goes on from here
            self._health[receiver.uid] = found.health
        attempt = Attempt(message.id, at, answer.status, round(seconds, 4), answer.fault)
        await self._write(lambda db: store.note(db, message, attempt, found.state, found.due, found.health))
        self._tell(receiver, message, answer, found, seconds)
        if found.health is not None and _is_news(before, found.health):
            self._tell_health(receiver, before, found.health)
            await self._changed(receiver.uid)

    async def _write(self, change: Callable[[sqlite3.Connection], None]) -> None:
        """Until it is written: before that its message is not sent again, for it might be once too often."""
        while True:
            try:
                await self._committer.submit(change)
                return
            except sqlite3.Error:
                log.exception("an attempt is not noted yet")
                await anyio.sleep(_FAILED_SECONDS)

    def _tell(
        self, receiver: Receiver, message: Message, answer: AttemptResult, found: Verdict, seconds: float
    ) -> None:
        outcome = {State.DELIVERED: "delivered", State.WAITING: "failed", State.FAILED: "given up"}[found.state]
        self._metrics.count_attempt(outcome, seconds)
        if found.state is State.FAILED:
            fields = {"receiver": f"{receiver.namespace}/{receiver.name}", "message": message.id}
            log.warning("not delivered: %s", answer.fault, extra={"fields": fields})

    def _tell_health(self, receiver: Receiver, before: Health, after: Health) -> None:
        if before.disabled_at is None and after.disabled_at is not None:
            self._metrics.count_disabled()
            fields = {"receiver": f"{receiver.namespace}/{receiver.name}"}
            log.warning("an endpoint is disabled: %s", after.because, extra={"fields": fields})


def _is_news(before: Health, after: Health) -> bool:
    return (before.failing_since, before.disabled_at) != (after.failing_since, after.disabled_at)


class _Places:
    """Room for attempts: of the process, and of each namespace."""

    def __init__(self) -> None:
        self._all = anyio.Semaphore(AT_ONCE)
        self._namespaces: dict[str, tuple[anyio.Semaphore, int]] = {}

    @asynccontextmanager
    async def of(self, namespace: str) -> AsyncIterator[None]:
        own, users = self._namespaces.get(namespace) or (anyio.Semaphore(MOST_OF_ONE), 0)
        self._namespaces[namespace] = (own, users + 1)
        try:
            async with own, self._all:
                yield
        finally:
            users = self._namespaces[namespace][1] - 1
            if users:
                self._namespaces[namespace] = (own, users)
            else:
                del self._namespaces[namespace]
