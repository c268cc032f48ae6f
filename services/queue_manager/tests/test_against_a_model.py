"""The broker on its real store against a model that is too simple to be wrong, on a clock that hypothesis turns."""

from __future__ import annotations

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.queue_manager.broker import Broker, HandleExpired, NotInFlight, ToSend
from services.queue_manager.database import MessageDatabase
from services.queue_manager.live_queue import QueueRules
from services.queue_manager.message import Draft
from services.queue_manager.receipt_handles import ReceiptHandle
from services.sdk.group_commit import GroupCommitter
from services.sdk.testing.virtual import AtOnce

RETENTION, WINDOW, MOST_RECEIVES = 400_000, 300_000, 3


@dataclass
class Waiting:
    """A message of the model, in the order of sending. `received`: a receive that nobody has undone by waiting."""

    body: str
    group: str
    sent: int
    due: int
    receives: int = 0
    handle: ReceiptHandle | None = None


class QueueMachine(RuleBasedStateMachine):
    """One queue with dead letters; it is closed and opened again in between."""

    fifo = False
    committer: GroupCommitter

    @initialize()
    def begin(self) -> None:
        self.now, self.count = 1_700_000_000_000, 0
        self.messages: list[Waiting] = []
        self.dead: list[Waiting] = []
        self.known: dict[str, int] = {}
        self.handles: list[tuple[Waiting, ReceiptHandle]] = []
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.database: MessageDatabase | None = None
        self.open()

    def open(self) -> None:
        if self.database is not None:
            self.run(self.committer.drained())
            self.database.close()
        self.database = MessageDatabase(Path(self.folder.name))
        self.committer = GroupCommitter(self.database, AtOnce())

        async def made() -> Broker:
            broker = Broker(self.database, self.committer, lambda: self.now)  # type: ignore[arg-type]
            for uid in ("q", "dead"):
                broker.queue(uid, self.fifo)
            return broker

        self.broker = self.run(made())

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def rules_of(self) -> QueueRules:
        target = self.broker.queue("dead", self.fifo)
        return QueueRules(0, RETENTION, "arn", MOST_RECEIVES, target)

    @rule(group=st.sampled_from("ab"), id=st.integers(0, 8), delay=st.sampled_from((None, 0, 5)))
    def send(self, group: str, id: int, delay: int | None) -> None:
        self.count += 1
        body, key = str(self.count), str(id)
        draft = Draft(body, None, group=group, deduplication=key) if self.fifo else Draft(body, delay)

        async def sent() -> Any:
            return await self.broker.send([ToSend(self.broker.queue("q", self.fifo), self.rules_of(), draft)])

        self.run(sent())
        if self.fifo and self.now - self.known.get(key, -WINDOW) < WINDOW:
            return
        self.known[key] = self.now
        due = self.now + (0 if self.fifo else (delay or 0) * 1000)
        self.messages.append(Waiting(body, group if self.fifo else "", self.now, due))

    @rule(most=st.integers(1, 4), hidden=st.sampled_from((0, 1_000, 30_000)))
    def receive(self, most: int, hidden: int) -> None:
        async def received() -> Any:
            found = await self.broker.receive(self.broker.queue("q", self.fifo), self.rules_of(), most, hidden)
            await self.broker.expire(self.broker.queue("q", self.fifo), self.rules_of())
            await self.committer.drained()  # what was too old has gone, here as in the model
            return found

        got = self.run(received())
        assert [each.body for each in got] == [each.body for each in self.expected(most)]
        for each, mine in zip(got, self.expected(most, taking=True), strict=True):
            mine.due, mine.receives = self.now + hidden, mine.receives + 1
            assert each.receives == mine.receives
            mine.handle = ReceiptHandle(self.broker.queue("q", self.fifo).number, each.number, each.receipt)
            self.handles.append((mine, mine.handle))

    def expected(self, most: int, *, taking: bool = False) -> list[Waiting]:
        """What is to come, by looking at all there is. taking: dead letters and old messages go now."""
        messages = [each for each in self.messages if each.sent + RETENTION > self.now]
        found: list[Waiting] = []
        gone: list[Waiting] = []
        for group in self.in_turn(messages):
            for each in group:
                if len(found) == most or each.due > self.now:
                    break
                (gone if each.receives >= MOST_RECEIVES else found).append(each)
        if taking:
            self.messages = [each for each in messages if each not in gone]
            self.dead += gone
        return found

    def in_turn(self, messages: list[Waiting]) -> list[list[Waiting]]:
        """Groups nobody holds, the one that waits longest first. Of a standard queue each message is its own."""
        if not self.fifo:
            return [[each] for each in messages]
        groups: dict[str, list[Waiting]] = {}
        for each in messages:
            groups.setdefault(each.group, []).append(each)
        return [each for each in groups.values() if all(one.due <= self.now for one in each)]

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        mine, handle = data.draw(st.sampled_from(self.handles))
        expired = mine in self.messages and mine.handle == handle and mine.due <= self.now
        try:
            self.run(self.broker.delete(self.broker.queue("q", self.fifo), handle))
        except HandleExpired:
            assert self.fifo and expired
            return
        assert not (self.fifo and expired)
        if mine.handle == handle and mine in self.messages:
            self.messages.remove(mine)

    @precondition(lambda self: self.handles)
    @rule(data=st.data(), hidden=st.sampled_from((0, 2_000)))
    def postpone(self, data: st.DataObject, hidden: int) -> None:
        mine, handle = data.draw(st.sampled_from(self.handles))
        if mine not in self.messages:
            return
        held = mine.handle == handle and mine.due > self.now
        try:
            self.run(self.broker.postpone(self.broker.queue("q", self.fifo), handle, hidden))
        except NotInFlight:
            assert not held
            return
        assert held
        mine.due = self.now + hidden

    @rule(seconds=st.sampled_from((1, 5, 30, 299, 401)))
    def wait(self, seconds: int) -> None:
        self.now += seconds * 1000
        if seconds > RETENTION // 1000:
            self.run(self.broker.expire(self.broker.queue("q", self.fifo), self.rules_of()))
            self.messages = [each for each in self.messages if each.sent + RETENTION > self.now]

    @rule()
    def restart(self) -> None:
        self.open()

    @invariant()
    def counts_fit(self) -> None:
        if not hasattr(self, "broker"):
            return
        order = self.broker.queue("q", self.fifo).order
        order.advance(self.now)
        hidden = sum(each.due > self.now for each in self.messages)
        assert (len(order.messages), order.in_flight + order.delayed) == (len(self.messages), hidden)
        assert len(self.broker.queue("dead", self.fifo).order.messages) == len(self.dead)

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.run(self.committer.drained())
            self.database.close()  # type: ignore[union-attr]
            self.loop.close()
            self.folder.cleanup()


class FifoMachine(QueueMachine):
    """The same of a FIFO queue."""

    fifo = True


TestStandard = QueueMachine.TestCase
TestFifo = FifoMachine.TestCase
TestStandard.settings = TestFifo.settings = settings(
    max_examples=int(os.environ.get("AEREKOS_QUEUE_EXAMPLES", "12")), stateful_step_count=30, deadline=None
)
