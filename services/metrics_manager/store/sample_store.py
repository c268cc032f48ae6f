"""Samples: durable before they are acknowledged, the newest in memory, older ones in chunks.

What is appended becomes a batch in the file at once. Every half hour what memory holds becomes chunks, in one
transaction with the end of its batches: kill it anywhere, and each acknowledged sample is there once.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from services.metrics_manager.promql.labels import Labels, value_of
from services.metrics_manager.store import tables
from services.metrics_manager.store.chunks import packed, unpacked
from services.metrics_manager.store.series_index import SeriesIndex
from services.metrics_manager.store.tables import Batch, Chunk
from services.sdk.group_commit import GroupCommitter
from services.sdk.sqlite_file import SqliteFile

if TYPE_CHECKING:
    from services.metrics_manager.promql.matcher import Matcher
    from services.metrics_manager.promql.values import Series

MOST_SERIES, MOST_SERIES_OF_NAMESPACE = 60_000, 20_000
OF_PLATFORM = 10_000
"""So many of all series are left to what has no namespace."""
MOST_IN_MEMORY = 1_000_000
RETENTION_MS = 15 * 86_400_000
MOST_BYTES = 4 << 30
AHEAD_MS = 600_000


class Sample(NamedTuple):
    """`labels` are sorted and hold `__name__`; `time` in ms."""

    labels: Labels
    time: int
    value: float


class TooManySeries(Exception):
    """No more series are taken."""


class _Head:
    """The newest samples of one series."""

    __slots__ = ("times", "values")

    def __init__(self) -> None:
        self.times, self.values = array("q"), array("d")


class SampleStore:
    """Used by one event loop; `select` by any thread."""

    def __init__(self, file: SqliteFile, committer: GroupCommitter, folder: Path) -> None:
        self.index = SeriesIndex()
        self._committer, self._path = committer, folder / tables.FILE
        self._heads: dict[int, _Head] = {}
        self._unsaved: set[int] = set()
        self._held: Counter[int] = Counter()  # new series that somebody is about to append to, or is appending to
        self._number = self._committed = self.in_memory = 0
        self.size = tables.size(file.connection)
        for id, labels in tables.all_series(file.connection):
            self.index.add(labels, id)
        for number, batch in tables.all_batches(file.connection):
            self._number = self._committed = number
            self._take(batch)

    def series_of(self, labels: Labels) -> int:
        """The number of the series; a new one has one from now on. Raises TooManySeries."""
        known = self.index.find(labels)
        if known is not None:
            return known
        namespace = value_of(labels, "namespace")
        if len(self.index) >= MOST_SERIES - (OF_PLATFORM if namespace else 0):
            raise TooManySeries(
                f"there are {MOST_SERIES} series already, and no more are kept; delete what makes them"
            )
        if namespace and self.index.count("namespace", namespace) >= MOST_SERIES_OF_NAMESPACE:
            raise TooManySeries(f"the namespace {namespace} has {MOST_SERIES_OF_NAMESPACE} series already")
        id = self.index.add(labels)
        self._unsaved.add(id)
        return id

    def series_of_all(self, wanted: Sequence[Labels]) -> list[int]:
        """As `series_of`, of all or none: new ones without a sample would stay for good. Raises TooManySeries."""
        found: list[int] = []
        new: list[int] = []
        try:
            for labels in wanted:
                is_new = self.index.find(labels) is None
                found.append(self.series_of(labels))
                if is_new:
                    new.append(found[-1])
        except TooManySeries:
            for id in new:
                self.index.remove(id)
            self._unsaved.difference_update(new)
            raise
        return found

    @contextmanager
    def series_for(self, wanted: Sequence[Labels]) -> Iterator[list[int]]:
        """As `series_of_all`. New ones to which nothing is appended within are none afterwards: whoever is refused
        would use up the series there may be.
        """
        ids = self.series_of_all(wanted)
        new = self._unsaved.intersection(ids)
        self._held.update(new)
        try:
            yield ids
        finally:
            self._held.subtract(new)
            for id in new & self._unsaved:
                if not self._held[id]:
                    self._unsaved.discard(id)
                    self.index.remove(id)
            self._held = +self._held

    async def append(self, batch: Batch) -> None:
        """Durable when it returns. Raises sqlite3.Error."""
        if not batch.series:
            return
        self._number += 1
        number, new = self._number, self._unsaved.intersection(batch.series)
        series = [(id, tables.labels_text(self.index.labels[id])) for id in new]
        data = tables.batch_bytes(batch)

        def write(db: sqlite3.Connection) -> None:
            tables.add_series(db, series)
            tables.add_batch(db, number, data)

        def done(_: None) -> None:
            self._unsaved -= new
            self._held.subtract(new)
            self._committed = max(self._committed, number)
            self._take(batch)

        self._held.update(new)  # until it is written, though whoever asked may have gone by then
        await self._committer.submit(write, done, undo=lambda: self._held.subtract(new))

    async def add(self, samples: Iterable[Sample]) -> None:
        """As `append`. Raises TooManySeries, sqlite3.Error."""
        taken = list(samples)
        ids = self.series_of_all([each.labels for each in taken])
        times, values = (each.time for each in taken), (each.value for each in taken)
        await self.append(Batch(array("q", ids), array("q", times), array("d", values)))

    def _take(self, batch: Batch) -> None:
        for id, time, value in zip(batch.series, batch.times, batch.values, strict=True):
            head = self._heads.get(id)
            if head is None:
                head = self._heads[id] = _Head()
            head.times.append(time)
            head.values.append(value)
        self.in_memory += len(batch.series)

    async def cut(self) -> None:
        """Make chunks of what is in memory. Raises sqlite3.Error."""
        taken = {id: (head.times[:], head.values[:]) for id, head in self._heads.items() if head.times}
        up_to = self._committed

        def write(db: sqlite3.Connection) -> int:
            tables.put_chunks(db, [_chunk(id, *each) for id, each in taken.items()], up_to)
            return tables.size(db)

        def done(size: int) -> None:
            self.size = size
            for id, (times, _) in taken.items():
                head = self._heads[id]
                del head.times[: len(times)], head.values[: len(times)]
                self.in_memory -= len(times)
                if not head.times:
                    del self._heads[id]

        await self._committer.submit(write, done)

    async def forget_old(self, now: int) -> None:
        """Let go of what is older than is kept, and of the oldest where there is too much. Raises sqlite3.Error."""
        moment = now - RETENTION_MS
        if self.size > MOST_BYTES:
            found = await self._committer.submit(lambda db: tables.oldest_after(db, 0.1))
            moment = max(moment, found or moment)
        while await self._committer.submit(lambda db: tables.forget_before(db, moment)):
            pass
        idle = [id for id in self.index.labels if id not in self._heads]
        for i in range(0, len(idle), 1_000):
            part = idle[i : i + 1_000]
            await self._committer.submit(partial(_forget_series, part), self._forget)
        self.size = await self._committer.submit(tables.size)

    def _forget(self, gone: Sequence[int]) -> None:
        for id in gone:
            if id in self._heads or id in self._unsaved:
                self._unsaved.add(id)  # it came back meanwhile: its labels are to be written again
            else:
                self.index.remove(id)

    async def times_within(self, id: int, start: int, end: int) -> list[int]:
        """The moments from `start` to `end`, both included, of which a series has samples. Raises sqlite3.Error."""
        chunks = await self._committer.submit(lambda db: tables.chunks_of(db, id, start, end))
        found = [int(time) for each in chunks for time in unpacked(each)[0]]
        head = self._heads.get(id)
        return [time for time in (*found, *(head.times if head else ())) if start <= time <= end]

    async def newest_time(self, id: int) -> int:
        """The last moment of which a series has a sample; 0 without any. Raises sqlite3.Error."""
        stored = await self._committer.submit(lambda db: tables.last_of(db, id))
        head = self._heads.get(id)
        return max(stored, max(head.times, default=0) if head else 0)

    def reader(self) -> StoreReader:
        """For the queries of one thread."""
        return StoreReader(self, self._path)

    def newest(self, id: int) -> tuple[array[int], array[float]]:
        """A copy of what memory holds of a series."""
        head = self._heads.get(id)
        if head is None:
            return array("q"), array("d")
        values = head.values[:]
        return head.times[: len(values)], values


def _forget_series(part: Sequence[int], db: sqlite3.Connection) -> list[int]:
    return tables.forget_series(db, part)


def _chunk(id: int, times: array[int], values: array[float]) -> Chunk:
    if any(after < before for before, after in pairwise(times)):
        order = sorted(range(len(times)), key=times.__getitem__)
        times = array("q", [times[i] for i in order])
        values = array("d", [values[i] for i in order])
    return Chunk(id, times[0], times[-1], packed(times, values))


class StoreReader:
    """Reads beside the writer, as `SampleSource`."""

    def __init__(self, store: SampleStore, path: Path) -> None:
        self._store = store
        self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False)

    def close(self) -> None:
        self._db.close()

    def select(self, alternatives: Sequence[Sequence[Matcher]], start: int, end: int) -> Iterator[Series]:
        """One after the other: whoever asks for too many has seen enough before all are read. Raises QueryError."""
        return (self._series(id, start, end) for id in self._store.index.matching(alternatives))

    def has_samples(self, id: int, start: int, end: int) -> bool:
        """Whether memory has one of that time, or a chunk that reaches into it."""
        times, _ = self._store.newest(id)
        if any(start <= each <= end for each in times):
            return True
        return tables.has_chunk(self._db, id, start, end)

    def named(self, labels: Labels, start: int, end: int) -> Series | None:
        """The one series of these labels, if there is one."""
        id = self._store.index.find(labels)
        return None if id is None else self._series(id, start, end)

    def _series(self, id: int, start: int, end: int) -> Series:
        """Memory first: what moves to the file meanwhile is seen twice, and never not."""
        import numpy as np

        from services.metrics_manager.promql.values import Series

        newest = self._store.newest(id)
        parts = [unpacked(each) for each in tables.chunks_of(self._db, id, start, end)]
        parts.append((np.array(newest[0], dtype=np.int64), np.array(newest[1], dtype=np.float64)))
        times = np.concatenate([each[0] for each in parts])
        values = np.concatenate([each[1] for each in parts])
        if len(times) > 1 and not (times[1:] > times[:-1]).all():
            times, chosen = np.unique(times, return_index=True)
            values = values[chosen]
        chosen_slice = slice(int(np.searchsorted(times, start)), int(np.searchsorted(times, end, side="right")))
        return Series(self._store.index.labels.get(id, ()), times[chosen_slice], values[chosen_slice])
