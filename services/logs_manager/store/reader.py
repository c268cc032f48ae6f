"""Reads lines beside the writer: the newest or oldest that fit, of some streams, from blocks in the order of time."""

from __future__ import annotations

import heapq
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from services.logs_manager.store import tables
from services.logs_manager.store.blocks import Block, Entry

_BY_ID = 200
"""So many streams are asked for by their numbers; of more, all blocks of the time are looked at."""
SECONDS = 20.0


class TookTooLong(Exception):
    """A query would take longer than anybody may."""


class Span(NamedTuple):
    """From `start` on and before `end`, in ns since 1970."""

    start: int
    end: int


class FoundLine(NamedTuple):
    """A line of a stream. `arrived`: ms since 1970, of the newest line that was written with it."""

    stream: int
    entry: Entry
    arrived: int


Wanted = Callable[[int, Entry], bool]
Needle = bytes  # of UTF-8


class LogReader:
    """Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, check_same_thread=False, isolation_level=None)

    def close(self) -> None:
        self._db.close()

    def walk(self, streams: Collection[int], span: Span, needles: Sequence[Needle] = ()) -> Iterator[FoundLine]:
        """All lines that hold the needles, block after block. Raises TookTooLong."""
        with self._moment():
            for row in _in_time(self._rows(streams, span, "ORDER BY last")):
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
    ) -> list[FoundLine]:
        """The `limit` newest or oldest lines that are wanted, in that order. `after`: only what comes after a line of
        that time and number, in this order. Raises TookTooLong.
        """
        sign = 1 if newest else -1
        least = (sign * after[0], sign * after[1]) if after is not None else None
        kept: list[tuple[tuple[int, int], FoundLine]] = []
        with self._moment():
            for row in _in_time(self._rows(streams, span, "ORDER BY last DESC" if newest else "ORDER BY first")):
                if len(kept) == limit and sign * (row.last if newest else row.first) < kept[0][0][0]:
                    break
                for found in self._of(row, span, needles):
                    key = (sign * found.entry.time, sign * found.entry.number)
                    if (least is not None and key >= least) or (len(kept) == limit and key <= kept[0][0]):
                        continue
                    if wanted(found.stream, found.entry):
                        push = heapq.heappush if len(kept) < limit else heapq.heappushpop
                        push(kept, (key, found))
        return [found for _, found in sorted(kept, reverse=True)]

    def sizes(self, streams: Collection[int]) -> dict[int, tables.StreamSize]:
        found: dict[int, tables.StreamSize] = {}
        for each in streams:
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
        data = self._db.execute("SELECT data, arrived FROM blocks WHERE number = ?", (row.number,)).fetchone()
        block = Block(data[0])
        if any(each not in block.text for each in needles):
            return
        chosen = block.holding(needles[0]) if needles else range(len(block))
        whole = row.first >= span.start and row.last < span.end
        for i in chosen:
            if whole or span.start <= block.times[i] < span.end:
                yield FoundLine(row.stream, block.entry(i), data[1])


def _in_time(rows: Iterable[tables.BlockRow]) -> Iterator[tables.BlockRow]:
    """The same, for as long as a query may take. Raises TookTooLong."""
    deadline = time.monotonic() + SECONDS
    for row in rows:
        if time.monotonic() > deadline:
            raise TookTooLong(f"the query takes longer than {SECONDS:.0f} s: ask for less time, or fewer streams")
        yield row
