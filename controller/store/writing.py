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
from controller.store.records import Change, Record, StoreBroken

LARGEST_BATCH = 1000
"""Changes in one commit. More would keep readers of the answer waiting without sparing the disk much."""


class Writing:
    """The queue of waiting writes, and the lead that goes round among them."""

    def __init__(self, disk: Disk, memory: Memory, threads: ThreadDoor, clock: Clock) -> None:
        self._disk, self._memory, self._threads, self._clock = disk, memory, threads, clock
        self._queue: deque[Pending] = deque()
        self._led = False
        self._closed = False
        self._drained = anyio.Event()
        # Compaction takes it between two batches. Fast: nobody else may wait for it most of the time.
        self.disk_lock = anyio.Lock(fast_acquire=True)

    async def write(self, changes: Sequence[Change], by: str) -> Sequence[Record]:
        """As `Store.write`."""
        if self._closed:
            raise StoreBroken(f"{self._disk.name} is closed; open the store again")
        pending = Pending(tuple(changes), by)
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
            await pending.turn.wait()
        except BaseException:
            pending.abandoned = True
            if pending.leads and not pending.done:
                self._hand_over()
            raise

    async def _lead(self) -> None:
        batch = self._gather()
        try:
            await self._commit(batch)
        except self._disk.errors as error:
            self._fail(batch, self._disk.broken("write", error))
        except BaseException as error:
            self._fail(batch, StoreBroken(f"{self._disk.name}: the write ended with {error!r}; nothing is known"))
            raise
        finally:
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
            self._queue[0].leads = True
            self._queue[0].turn.set()
        else:
            self._led = False
            if self._closed:
                self._drained.set()
