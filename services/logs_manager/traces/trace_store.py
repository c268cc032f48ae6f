"""Spans on the disk and in the order of their traces: a store as that of lines, in a file of its own.

Spans are kept for three days, and a GiB of them compressed: where there are more, the namespace with most loses its
oldest.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from crds.errors import BadRequest, Unavailable
from services.logs_manager.otlp import text_of
from services.logs_manager.store.log_store import LogStore, Written
from services.logs_manager.store.reader import MOST_FOUND, FoundLine, LogReader, Span
from services.logs_manager.store.streams import Stream, TooManyStreams
from services.logs_manager.traces.spans import LONGEST_SPAN, NewSpan, needle_of, trace_in
from services.logs_manager.upkeep import keep_to
from services.sdk.reconcile import Clock

FILE = "traces.db"
KEPT_NS, MOST_BYTES = 3 * 86_400 * 1_000_000_000, 1 << 30
MOST_SPANS, MOST_SHOWN = 20_000, 8 << 20
"""Spans of one trace, and bytes of the lines of all that one answer shows."""
_AROUND_NS = 3_600 * 1_000_000_000
"""So far from the span that was found others of its trace are looked for."""
_MERGE_SECONDS, _FORGET_SECONDS = 5.0, 600.0
_NO_GROUP = "traces"
Json = dict[str, Any]


class Wanted(NamedTuple):
    """What traces are looked for. `shortest`, `longest`: ns of a span; 0 for any."""

    service: str
    operation: str
    tags: Mapping[str, str]
    span: Span
    shortest: int = 0
    longest: int = 0


class Kept(NamedTuple):
    """A span as it is on the disk: `time` in ns since 1970, when it began."""

    time: int
    line: bytes
    service: str


class Trace:
    """Spans of one trace, `most` bytes of them. `is_cut`: there are others."""

    def __init__(self, most: int) -> None:
        self._left, self._spans, self.is_cut = most, list[Kept](), False

    def take(self, span: Kept) -> None:
        self.is_cut = self.is_cut or len(span.line) > self._left or len(self._spans) == MOST_SPANS
        if not self.is_cut:
            self._left -= len(span.line)
            self._spans.append(span)

    def in_order(self) -> list[Kept]:
        """In which they began."""
        return sorted(self._spans)


class TraceStore:
    """Used by one event loop; what reads is called in the thread of queries."""

    def __init__(self, store: LogStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._reader: LogReader | None = None

    async def add(self, namespace: str, spans: Sequence[NewSpan]) -> None:
        """Durable when it returns. Raises BadRequest, Unavailable."""
        now = round(self._clock.now().timestamp() * 1000)
        by_service: dict[str, list[NewSpan]] = {}
        for each in spans:
            by_service.setdefault(each.service, []).append(each)
        try:
            with self._store.streams.all_or_none():
                streams = {each: self._stream(namespace, each, now) for each in by_service}
        except TooManyStreams as error:
            raise BadRequest(str(error)) from None
        try:
            await self._store.append(
                [Written(streams[service], [each.line for each in found]) for service, found in by_service.items()],
                now,
            )
        except sqlite3.Error as error:
            raise Unavailable(f"the spans cannot be written: {error}", retry_after=5) from error

    def _stream(self, namespace: str, service: str, now: int) -> Stream:
        labels = {"namespace": namespace, "service": service}
        return self._store.streams.make(namespace, _NO_GROUP, service, labels, now)

    def services(self, namespace: str | None) -> list[str]:
        """Those that sent spans; `namespace` as everywhere: None for all."""
        return sorted({each.name for each in self._store.streams.all(namespace)})

    def operations(self, namespace: str | None, service: str) -> list[tuple[str, int]]:
        """Names and kinds of that service's newest spans. Raises TookTooLong."""
        streams, found = self._streams(namespace, service), set[tuple[str, int]]()
        for each in self.reader.first(streams.keys(), self._kept(), 5_000, _any, newest=True, cut_at=MOST_FOUND):
            span = orjson.loads(each.entry.line)
            found.add((span["name"], span["kind"]))
        return sorted(found)

    def trace(self, namespace: str | None, id: str) -> Trace:
        """The spans of it. Raises TookTooLong."""
        streams, found = self._streams(namespace), Trace(MOST_SHOWN)
        for each in self.reader.walk(streams.keys(), self._kept(), [needle_of(id)]):
            # What it looks for may stand inside a span of another one.
            if trace_in(each.entry.line) == id.encode():
                found.take(_kept(streams, each))
            if found.is_cut:
                break
        return found

    def find(self, namespace: str | None, wanted: Wanted, limit: int) -> list[tuple[str, Trace]]:
        """The newest traces with a span that fits, each with the same share of the answer. Raises TookTooLong."""
        chosen, ids, test = self._streams(namespace, wanted.service), dict[bytes, int](), _test(wanted)

        def fits(_: int, entry: Any) -> bool:
            if trace_in(entry.line) in ids or not test(orjson.loads(entry.line)):
                return False
            ids[trace_in(entry.line)] = entry.time
            return True

        kept = self._kept()
        span = Span(max(wanted.span.start, kept.start), min(wanted.span.end, kept.end))
        newest = [trace_in(f.entry.line) for f in self.reader.first(chosen.keys(), span, limit, fits, newest=True)]
        if not newest:
            return []
        times = [ids[each] for each in newest]
        around = Span(min(times) - _AROUND_NS, max(times) + _AROUND_NS)
        traces = {each: Trace(max(MOST_SHOWN // len(newest), LONGEST_SPAN)) for each in newest}
        streams = self._streams(namespace)
        for each in self.reader.walk(streams.keys(), around):
            if (there := traces.get(trace_in(each.entry.line))) is not None:
                there.take(_kept(streams, each))
        return [(each.decode(), traces[each]) for each in newest]

    def in_time(self, ask: Callable[[], Any]) -> Any:
        """What `ask` finds, all it reads within the time of one query. Raises what it raises."""
        with self.reader.in_time():
            return ask()

    @property
    def reader(self) -> LogReader:
        if self._reader is None:
            self._reader = self._store.reader()
        return self._reader

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def _streams(self, namespace: str | None, service: str = "") -> dict[int, Stream]:
        return {each.id: each for each in self._store.streams.all(namespace) if service in ("", each.name)}

    def _kept(self) -> Span:
        now = round(self._clock.now().timestamp() * 1e9)
        return Span(now - KEPT_NS, now + _AROUND_NS * 2)

    async def run(self) -> None:
        """Large blocks of fresh ones, an end of what is old or too much. Raises sqlite3.Error: it is begun again."""
        forgotten = float("-inf")
        while True:
            await self._store.merge()
            if self._clock.monotonic() - forgotten >= _FORGET_SECONDS:
                streams = self._store.streams.all()
                await self._store.forget_before(streams, self._kept().start)
                await keep_to(self._store, streams, MOST_BYTES)
                there, old = await self._store.sizes(), self._kept().start // 1_000_000
                await self._store.forget_empty([s for s in streams if s.id not in there and s.created < old])
                forgotten = self._clock.monotonic()
            await asyncio.sleep(_MERGE_SECONDS)


def _any(_: int, __: Any) -> bool:
    return True


def _kept(streams: Mapping[int, Stream], found: FoundLine) -> Kept:
    return Kept(found.entry.time, found.entry.line, streams[found.stream].name)


def _test(wanted: Wanted) -> Callable[[Json], bool]:
    def fits(span: Json) -> bool:
        took = max(span["end"] - span["start"], 0)
        if wanted.operation not in ("", span["name"]) or took < wanted.shortest:
            return False
        if wanted.longest and took > wanted.longest:
            return False
        return all(_has(span, key, value) for key, value in wanted.tags.items())

    return fits


def _has(span: Json, key: str, value: str) -> bool:
    if key == "error":
        return bool(span["error"]) is (value == "true")
    found = span["attributes"].get(key, span["resource"].get(key))
    return found is not None and text_of(found) == value
