"""Computes what a query asks: lines, or numbers over time. Blocks, in a thread of its own."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple, Protocol

import orjson

from services.logs_manager.levels import level_of
from services.logs_manager.logql.errors import QueryFault
from services.logs_manager.logql.matching import require_selective, selects
from services.logs_manager.logql.nodes import (
    Aggregation,
    Grouping,
    LogQuery,
    MetricQuery,
    Number,
    Operation,
    RangeAggregation,
)
from services.logs_manager.logql.stages import ERROR, LEVEL, Row, Step, needles_of, steps_of
from services.logs_manager.logql.vectors import (
    COUNTED,
    REDUCE,
    Labels,
    Values,
    Vector,
    chosen_series,
    computed,
    group_of,
    of_pair,
    reduced,
    window_of,
    with_values,
)
from services.logs_manager.store.blocks import Entry
from services.logs_manager.store.reader import MOST_FOUND, FoundLine, LogReader, Span
from services.logs_manager.store.streams import Stream

MOST_STEPS, MOST_SERIES, MOST_LINES, MOST_SAMPLES = 11_000, 2_000, 5_000, 5_000_000
MOST_VALUES = 1_000_000
"""Series times steps, of all parts of a query together."""
NS = 1_000_000_000


class Source(Protocol):
    """What a caller may see."""

    def streams(self) -> Sequence[Stream]: ...

    def kept_since(self, stream: Stream) -> int:
        """Lines of it before that moment (ns) are as good as gone."""
        ...


class Line(NamedTuple):
    at: int
    line: str
    labels: Labels


class Steps(NamedTuple):
    """Moments in ns since 1970, both ends included."""

    start: int
    end: int
    step: int

    def moments(self) -> list[int]:
        return list(range(self.start, self.end + 1, self.step))


def lines_of(
    reader: LogReader, source: Source, query: LogQuery, span: Span, limit: int, *, newest: bool
) -> list[Line]:
    """In the order that is asked for. Raises QueryFault, TookTooLong."""
    chosen, steps = _chosen(reader, source, query), steps_of(query.stages)

    def wanted(stream: int, entry: Entry) -> bool:
        return entry.time >= kept[stream] and _passes(_row(chosen[stream], entry), steps)

    kept = {id: source.kept_since(stream) for id, stream in chosen.items()}
    found = reader.first(chosen.keys(), span, limit, wanted, newest=newest, needles=needles_of(query.stages))
    return _shown(reader, (_row(chosen[each.stream], each.entry) for each in found), steps)


def _shown(reader: LogReader, rows: Iterable[Row], steps: Sequence[Step]) -> list[Line]:
    """What stages make of lines may be more than these were: it is made when it is known which lines those are."""
    found, size = list[Line](), 0
    for row in rows:
        reader.require_time()
        _passes(row, steps)
        row.get(LEVEL)
        size += len(row.line) + sum(len(name) + len(value) for name, value in row.labels.items())
        if size > MOST_FOUND:
            raise QueryFault(
                f"lines and labels have more than {MOST_FOUND >> 20} MiB: ask for fewer lines, or labels"
            )
        found.append(Line(row.at, row.line, tuple(sorted(row.labels.items()))))
    return found


def _chosen(reader: LogReader, source: Source, query: LogQuery) -> dict[int, Stream]:
    require_selective(query.matchers)
    return {each.id: each for each in matching(reader, source.streams(), [selects(query.matchers)])}


def matching(
    reader: LogReader, streams: Iterable[Stream], tests: Sequence[Callable[[Mapping[str, str]], bool]]
) -> list[Stream]:
    """Those that fit one of these selectors. Raises TookTooLong."""
    found = []
    for each in streams:
        reader.require_time()
        if any(test(each.labels) for test in tests):
            found.append(each)
    return found


def _row(stream: Stream, entry: Entry) -> Row:
    labels = {**stream.labels, **orjson.loads(entry.fields)} if entry.fields else dict(stream.labels)
    return Row(entry.time, entry.text, labels)


def _passes(row: Row, steps: Sequence[Step]) -> bool:
    return all(step(row) for step in steps)


def metric_of(reader: LogReader, source: Source, query: MetricQuery, steps: Steps) -> Vector:
    """A value for each step, None where there is none. Raises QueryFault, TookTooLong."""
    count = (steps.end - steps.start) // steps.step + 1
    if count > MOST_STEPS:
        raise QueryFault(f"that are {count} steps; at most {MOST_STEPS}: ask for less time, or a longer step")
    found = _Computing(reader, source, steps).of(query)
    if isinstance(found, float):
        return {(): [found] * count}
    return found


class _Computing:
    def __init__(self, reader: LogReader, source: Source, steps: Steps) -> None:
        self._reader, self._source, self._steps = reader, source, steps
        self._moments = steps.moments()
        self._samples_left, self._values_left = MOST_SAMPLES, MOST_VALUES

    def of(self, query: MetricQuery) -> Vector | float:
        if isinstance(query, Number):
            return self._spent({(): [query.value] * len(self._moments)}) if query.is_vector else query.value
        if isinstance(query, RangeAggregation):
            return self._range(query, query.grouping)
        if isinstance(query, Aggregation):
            return self._spent(self._aggregated(query))
        found = self._operation(query)
        return found if isinstance(found, float) else self._spent(found)

    def _spent(self, found: Vector, series: int = 0) -> Vector:
        """The same, counted among the values of the query. Raises QueryFault, TookTooLong."""
        self._reader.require_time()
        self._values_left -= (series or len(found)) * len(self._moments)
        if self._values_left < 0:
            raise QueryFault(f"there are more than {MOST_VALUES} values (series times steps): ask for a longer step")
        return found

    def _range(self, query: RangeAggregation, grouping: Grouping | None) -> Vector:
        samples = self._samples(query, grouping)
        compute = COUNTED.get(query.function)
        found: Vector = {}
        self._spent(found, len(samples))
        for labels, (times, values) in samples.items():
            self._reader.require_time()
            if compute is not None:
                found[labels] = self._counted(query, times, values, compute)
            else:
                found[labels] = self._unwrapped(query, times, values)
        return with_values(found)

    def _samples(
        self, query: RangeAggregation, grouping: Grouping | None
    ) -> dict[Labels, tuple[array[int], array[float]]]:
        """Times and values by labels, in the order of time."""
        chosen = _chosen(self._reader, self._source, query.query)
        steps, is_bytes = steps_of(query.query.stages), query.function.startswith("bytes")
        shift = round(query.offset * NS)
        span = Span(self._steps.start - shift - round(query.seconds * NS) + 1, self._steps.end - shift + 1)
        kept = {id: self._source.kept_since(stream) for id, stream in chosen.items()}
        found: dict[Labels, tuple[array[int], array[float]]] = {}
        counting = query.function in COUNTED
        plain: dict[tuple[int, str], Labels] = {}
        by_level = grouping is not None and not grouping.without and LEVEL in grouping.names
        for stream, entry, _ in self._walk(chosen, span, query):
            if entry.time < kept[stream]:
                continue
            if counting and not steps and not entry.fields:
                level = level_of(entry.text) if by_level else ""
                key = plain.get((stream, level))
                if key is None:
                    row = Row(0, "", {**chosen[stream].labels, **({LEVEL: level} if level else {})})
                    key = plain[stream, level] = _labels_of(row, grouping)
                value = float(len(entry.line)) if is_bytes else 1.0
            else:
                self._reader.require_time()
                row = _row(chosen[stream], entry)
                if not _passes(row, steps):
                    continue
                key, value = _sample(row, grouping, is_bytes=is_bytes, counting=counting)
            if key not in found:
                if len(found) >= MOST_SERIES:
                    raise QueryFault(f"there are more than {MOST_SERIES} series: add filters, or keep fewer labels")
                found[key] = (array("q"), array("d"))
            times, values = found[key]
            times.append(entry.time + shift)
            values.append(value)
            self._samples_left -= 1
            if self._samples_left < 0:
                raise QueryFault(f"the query reads more than {MOST_SAMPLES} lines: ask for less time, or add filters")
        return {key: _sorted(*pair) for key, pair in found.items()}

    def _walk(self, chosen: Mapping[int, Stream], span: Span, query: RangeAggregation) -> Iterator[FoundLine]:
        return self._reader.walk(chosen.keys(), span, needles_of(query.query.stages))

    def _counted(
        self,
        query: RangeAggregation,
        times: array[int],
        values: array[float],
        compute: Callable[[float, float], float],
    ) -> Values:
        width, sums = round(query.seconds * NS), array("d", accumulate(values, initial=0.0))
        found: Values = []
        for at in self._moments:
            first, end = bisect_right(times, at - width), bisect_right(times, at)
            found.append(compute(sums[end] - sums[first], query.seconds) if end > first else None)
        return found

    def _unwrapped(self, query: RangeAggregation, times: array[int], values: array[float]) -> Values:
        width, found, window = round(query.seconds * NS), list[float | None](), window_of(query, values)
        for at in self._moments:
            self._reader.require_time()
            first, end = bisect_right(times, at - width), bisect_right(times, at)
            found.append(window(first, end) if end > first else None)
        return found

    def _aggregated(self, query: Aggregation) -> Vector:
        if query.function == "sum" and isinstance(query.of, RangeAggregation) and query.of.function in COUNTED:
            # Counts of a group are those of all its lines: series that only go into a sum need not be told apart.
            return self._range(query.of, query.grouping or Grouping(without=False, names=()))
        inner = self.of(query.of)
        if isinstance(inner, float):
            raise QueryFault(f"{query.function} takes series, not a number")
        groups: dict[Labels, list[tuple[Labels, Values]]] = {}
        for labels, values in inner.items():
            groups.setdefault(group_of(labels, query.grouping), []).append((labels, values))
        if query.function in ("topk", "bottomk"):
            return chosen_series(groups, query.parameter, largest=query.function == "topk")
        reduce, found = REDUCE[query.function], Vector()
        for key, rows in groups.items():
            self._reader.require_time()
            found[key] = reduced([values for _, values in rows], reduce)
        return found

    def _operation(self, query: Operation) -> Vector | float:
        left, right = self.of(query.left), self.of(query.right)
        if isinstance(left, float) and isinstance(right, float):
            return computed(query, left, right)
        if isinstance(left, float):
            assert not isinstance(right, float)
            return with_values({k: [of_pair(query, left, v, v) for v in values] for k, values in right.items()})
        if isinstance(right, float):
            return with_values({k: [of_pair(query, v, right, v) for v in values] for k, values in left.items()})
        both = {
            key: [of_pair(query, a, b, a) for a, b in zip(values, right[key], strict=True)]
            for key, values in left.items()
            if key in right
        }
        return with_values(both)


def _sorted(times: array[int], values: array[float]) -> tuple[array[int], array[float]]:
    if all(times[i - 1] <= times[i] for i in range(1, len(times))):
        return times, values
    order = sorted(range(len(times)), key=times.__getitem__)
    return array("q", [times[i] for i in order]), array("d", [values[i] for i in order])


def _sample(row: Row, grouping: Grouping | None, *, is_bytes: bool, counting: bool) -> tuple[Labels, float]:
    """Raises QueryFault."""
    if error := row.labels.get(ERROR):
        raise QueryFault(
            f'a line cannot be used ({error}): {row.line[:120]!r}; leave such lines out by | __error__=""'
        )
    if not counting:
        return _labels_of(row, grouping), row.value
    return _labels_of(row, grouping), float(len(row.line.encode("utf-8", "replace"))) if is_bytes else 1.0


def _labels_of(row: Row, grouping: Grouping | None) -> Labels:
    if grouping is None:
        return tuple(sorted(row.labels.items()))
    if grouping.without:
        return tuple(sorted((name, value) for name, value in row.labels.items() if name not in grouping.names))
    return tuple(sorted((name, value) for name in grouping.names if (value := row.get(name))))
