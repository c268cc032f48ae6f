"""Reads lines beside the writer: the newest or oldest that fit, of some streams, from blocks in the order of time."""

from __future__ import annotations

import heapq
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from services.logs_manager.store import tables
from services.logs_manager.store.blocks import Block, Entry, Unreadable

_BY_ID = 200
"""So many streams are asked for by their numbers; of more, all blocks of the time are looked at."""
SECONDS = 20.0
"""What a query may take, all parts of it together."""
MOST_FOUND, OVERHEAD = 32 << 20, 26
"""Bytes of lines that one answer is made of, and what each line counts besides."""


class TookTooLong(Exception):
    """A query would take longer, or more, than anybody may. Its text is for whoever asked."""


class Span(NamedTuple):
    """From `start` on and before `end`, in ns since 1970."""

    start: int
    end: int


class FoundLine(NamedTuple):
    """A line of a stream. `arrived`: ms since 1970, of the newest line that was written with it."""

    stream: int
    entry: Entry
    arrived: int


class FoundLines(list[FoundLine]):
    """`is_cut`: others would have been found, but for the bytes."""

    is_cut = False


Wanted = Callable[[int, Entry], bool]
Needle = bytes  # of UTF-8


class LogReader:
    """Used by one thread at a time."""

    def __init__(self, path: Path, unreadable: set[int]) -> None:
        """`unreadable`: where it notes blocks that it passed over."""
        self._unreadable = unreadable
        self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False, isolation_level=None)
        self._deadline: float | None = None

    @contextmanager
    def in_time(self) -> Iterator[None]:
        """What is asked inside takes its time from one account."""
        before, self._deadline = self._deadline, self._deadline or time.monotonic() + SECONDS
        try:
            yield
        finally:
            self._deadline = before

    def require_time(self) -> None:
        """Raises TookTooLong. For whoever computes with what was read."""
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise TookTooLong(f"the query takes longer than {SECONDS:.0f} s: ask for less time, or fewer streams")

    def close(self) -> None:
        self._db.close()

    def walk(self, streams: Collection[int], span: Span, needles: Sequence[Needle] = ()) -> Iterator[FoundLine]:
        """All lines that hold the needles, block after block. Raises TookTooLong."""
        with self.in_time(), self._moment():
            for row in self._rows(streams, span, "ORDER BY last"):
                yield from self._of(row, span, needles)

    def first(
        self,
        streams: Collection[int],
        span: Span,
        limit: int,
        wanted: Wanted,
        *,
        newest: bool,
        needles: Sequence[Needle] = (),
        after: tuple[int, int] | None = None,
        cut_at: int | None = None,
    ) -> FoundLines:
        """The `limit` newest or oldest lines that are wanted, in that order. `after`: only what comes after a line of
        that time and number, in this order. `cut_at`: bytes (OVERHEAD for each line besides) after which there is an
        end, though not before one line; without it, more than MOST_FOUND is refused. Raises TookTooLong.
        """
        sign = 1 if newest else -1
        best = _Best(limit, MOST_FOUND if cut_at is None else cut_at)
        least = (sign * after[0], sign * after[1]) if after is not None else None
        with self.in_time(), self._moment():
            for row in self._rows(streams, span, "ORDER BY last DESC" if newest else "ORDER BY first"):
                if best.bar is not None and sign * (row.last if newest else row.first) < best.bar[0]:
                    break
                for found in self._of(row, span, needles):
                    key = (sign * found.entry.time, sign * found.entry.number)
                    if (least is not None and key >= least) or (best.bar is not None and key <= best.bar):
                        continue
                    self.require_time()
                    if wanted(found.stream, found.entry):
                        best.add(key, found)
        if best.is_cut and cut_at is None:
            raise TookTooLong(f"the lines have more than {MOST_FOUND >> 20} MiB: ask for fewer, or for less time")
        return best.lines()

    def sizes(self, streams: Collection[int]) -> dict[int, tables.StreamSize]:
        found: dict[int, tables.StreamSize] = {}
        for each in streams:
            self.require_time()
            found |= tables.sizes(self._db, each)
        return found

    def written_in(self, streams: Collection[int], span: Span) -> set[int]:
        """Which of these have lines in that time."""
        return {row.stream for row in self._rows(streams, span, "")}

    @contextmanager
    def _moment(self) -> Iterator[None]:
        """Inside, the file is as at one moment: what is merged meanwhile is neither missed nor seen twice."""
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    def _rows(self, streams: Collection[int], span: Span, order: str) -> list[tables.BlockRow]:
        chosen = ""
        if len(streams) <= _BY_ID:
            chosen = f"AND stream IN ({','.join(str(int(each)) for each in streams)})"
        query = f"SELECT number, stream, first, last FROM blocks WHERE last >= ? AND first < ? {chosen} {order}"  # noqa: S608
        rows = (tables.BlockRow(*row) for row in self._db.execute(query, (span.start, span.end)))
        return [row for row in rows if row.stream in streams]

    def _of(self, row: tables.BlockRow, span: Span, needles: Sequence[Needle]) -> Iterator[FoundLine]:
        self.require_time()
        data = self._db.execute("SELECT data, arrived FROM blocks WHERE number = ?", (row.number,)).fetchone()
        try:
            block = Block(data[0])
        except Unreadable:
            self._unreadable.add(row.number)
            return
        if any(each not in block.text for each in needles):
            return
        chosen = block.holding(needles[0]) if needles else range(len(block))
        whole = row.first >= span.start and row.last < span.end
        for i in chosen:
            if whole or span.start <= block.times[i] < span.end:
                yield FoundLine(row.stream, block.entry(i), data[1])


class _Best:
    """The lines with the greatest keys: so many, and so many bytes. `bar`: what is not above it is not among them."""

    def __init__(self, limit: int, most: int) -> None:
        self._limit, self._most, self._size = limit, most, 0
        self._kept: list[tuple[tuple[int, int], FoundLine]] = []
        self._last_out: tuple[int, int] | None = None
        self.bar: tuple[int, int] | None = None

    def add(self, key: tuple[int, int], found: FoundLine) -> None:
        heapq.heappush(self._kept, (key, found))
        self._size += _size(found)
        while len(self._kept) > self._limit or (self._size > self._most and len(self._kept) > 1):
            self._last_out, out = heapq.heappop(self._kept)
            self._size -= _size(out)
        # What was let go of stays out, also where a smaller one behind it would fit.
        self.bar = self._kept[0][0] if len(self._kept) == self._limit else self._last_out

    @property
    def is_cut(self) -> bool:
        return self._last_out is not None and len(self._kept) < self._limit

    def lines(self) -> FoundLines:
        found = FoundLines(found for _, found in sorted(self._kept, reverse=True))
        found.is_cut = self.is_cut
        return found


def _size(found: FoundLine) -> int:
    return len(found.entry.line) + len(found.entry.fields) + OVERHEAD
