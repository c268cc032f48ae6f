"""A query of Insights at work, in the thread that reads: which lines fit, and the rows that are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from services.logs_manager.insights import Query, Record, Row
from services.logs_manager.insights_rows import rows_of, size_of
from services.logs_manager.logql.errors import QueryFault
from services.logs_manager.operations.started_queries import Started
from services.logs_manager.store.blocks import Entry
from services.logs_manager.store.reader import MOST_FOUND, FoundLine, LogReader, Span


class Searched(NamedTuple):
    """A stream that is looked through, and its group, by name. Lines before `since` (ns) are as good as gone."""

    name: str
    group: str
    since: int


class Search:
    """`streams`: by number. What it looks at is counted in `started`, and it ends when that no longer runs."""

    def __init__(self, reader: LogReader, started: Started, query: Query, streams: Mapping[int, Searched]) -> None:
        self._reader, self._started, self._query, self._streams = reader, started, query, streams

    def rows(self, span: Span) -> tuple[list[Row], int]:
        """And their bytes. Raises QueryFault, TookTooLong."""
        rows = self._newest(span) if self._query.is_plain else self._all(span)
        return rows, sum(map(size_of, rows))

    def _all(self, span: Span) -> list[Row]:
        lines = self._reader.walk(self._streams.keys(), span)
        fitting = (record for each in lines if (record := self._fitting(each)) is not None)
        return rows_of(self._query, fitting, self._check)

    def _newest(self, span: Span) -> list[Row]:
        """Or the oldest: no more lines are held than are asked for."""
        query = self._query
        found = self._reader.first(
            self._streams.keys(), span, query.limit, self._fits, newest=query.newest_first, cut_at=MOST_FOUND
        )
        if found.is_cut:
            raise QueryFault(f"the lines have more than {MOST_FOUND >> 20} MiB: use a smaller limit")
        return rows_of(query, map(self._record, found), self._check)

    def _fits(self, stream: int, entry: Entry) -> bool:
        return self._fitting(FoundLine(stream, entry, 0)) is not None

    def _fitting(self, found: FoundLine) -> Record | None:
        """None for one that the query is not about."""
        self._check()
        if found.entry.time < self._streams[found.stream].since:
            return None
        self._started.scanned += 1
        record = self._record(found)
        if not self._query.fits(record):
            return None
        self._started.matched += 1
        return record

    def _record(self, found: FoundLine) -> Record:
        stream = self._streams[found.stream]
        return Record(found.entry.time, found.entry.text, stream.name, stream.group, found.arrived)

    def _check(self) -> None:
        self._reader.require_time()
        if not self._started.is_running:
            raise QueryFault("it was stopped")
