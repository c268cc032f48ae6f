"""Group commit: many writes, one trip to the disk.

There is no writer task that somebody would have to own. The first caller leads: it takes everything that
waits, commits it and hands the lead to the next one that came meanwhile. Leading is shielded from
cancellation, so a caller that is cancelled breaks nobody's batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import anyio
import anyio.lowlevel

from controller.kit.clock import Clock
from controller.kit.threads import ThreadDoor
from controller.store.batching import Batch, Pending
from controller.store.disk import Disk
from controller.store.memory import Memory
from controller.store.records import Change, Record, StoreBroken, StoreError

LARGEST_BATCH = 1000
"""Changes in one commit. More would keep readers of the answer waiting without sparing the disk much."""


class Writing:
    """The queue of waiting writes, and the lead that goes round among them."""

    def __init__(self, disk: Disk, memory: Memory, threads: ThreadDoor, clock: Clock) -> None:
        self._disk, self._memory, self._threads, self._clock = disk, memory, threads, clock
        self._queue: deque[Pending] = deque()
        self.trouble: StoreError | None = None
        self._led = False
        self._closed = False
        self._drained = anyio.Event()
        self._told = anyio.Event()  # when the batch that is being formed has ended
        # Compaction takes it between two batches. Fast: nobody else may wait for it most of the time.
        self.disk_lock = anyio.Lock(fast_acquire=True)

    async def write(self, changes: Sequence[Change], by: str) -> Sequence[Record]:
        """As `Store.write`."""
        if self._closed:
            raise StoreBroken(f"{self._disk.name} is closed; open the store again")
        first = self._led and not self._queue
        pending = Pending(tuple(changes), by, anyio.Event() if first else self._told)
        self._queue.append(pending)
        if self._led:
            await self._wait(pending)
        else:
            self._led = pending.leads = True
        if pending.leads and not pending.done:
            with anyio.CancelScope(shield=True):
                await self._lead()
        return pending.outcome()

    async def close(self) -> None:
        """Refuse new writes, wait for those that are here."""
        self._closed = True
        if self._led:
            await self._drained.wait()

    async def _wait(self, pending: Pending) -> None:
        try:
            while not (pending.done or pending.leads):
                await pending.turn.wait()
        except BaseException:
            pending.abandoned = True
            if pending.leads and not pending.done:
                self._hand_over()
            raise

    async def _lead(self) -> None:
        batch = self._gather()
        told = self._begin_anew()
        try:
            await self._commit(batch)
        except self._disk.errors as error:
            self.trouble = self._disk.broken("write", error)
            self._fail(batch, self.trouble)
        except BaseException as error:
            self._fail(batch, StoreBroken(f"{self._disk.name}: the write ended with {error!r}; nothing is known"))
            raise
        finally:
            told.set()
            if len(batch) > 1:
                # Those just told often write again at once. Without this turn for them, the leader's own next
                # write would go to disk alone, every second time.
                await anyio.lowlevel.checkpoint()
            self._hand_over()

    def _gather(self) -> list[Pending]:
        batch: list[Pending] = []
        size = 0
        while self._queue and (not batch or size + len(self._queue[0].changes) <= LARGEST_BATCH):
            pending = self._queue.popleft()
            if not pending.abandoned:
                batch.append(pending)
                size += len(pending.changes)
        return batch

    async def _commit(self, waiting: list[Pending]) -> None:
        if any(change.expect > self._memory.revision for each in waiting for change in each.changes):
            await self._catch_up()
        while True:
            batch = Batch(self._memory, self._clock.now())
            for pending in waiting:
                batch.add(pending)
            if not batch.records or await self._write_down(batch):
                break
            # Another process wrote first: learn what, and judge everything again.
            await self._catch_up()
        if batch.records:
            self.trouble = None
            self._memory.apply(batch.records)
        batch.settle()

    async def _write_down(self, batch: Batch) -> bool:
        async with self.disk_lock:
            return await self._threads.run(lambda: self._disk.append(batch.base, batch.records, batch.locks))

    async def _catch_up(self) -> None:
        known = self._memory.revision
        news, hands = await self._threads.run(lambda: self._disk.news(known))
        if len(news) == hands.revision - known:
            self._memory.oldest = hands.compacted
            if news:
                self._memory.apply(news)
        else:
            # Compaction by the other process took some of it: only the heads still tell everything.
            await self.rebuild()

    async def rebuild(self) -> None:
        """Fill the memory from the heads."""
        living, graves, hands = await self._threads.run(self._disk.heads)
        self._memory.rebuild(living, graves, hands.revision, hands.compacted)

    def _fail(self, batch: list[Pending], error: Exception) -> None:
        for pending in batch:
            if not pending.done:
                pending.finish(error=error)

    def _hand_over(self) -> None:
        while self._queue and self._queue[0].abandoned:
            self._queue.popleft()
        if self._queue:
            self._call(self._queue[0])
        else:
            self._led = False
            if self._closed:
                self._drained.set()

    def _call(self, leader: Pending) -> None:
        leader.leads = True
        # One that was not the first to come waits with all others: those wake too, and wait again.
        turn = self._begin_anew() if leader.turn is self._told else leader.turn
        turn.set()

    def _begin_anew(self) -> anyio.Event:
        """What all waited for so far. Those still in the queue wait for the next from now on."""
        told, self._told = self._told, anyio.Event()
        for each in self._queue:
            each.turn = self._told
        return told
