"""Numbers over time, as LogQL computes them: windows of samples, groups of series, and pairs of them. Pure."""

from __future__ import annotations

import heapq
import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain

from services.logs_manager.logql.nodes import Grouping, Operation, RangeAggregation
from services.logs_manager.logql.stages import COMPARE

_BLOCK = 1_024
Labels = tuple[tuple[str, str], ...]
Values = list[float | None]
Vector = dict[Labels, Values]

COUNTED: dict[str, Callable[[float, float], float]] = {
    "count_over_time": lambda total, _: total,
    "bytes_over_time": lambda total, _: total,
    "rate": lambda total, seconds: total / seconds,
    "bytes_rate": lambda total, seconds: total / seconds,
}
"""Of the sum of a window, and its seconds."""


def window_of(query: RangeAggregation, values: array[float]) -> Callable[[int, int], float]:
    """What computes the values from one place and before another."""
    match query.function:
        case "sum_over_time":
            return Windows(values, math.fsum).of
        case "avg_over_time":
            sums = Windows(values, math.fsum)
            return lambda first, end: sums.of(first, end) / (end - first)
        case "min_over_time":
            return Windows(values, min).of
        case "max_over_time":
            return Windows(values, max).of
    return lambda first, end: _quantile(sorted(values[first:end]), query.parameter)


class Windows:
    """Sums, or the least or largest, of many parts of a long row, without all of it being looked at for each."""

    def __init__(self, values: array[float], reduce: Callable[[Iterable[float]], float]) -> None:
        self._values, self._reduce = values, reduce
        starts = range(0, len(values), _BLOCK)
        self._blocks = array("d", (reduce(values[each : each + _BLOCK]) for each in starts))

    def of(self, first: int, end: int) -> float:
        """Of the values from `first` and before `end`, one at least."""
        low, high = -(-first // _BLOCK), end // _BLOCK
        if low >= high:
            return self._reduce(self._values[first:end])
        parts = (self._values[first : low * _BLOCK], self._blocks[low:high], self._values[high * _BLOCK : end])
        return self._reduce(chain(*parts))


def _quantile(ordered: Sequence[float], q: float) -> float:
    """As Prometheus: between the two next to it."""
    if not 0 <= q <= 1:
        return math.inf if q > 1 else -math.inf
    rank = q * (len(ordered) - 1)
    low = int(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


REDUCE: dict[str, Callable[[list[float]], float]] = {
    "sum": math.fsum,
    "min": min,
    "max": max,
    "avg": lambda values: math.fsum(values) / len(values),
    "count": lambda values: float(len(values)),
}


def reduced(rows: Sequence[Values], reduce: Callable[[list[float]], float]) -> Values:
    """One row of all, step by step; None where none has a value."""
    found: Values = []
    for column in zip(*rows, strict=True):
        there = [each for each in column if each is not None]
        found.append(reduce(there) if there else None)
    return found


def chosen_series(groups: Mapping[Labels, list[tuple[Labels, Values]]], most: int, *, largest: bool) -> Vector:
    """Of each group, at each step, those with the largest or smallest values."""
    found: Vector = {}
    pick = heapq.nlargest if largest else heapq.nsmallest
    for rows in groups.values():
        for step in range(len(rows[0][1])):
            there = [(value, labels) for labels, values in rows if (value := values[step]) is not None]
            for value, labels in pick(most, there):
                found.setdefault(labels, [None] * len(rows[0][1]))[step] = value
    return found


def of_pair(query: Operation, left: float | None, right: float | None, kept: float | None) -> float | None:
    """`kept`: what is left of a comparison that holds."""
    if left is None or right is None:
        return None
    if query.op in COMPARE and not query.as_bool:
        return kept if COMPARE[query.op](left, right) else None
    return computed(query, left, right)


def computed(query: Operation, left: float, right: float) -> float:
    if query.op in COMPARE:
        return float(COMPARE[query.op](left, right))
    try:
        match query.op:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/":
                return left / right
            case "%":
                return math.fmod(left, right)
        return float(left**right)
    except (ZeroDivisionError, ValueError, OverflowError, TypeError):
        return math.nan if not left or query.op in ("%", "^") else math.copysign(math.inf, left)


def with_values(found: Vector) -> Vector:
    """The series that have one, at any step."""
    return {labels: values for labels, values in found.items() if any(v is not None for v in values)}


def group_of(labels: Labels, grouping: Grouping | None) -> Labels:
    """What the series of a group have in common."""
    if grouping is None:
        return ()
    return tuple(each for each in labels if (each[0] in grouping.names) is not grouping.without)
