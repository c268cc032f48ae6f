"""Statistics of a metric by periods, of the values as they were put.

Source: Amazon CloudWatch User Guide, "CloudWatch statistics definitions".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from services.metrics_manager.cloudwatch.names import COUNT, MAX, MIN, UNITS, Metric
from services.metrics_manager.promql.errors import QueryError
from services.metrics_manager.promql.values import Floats, Mask, Times
from services.metrics_manager.store.sample_store import StoreReader

PLAIN = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
_SIGNS = frozenset("0123456789.")


class Grid(NamedTuple):
    """Periods one after the other, times in ms. Each has its start, and not its end."""

    start: int
    period: int
    steps: int

    @property
    def end(self) -> int:
        return self.start + self.period * self.steps

    def times(self) -> Times:
        return self.start + self.period * np.arange(self.steps, dtype=np.int64)


class Points(NamedTuple):
    """Values at their moments, how often each was, and the borders of what it is the average of."""

    times: Times
    values: Floats
    counts: Floats
    lows: Floats
    highs: Floats


class Budget:
    """How many values one question may take. `does`: what it does with them."""

    def __init__(self, most: int, does: str = "it reads") -> None:
        self._left, self._most, self._does = most, most, does

    def take(self, number: int) -> None:
        """Raises QueryError."""
        self._left -= number
        if self._left < 0:
            raise QueryError(
                f"{self._does} more than {self._most} values; ask of a shorter time, or of fewer metrics"
            )


def percentile_of(statistic: str) -> float | None:
    """0.99 for `p99`, `p99.0` or `P99`; None for what is no percentile."""
    text = statistic[1:]
    if statistic[:1] not in ("p", "P") or not text or not _SIGNS.issuperset(text) or text.count(".") > 1:
        return None
    if text == "." or float(text) > 100:
        return None
    return float(text) / 100


def read_units(reader: StoreReader, metric: Metric, unit: str, grid: Grid, budget: Budget) -> dict[str, Points]:
    """What was put within the grid, by unit: in that one, or in all where it is empty. Raises QueryError."""
    found = {}
    for each in (unit,) if unit else UNITS:
        points = _read(reader, metric, each, grid, budget)
        if points is not None and len(points.times):
            found[each] = points
    return found


def _read(reader: StoreReader, metric: Metric, unit: str, grid: Grid, budget: Budget) -> Points | None:
    series = reader.named(metric.labels(unit), grid.start, grid.end - 1)
    if series is None:
        return None
    budget.take(len(series.times))
    beside = {part: reader.named(metric.labels(unit, part), grid.start, grid.end - 1) for part in (COUNT, MIN, MAX)}

    def put_in(part: str, usual: Floats) -> Floats:
        other = beside[part]
        if other is None or not len(other.times) or not len(series.times):
            return usual
        changed = usual.copy()
        at = np.searchsorted(series.times, other.times).clip(max=len(series.times) - 1)
        there = series.times[at] == other.times
        changed[at[there]] = other.values[there]
        return changed

    values = series.values
    return Points(series.times, values, put_in(COUNT, np.ones(len(values))), put_in(MIN, values), put_in(MAX, values))


def by_period(points: Points, grid: Grid, statistic: str) -> Floats:
    """One number for each period; NaN where there is none."""
    found = np.full(grid.steps, np.nan)
    if not len(points.times):
        return found
    period = (points.times - grid.start) // grid.period
    first = np.flatnonzero(np.r_[True, period[1:] != period[:-1]])
    filled = period[first]
    percentile = percentile_of(statistic)
    if percentile is not None:
        found[filled] = _percentiles(points, first, percentile)
    else:
        found[filled] = _plain(points, first, statistic)
    return found


def _plain(points: Points, first: Times, statistic: str) -> Floats:
    if statistic == "Minimum":
        return np.minimum.reduceat(points.lows, first)
    if statistic == "Maximum":
        return np.maximum.reduceat(points.highs, first)
    counts: Floats = np.add.reduceat(points.counts, first)
    if statistic == "SampleCount":
        return counts
    sums: Floats = np.add.reduceat(points.values * points.counts, first)
    return sums if statistic == "Sum" else sums / counts


def _percentiles(points: Points, first: Times, part: float) -> Floats:
    """Of sets of which no more is known than their borders there is none."""
    is_known: Mask = points.lows == points.highs
    ends = [*first[1:], len(points.times)]
    found = np.full(len(first), np.nan)
    for i, (begin, end) in enumerate(zip(first, ends, strict=True)):
        if is_known[begin:end].all():
            found[i] = _weighted_percentile(points.values[begin:end], points.counts[begin:end], part)
    return found


def _weighted_percentile(values: Floats, counts: Floats, part: float) -> float:
    """As if each value were there as often as it was put; between two of them in proportion."""
    order = np.argsort(values, kind="stable")
    ordered, upto = values[order], np.cumsum(counts[order])
    place = part * max(upto[-1] - 1, 0)
    below, above = (
        ordered[min(int(np.searchsorted(upto, each, side="right")), len(ordered) - 1)]
        for each in (np.floor(place), np.ceil(place))
    )
    return float(below + (above - below) * (place - np.floor(place)))
