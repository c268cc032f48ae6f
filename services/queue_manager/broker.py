"""Messages of all queues of this process: sent, received, deleted; in memory in order, on disk before it is answered.

What a call means for the memory happens at once or when its change is durable, in the order of the changes. Receives
are durable, too: after a crash nobody gets a message that somebody else still has.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeVar
from uuid import uuid4

from crds.errors import NotFound
from services.queue_manager import message_store
from services.queue_manager.database import MessageDatabase
from services.queue_manager.deduplication import Remembered
from services.queue_manager.live_queue import LiveQueue, QueueRules
from services.queue_manager.message import Draft, Message, Received, Sent
from services.queue_manager.message_store import BackRow, MovedRow, NewRow, QueueRow, TakenRow
from services.queue_manager.receipt_handles import ReceiptHandle, new_receipt
from services.sdk.group_commit import GroupCommitter
from services.sdk.sqlite_file import give_back

T = TypeVar("T")
MOST_IN_FLIGHT = 120_000
LONGEST_HIDDEN = 43_200_000
ATTEMPT_WINDOW = 300_000
_CHUNK = 2_000
_LOADED = """SELECT queue, number, sent, due, grp, receives, receipt, taken,
  CASE WHEN queue IN (SELECT number FROM queues WHERE uid GLOB 'address:*') THEN length(CAST(body AS BLOB)) ELSE 0 END
  FROM messages ORDER BY number"""
"""Bodies are read of queues that are measured (`live_queue.ADDRESS`), of no others."""
_SPACE_EVERY_SECONDS = 60.0
# Longer than any commit: what is being deleted comes back to nobody.
_FAR = 1 << 62
_NUMBERS_PER_MILLISECOND = 20


class OverLimit(Exception):
    """Too many messages of that queue are in flight."""


class HandleExpired(Exception):
    """A receipt handle of a FIFO queue whose visibility timeout has passed."""


class NotInFlight(Exception):
    """The message is visible, or somebody else has it."""


class Gone(Exception):
    """There is no such message any more."""


class TooLong(Exception):
    """It would have been hidden for more than twelve hours."""


def is_leaving(message: Message) -> bool:
    """Whether a change of it is on its way to the disk: it may be deleted, or given to somebody."""
    return message.due == _FAR


class ToSend(NamedTuple):
    """A message, and where to."""

    queue: LiveQueue
    rules: QueueRules
    draft: Draft


class Broker:
    """One per process. `now`: the wall clock in milliseconds."""

    def __init__(self, database: MessageDatabase, committer: GroupCommitter, now: Callable[[], int]) -> None:
        self._database, self._committer, self.now = database, committer, now
        self._queues: dict[str, LiveQueue] = {}
        self._by_number: dict[int, LiveQueue] = {}
        self._stopped = False
        # Above all that were ever given: a sequence number never comes twice, also when all messages are deleted.
        self._next = now() << _NUMBERS_PER_MILLISECOND
        self._load()

    def queue(self, uid: str, fifo: bool) -> LiveQueue:
        """The queue of that resource."""
        found = self._queues.get(uid)
        if found is None:
            # A number of no other queue, ever: what somebody still has for a deleted one belongs to nobody else.
            found = self._added(self.new_sequence(), uid, fifo)
        return found

    def known(self) -> list[LiveQueue]:
        """Those that ever had a message."""
        return list(self._queues.values())

    def known_queue(self, uid: str) -> LiveQueue | None:
        return self._queues.get(uid)

    async def send(self, items: Sequence[ToSend]) -> list[Sent]:
        """All of them, in one transaction; what a FIFO queue knows already is not sent again. Raises NotFound for a
        queue that is being deleted, sqlite3.Error.
        """
        if any(each.queue.dropped for each in items):
            raise NotFound("the queue is being deleted")
        now, rows, sent = self.now(), [], []
        pending: list[asyncio.Future[None]] = []
        for item in items:
            known = self._known(item, now)
            if known is not None:
                sent.append(known.sent)
                if known.pending is not None:
                    pending.append(known.pending)
                continue
            rows.append(row := self._row(item, now))
            sent.append(_sent(row, item.queue))
            if item.queue.fifo:
                item.queue.deduplication.remember(_key(item), Remembered(sent[-1], now))
        if rows:
            queues = {_stored(each.queue) for each in items}
            insert = partial(message_store.insert, rows=rows, queues=queues)
            future = self._committer.submit(insert, partial(self._arrived, rows), partial(self._unsent, rows))
            self._note_pending(rows, now, future)
            pending.append(future)
        for each in pending:
            await asyncio.shield(each)
        return sent

    def new_sequence(self) -> int:
        """A number above all before, of whatever has an order and is no message."""
        number, self._next = self._next, self._next + 1
        return number

    async def receive(
        self, queue: LiveQueue, rules: QueueRules, most: int, hidden: int, wait: float = 0.0, attempt: str = ""
    ) -> list[Received]:
        """At most so many messages, which nobody else gets for `hidden` ms. wait: seconds, when there is none.
        attempt: ReceiveRequestAttemptId. Raises OverLimit, sqlite3.Error.
        """
        loop, waited = asyncio.get_running_loop(), False
        deadline = loop.time() + wait
        while True:
            await self._delete_overdue(queue, rules)
            found = self._begin_receive(queue, rules, most, hidden, attempt)
            if found is not None:
                received = await found
                if received:
                    return received
                continue  # all of them were dead letters; there may be more
            left = deadline - loop.time()
            if left <= 0 or queue.stopped or self._stopped:
                return []
            await queue.changed(left, first=waited)
            waited = True

    async def delete(self, queue: LiveQueue, handle: ReceiptHandle) -> None:
        """Raises HandleExpired, sqlite3.Error. What was deleted already, or received again, is left as it is."""
        message = queue.order.messages.get(handle.message)
        if message is None or message.receipt != handle.receipt:
            return
        if queue.fifo and not self._is_held(queue, message):
            raise HandleExpired
        until = message.due
        queue.order.hide(message, _FAR)
        await self._committer.submit(
            lambda db: message_store.delete(db, [message.id]),
            lambda _: self._removed(queue, message),
            lambda: self._let_go(queue, message, until),
        )

    async def postpone(self, queue: LiveQueue, handle: ReceiptHandle, milliseconds: int) -> None:
        """Another time until it comes back. Raises Gone, NotInFlight, TooLong, sqlite3.Error."""
        message = queue.order.messages.get(handle.message)
        if message is None or message.due == _FAR:
            raise Gone
        if message.receipt != handle.receipt or not self._is_held(queue, message):
            raise NotInFlight
        now = self.now()
        if message.taken and now + milliseconds - message.taken > LONGEST_HIDDEN:
            raise TooLong
        until = now + milliseconds
        await self._committer.submit(
            lambda db: message_store.postpone(db, message.id, until),
            lambda _: self._postponed(queue, message, handle.receipt, until),
        )

    async def purge(self, queue: LiveQueue) -> None:
        """Delete all that is there now, in pieces: others wait for none of them long; and forget their deduplication
        ids. Raises sqlite3.Error.
        """
        there, end = list(queue.order.messages.values()), self.new_sequence()
        for start in range(0, len(there), _CHUNK):
            piece = there[start : start + _CHUNK]
            await self._delete(queue, [each for each in piece if queue.order.messages.get(each.id) is each])
        if queue.fifo and not queue.dropped:
            await self._committer.submit(
                lambda db: message_store.forget_gone(db, queue.number, end),
                lambda _: queue.deduplication.forget_gone(end, queue.order.messages),
            )

    async def drop(self, uid: str) -> None:
        """Forget that queue and all that is in it. Raises sqlite3.Error."""
        queue = self._queues.get(uid)
        if queue is None:
            return
        queue.drop()
        while queue.order.messages:
            await self.purge(queue)
        # Also what is on its way there: it was submitted before.
        await self._committer.submit(
            lambda db: message_store.drop_queue(db, queue.number), lambda _: self._forget(queue)
        )

    async def send_back(
        self, queue: LiveQueue, most: int, targets: Mapping[str, LiveQueue], everywhere: LiveQueue | None = None
    ) -> int:
        """Move so many visible messages, each where `targets` says for the ARN of the queue it failed in, or all of
        them `everywhere`. Returns how many. Raises LookupError where one has none, and sqlite3.Error; these stay.
        """
        queue.come_due()
        taken = queue.order.take(most)
        for each in taken:
            queue.order.hide(each, _FAR)
        if not taken:
            return 0
        change = partial(
            message_store.send_back,
            rows=[BackRow(each.id, self.new_sequence()) for each in taken],
            targets={arn: _stored(each) for arn, each in targets.items() if not each.dropped},
            everywhere=None if everywhere is None or everywhere.dropped else _stored(everywhere),
            now=self.now(),
        )
        moved = await self._committer.submit(
            change, lambda rows: self._sent_back(queue, taken, rows), lambda: self._all_let_go(queue, taken)
        )
        if moved is None:
            raise LookupError("a message failed in no queue that is there")
        return len(moved)

    def submit(self, change: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """The result of a change of the same file, when it is durable."""
        return self._committer.submit(change)

    async def expire(self, queue: LiveQueue, rules: QueueRules) -> int:
        """Delete what was kept long enough, and forget old deduplication ids. Returns how many messages went."""
        gone = await self._delete_overdue(queue, rules)
        keys = [(queue.number, group, id, at) for (group, id), at in queue.deduplication.take_expired(self.now())]
        for start in range(0, len(keys), _CHUNK):
            piece = keys[start : start + _CHUNK]
            await self._committer.submit(partial(message_store.forget_deduplications, keys=piece))
        return gone

    async def give_back_space(self) -> None:
        """Let go of what deleted messages took on the disk, step by step, until cancelled. Raises sqlite3.Error."""
        while True:
            await asyncio.sleep(_SPACE_EVERY_SECONDS)
            while await self._committer.submit(give_back):
                pass

    def stop(self) -> None:
        """Whoever waits for messages is answered that there are none, from now on at once."""
        self._stopped = True
        for each in self._queues.values():
            each.stop()

    # Sending

    def _known(self, item: ToSend, now: int) -> Remembered | None:
        return item.queue.deduplication.find(_key(item), now) if item.queue.fifo else None

    def _row(self, item: ToSend, now: int) -> NewRow:
        delay = item.rules.delay if item.draft.delay_seconds is None else item.draft.delay_seconds * 1000
        scope = item.draft.group if item.rules.per_group else ""
        return NewRow(self.new_sequence(), item.queue.number, str(uuid4()), item.draft, now, now + delay, scope)

    def _note_pending(self, rows: Sequence[NewRow], now: int, future: asyncio.Future[None]) -> None:
        for row in rows:
            queue = self._by_number[row.queue]
            if queue.fifo:
                key = (row.scope, row.draft.deduplication)
                queue.deduplication.remember(key, Remembered(_sent(row, queue), now, future))

    def _arrived(self, rows: Sequence[NewRow], _: None) -> None:
        now = self.now()
        for row in rows:
            queue = self._by_number.get(row.queue)
            if queue is None:
                continue  # it was deleted meanwhile, and its rows with it
            if queue.fifo:
                key = (row.scope, row.draft.deduplication)
                queue.deduplication.remember(key, Remembered(_sent(row, queue), row.sent))
            size = len(row.draft.body.encode()) if queue.measured else 0
            queue.order.add(Message(row.number, row.sent, row.due, row.draft.group, size=size), now)
            self._came(queue)

    def _unsent(self, rows: Sequence[NewRow]) -> None:
        for row in rows:
            if (queue := self._by_number.get(row.queue)) is not None and queue.fifo:
                queue.deduplication.forget((row.scope, row.draft.deduplication))

    # Receiving

    def _begin_receive(
        self, queue: LiveQueue, rules: QueueRules, most: int, hidden: int, attempt: str
    ) -> asyncio.Future[list[Received]] | None:
        now, order = self.now(), queue.order
        if queue.dropped:
            return None
        queue.come_due()
        again = self._same_attempt(queue, attempt, now)
        if again:
            found = self._take(queue, again, [], now + hidden, now)
            self._note_attempt(queue, attempt, queue.attempts[attempt][0], again)
            return found
        if order.in_flight >= MOST_IN_FLIGHT:
            if queue.fifo:
                return None
            raise OverLimit
        taken, dead = self._chosen(queue, rules, min(most, MOST_IN_FLIGHT - order.in_flight))
        if not taken and not dead:
            return None
        found = self._take(queue, taken, self._dead_letters(dead, rules, now), now + hidden, now)
        if attempt:
            self._note_attempt(queue, attempt, now, taken)
        return found

    def _chosen(self, queue: LiveQueue, rules: QueueRules, most: int) -> tuple[list[Message], list[Message]]:
        """Those to be given, and those that were received too often; all of them hidden."""
        taken: list[Message] = []
        dead: list[Message] = []
        fail = rules.dead_letters is not None and not rules.dead_letters.dropped
        while len(taken) < most and len(dead) < _CHUNK and (found := queue.order.take(most - len(taken))):
            for each in found:
                queue.order.hide(each, _FAR)
                is_dead = fail and each.receives >= rules.most_receives
                (dead if is_dead else taken).append(each)
        return taken, dead

    def _take(
        self, queue: LiveQueue, taken: Sequence[Message], dead: Sequence[MovedRow], until: int, now: int
    ) -> asyncio.Future[list[Received]]:
        before = [(each, each.receipt, each.receives, each.taken) for each in taken]
        rows = []
        for each in taken:
            each.receipt, each.receives, each.taken = new_receipt(), each.receives + 1, now
            queue.order.postpone(each, until, now - 1)
            rows.append(TakenRow(each.id, until, now, each.receipt))
        queue.rearm()

        def undo() -> None:
            for message, receipt, receives, when in before:
                message.receipt, message.receives, message.taken = receipt, receives, when
                self._let_go(queue, message, now)
            for row in dead:
                if (failed := queue.order.messages.get(row.before)) is not None:
                    self._let_go(queue, failed, now)

        queues = {_stored(self._by_number[each.queue]) for each in dead}
        return self._committer.submit(
            lambda db: message_store.receive(db, rows, dead, queues), lambda _: self._moved(queue, dead), undo
        )

    def _dead_letters(self, dead: Sequence[Message], rules: QueueRules, now: int) -> list[MovedRow]:
        rows = []
        for each in dead:
            assert rules.dead_letters is not None
            rows.append(MovedRow(each.id, self.new_sequence(), rules.dead_letters.number, now, rules.arn))
        return rows

    def _moved(self, queue: LiveQueue, rows: Sequence[MovedRow], *, anew: bool = False) -> None:
        now = self.now()
        for row in rows:
            message = queue.order.messages.get(row.before)
            if message is None:
                continue  # it was deleted before it could be moved
            queue.order.remove(message)
            target = self._by_number.get(row.queue)
            if target is None:
                continue
            sent, receives = (row.due, 0) if anew else (message.sent, message.receives)
            moved = Message(row.number, sent, row.due, message.group, receives)
            target.order.add(moved, now)
            self._came(target)
        if rows:
            queue.wake(1)

    def _sent_back(self, queue: LiveQueue, taken: Sequence[Message], rows: Sequence[MovedRow] | None) -> None:
        self._moved(queue, rows or (), anew=True)
        self._all_let_go(queue, taken)  # those that stay

    def _note_attempt(self, queue: LiveQueue, attempt: str, begun: int, given: Sequence[Message]) -> None:
        queue.attempts[attempt] = (begun, tuple((each.id, each.receipt) for each in given))

    def _same_attempt(self, queue: LiveQueue, attempt: str, now: int) -> list[Message]:
        """The messages of the receive that was asked for under this id before, as long as nobody touched them."""
        while queue.attempts and next(iter(queue.attempts.values()))[0] + ATTEMPT_WINDOW <= now:
            queue.attempts.popitem(last=False)
        if not attempt or attempt not in queue.attempts:
            return []
        _, given = queue.attempts[attempt]
        messages = [queue.order.messages.get(number) for number, _ in given]
        same = [
            each
            for each, (_, receipt) in zip(messages, given, strict=True)
            if each is not None and each.in_flight and each.due != _FAR and each.receipt == receipt
        ]
        return same if len(same) == len(given) else []

    # Both

    def _came(self, queue: LiveQueue) -> None:
        queue.wake(1)
        queue.rearm()

    def _is_held(self, queue: LiveQueue, message: Message) -> bool:
        queue.come_due()
        return message.in_flight

    def _let_go(self, queue: LiveQueue, message: Message, until: int) -> None:
        if queue.order.messages.get(message.id) is message:
            queue.order.postpone(message, until, self.now())
            self._came(queue)

    def _all_let_go(self, queue: LiveQueue, messages: Sequence[Message]) -> None:
        for each in messages:
            self._let_go(queue, each, self.now())

    def _removed(self, queue: LiveQueue, message: Message) -> None:
        if queue.order.messages.get(message.id) is message:
            queue.order.remove(message)
            if queue.fifo:
                queue.wake(1)  # its group goes on

    def _postponed(self, queue: LiveQueue, message: Message, receipt: int, until: int) -> None:
        still = queue.order.messages.get(message.id) is message and message.receipt == receipt
        if still and message.in_flight and message.due != _FAR:
            queue.order.postpone(message, until, self.now())
            self._came(queue)

    async def _delete_overdue(self, queue: LiveQueue, rules: QueueRules) -> int:
        """Returns how many. Each is taken once: nobody else looks through what is being deleted."""
        before, gone = self.now() - rules.retention, 0
        while old := queue.order.take_sent_until(before, _CHUNK):
            await self._delete(queue, old)
            gone += len(old)
        return gone

    def _delete(self, queue: LiveQueue, messages: Sequence[Message]) -> asyncio.Future[None]:
        for each in messages:
            queue.order.hide(each, _FAR)
        numbers = [each.id for each in messages]

        def removed(_: None) -> None:
            for each in messages:
                self._removed(queue, each)

        def undo() -> None:
            for each in messages:
                if queue.order.messages.get(each.id) is each:
                    queue.order.keep(each)
            self._all_let_go(queue, messages)

        return self._committer.submit(lambda db: message_store.delete(db, numbers), removed, undo)

    def _forget(self, queue: LiveQueue) -> None:
        self._queues.pop(queue.uid, None)
        self._by_number.pop(queue.number, None)

    def _added(self, number: int, uid: str, fifo: bool) -> LiveQueue:
        made = LiveQueue(number, uid, fifo, self.now)
        self._queues[uid] = self._by_number[number] = made
        return made

    def _load(self) -> None:
        """What is on the disk. Blocking."""
        now = self.now()
        message_store.drop_orphans(self._database.connection)
        for number, uid, fifo in self._database.rows("SELECT number, uid, fifo FROM queues"):
            self._added(number, uid, bool(fifo))
            self._next = max(self._next, number + 1)
        for queue, *columns in self._database.rows(_LOADED):
            message = Message(*columns)
            self._next = max(self._next, message.id + 1)
            self._by_number[queue].order.add(message, now, in_flight=message.receives > 0)
        remembered = "SELECT queue, grp, dedup, id, number, at FROM deduplications ORDER BY at"
        for queue, group, id, known, number, at in self._database.rows(remembered):
            self._by_number[queue].deduplication.remember((group, id), Remembered(Sent(known, number), at))


def _key(item: ToSend) -> tuple[str, str]:
    return item.draft.group if item.rules.per_group else "", item.draft.deduplication


def _stored(queue: LiveQueue) -> QueueRow:
    return QueueRow(queue.number, queue.uid, queue.fifo)


def _sent(row: NewRow, queue: LiveQueue) -> Sent:
    return Sent(row.id, row.number if queue.fifo else 0)
