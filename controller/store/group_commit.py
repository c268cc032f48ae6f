"""Group commit: many writes, one trip to the disk.

There is no writer task that somebody would have to own. The first caller leads: it takes everything that
waits, commits it and hands the lead to the next one that came meanwhile. Leading is shielded from
cancellation, so a caller that is cancelled breaks nobody's batch.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

import anyio
import anyio.lowlevel

from controller.kit import tracing
from controller.kit.clock import Clock
from controller.kit.threads import BlockingExecutor
from controller.store.backend import SqlBackend
from controller.store.batching import Batch, Pending
from controller.store.memory_index import MemoryIndex
from controller.store.metrics import StoreMetrics
from controller.store.records import Change, Record, StoreBroken, StoreError
from controller.store.tables import ClockRow
from crds.meta import ObjectKey

LARGEST_BATCH = 1000
"""Changes in one commit. More would keep readers of the answer waiting without sparing the disk much."""


class GroupCommitter:
    """The queue of waiting writes, and the lead that goes round among them."""

    def __init__(self, disk: SqlBackend, memory: MemoryIndex, threads: BlockingExecutor, clock: Clock) -> None:
        self._disk, self._memory, self._threads, self._clock = disk, memory, threads, clock
        self._queue: deque[Pending] = deque()
        self.metrics = StoreMetrics()
        self.trouble: StoreError | None = None
        self._leader_active = False
        self._closed = False
        self._drained = anyio.Event()
        self._batch_ended = anyio.Event()  # when the batch that is being formed has ended
        # Compaction takes it between two batches. Fast: nobody else may wait for it most of the time.
        self.disk_lock = anyio.Lock(fast_acquire=True)

    async def write(self, changes: Sequence[Change], by: str) -> Sequence[Record]:
        """As `Store.write`."""
        if self._closed:
            raise StoreBroken(f"{self._disk.name} is closed; open the store again")
        first = self._leader_active and not self._queue
        pending = Pending(tuple(changes), by, anyio.Event() if first else self._batch_ended, trace=tracing.current())
        self._queue.append(pending)
        if self._leader_active:
            await self._wait(pending)
        else:
            self._leader_active = pending.leads = True
        if pending.leads and not pending.done:
            with anyio.CancelScope(shield=True):
                await self._lead()
        return pending.outcome()

    async def close(self) -> None:
        """Refuse new writes, wait for those that are here."""
        self._closed = True
        if self._leader_active:
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
        ended = self._next_batch()
        try:
            with _span_of(batch):
                await self._commit(batch)
        except self._disk.errors as error:
            self.metrics.failed += 1
            self.trouble = self._disk.broken("write", error)
            self._fail(batch, self.trouble)
        except BaseException as error:
            self._fail(batch, StoreBroken(f"{self._disk.name}: the write ended with {error!r}; nothing is known"))
            raise
        finally:
            ended.set()
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
            await self.catch_up()
        while True:
            batch = Batch(self._memory, self._clock.now())
            for pending in waiting:
                batch.add(pending)
            if self._disk.sharing is not None and batch.refused and await self.catch_up():
                continue  # it may have been refused for what another process has changed since
            if not batch.records or await self._write_down(batch):
                break
            # Another process wrote first: learn what, and judge everything again.
            await self.catch_up()
        if batch.records:
            self.trouble = None
            # A listener may have read some of them already.
            if missing := batch.records[self._memory.revision - batch.base :]:
                self._memory.apply(missing)
        batch.settle()

    async def _write_down(self, batch: Batch) -> bool:
        async with self.disk_lock:
            written, seconds = await self._threads.run(lambda: self._append(batch))
        if written:
            self.metrics.batches.add(len(batch.records))
            self.metrics.commits.add(seconds)
        return written

    def _append(self, batch: Batch) -> tuple[bool, float]:
        """Whether it is on disk, and the seconds that took on this thread."""
        began = time.perf_counter()
        written = self._disk.append(batch.base, batch.records, batch.locks)
        return written, time.perf_counter() - began

    async def catch_up(self) -> bool:
        """Learn what other processes wrote; whether there was something."""
        known = self._memory.revision
        newer, clock_row = await self._threads.run(lambda: self._disk.records_since(known))
        if self.learn(known, newer, clock_row):
            # Compaction by the other process took some of it: only the heads still tell everything.
            await self.rebuild()
        return self._memory.revision > known

    def learn(self, known: int, newer: Sequence[Record], clock_row: ClockRow) -> bool:
        """Take in what stood on disk after `known`; some of it may have come another way meanwhile. Whether records
        were missing in it. Raises StoreBroken for a database that has lost some.
        """
        if clock_row.revision < known:
            raise StoreBroken(_went_back(self._disk.name, clock_row.revision, known))
        if len(newer) != clock_row.revision - known:
            return True
        self._memory.oldest = max(self._memory.oldest, clock_row.compacted)
        if missing := newer[self._memory.revision - known :]:
            self._memory.apply(missing)
        return False

    async def rebuild(self) -> None:
        """Fill the memory from the heads."""
        self.learn_anew(*await self._threads.run(self._disk.heads))

    def learn_anew(self, living: list[Record], tombstones: dict[ObjectKey, int], clock_row: ClockRow) -> None:
        """Take in what the heads said, unless more has come another way meanwhile."""
        if clock_row.revision >= self._memory.revision:
            self._memory.rebuild(living, tombstones, clock_row.revision, clock_row.compacted)

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
            self._leader_active = False
            if self._closed:
                self._drained.set()

    def _call(self, leader: Pending) -> None:
        leader.leads = True
        # One that was not the first to come waits with all others: those wake too, and wait again.
        turn = self._next_batch() if leader.turn is self._batch_ended else leader.turn
        turn.set()

    def _next_batch(self) -> anyio.Event:
        """What all waited for so far. Those still in the queue wait for the next from now on."""
        ended, self._batch_ended = self._batch_ended, anyio.Event()
        for each in self._queue:
            each.turn = self._batch_ended
        return ended


def _span_of(batch: Sequence[Pending]) -> tracing.Span:
    """One span for the commit, below the first traced write; the others are linked."""
    first, *others = [each.trace for each in batch if each.trace is not None] or [None]
    return tracing.within(first, "store batch", others)


def _went_back(name: str, found: int, known: int) -> str:
    lost = f"{name} stands at revision {found}, and stood at {known}: it has lost what was acknowledged"
    return f"{lost}. A copy that takes over must be synchronous. Start again to go on with what is there."
