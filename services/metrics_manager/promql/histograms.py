"""Quantiles and fractions of classic histograms: series that say with `le` up to where they counted."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from services.metrics_manager.promql.labels import Labels, value_of, without
from services.metrics_manager.promql.values import Floats, Vector, stacked

_TOLERANCE = 1e-12


class Bucket(NamedTuple):
    upper: float
    total: float


OfBuckets = Callable[[list[Bucket], int], float]


def of_histograms(vector: Vector, compute: OfBuckets) -> Vector:
    """A value of each histogram at each step; `compute` gets its buckets, sorted, and the step."""
    groups: dict[Labels, list[tuple[float, int]]] = {}
    for row, labels in enumerate(vector.labels):
        upper = _bound(value_of(labels, "le"))
        if upper is not None:
            groups.setdefault(without(labels, ("le",)), []).append((upper, row))
    steps = vector.values.shape[1]
    rows = [_row(vector, sorted(members), compute) for members in groups.values()]
    return stacked(list(groups), rows, steps, [True] * len(groups))


def _row(vector: Vector, members: list[tuple[float, int]], compute: OfBuckets) -> tuple[Floats, np.ndarray]:
    steps = vector.values.shape[1]
    values, there = np.zeros(steps), np.zeros(steps, dtype=bool)
    for step in range(steps):
        buckets = [
            Bucket(upper, float(vector.values[row, step])) for upper, row in members if vector.there[row, step]
        ]
        if buckets:
            values[step], there[step] = compute(_coalesced(buckets), step), True
    return values, there


def _bound(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _coalesced(buckets: list[Bucket]) -> list[Bucket]:
    found: list[Bucket] = []
    for each in buckets:
        if found and found[-1].upper == each.upper:
            found[-1] = Bucket(each.upper, found[-1].total + each.total)
        else:
            found.append(each)
    return found


def _rising(buckets: list[Bucket]) -> list[Bucket]:
    """Counts that fall, or differ by what computing loses, are those before."""
    found, before = [buckets[0]], buckets[0].total
    for each in buckets[1:]:
        if each.total < before or _nearly(before, each.total):
            found.append(Bucket(each.upper, before))
        else:
            found.append(each)
            before = each.total
    return found


def _nearly(a: float, b: float) -> bool:
    return a == b or abs(a - b) < _TOLERANCE * (abs(a) + abs(b))


def quantile(q: float, buckets: list[Bucket]) -> float:
    """Within its bucket as if all were evenly spread there. NaN without a bucket of `+Inf`, or observations."""
    if math.isnan(q):
        return math.nan
    if q < 0 or q > 1:
        return -math.inf if q < 0 else math.inf
    if buckets[-1].upper != math.inf or len(buckets) < 2:
        return math.nan
    buckets = _rising(buckets)
    if not buckets[-1].total > 0:
        return math.nan
    rank = q * buckets[-1].total
    at = next((i for i, each in enumerate(buckets[:-1]) if each.total >= rank), len(buckets) - 1)
    if at == len(buckets) - 1:
        return buckets[-2].upper
    if at == 0 and buckets[0].upper <= 0:
        return buckets[0].upper
    before = buckets[at - 1] if at else Bucket(0.0, 0.0)
    share = _ratio(rank - before.total, buckets[at].total - before.total)
    return before.upper + (buckets[at].upper - before.upper) * share


def fraction(lower: float, upper: float, buckets: list[Bucket]) -> float:
    """How large a part of the observations is between the two."""
    total = buckets[-1].total
    if buckets[-1].upper != math.inf or total == 0 or math.isnan(lower) or math.isnan(upper):
        return math.nan
    if lower >= upper:
        return 0.0
    return (_rank(upper, buckets) - _rank(lower, buckets)) / total


def _rank(value: float, buckets: list[Bucket]) -> float:
    """How many observations are below that value."""
    total = buckets[-1].total
    start, before = (-math.inf if buckets[0].upper <= 0 else 0.0), 0.0
    for each in buckets:
        if start >= value:
            return min(before, total)
        if each.upper > value:
            if start == -math.inf:
                return min(each.total, total)
            return min(before + (each.total - before) * (value - start) / (each.upper - start), total)
        start, before = each.upper, each.total
    return total


def _ratio(a: float, b: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.float64(a) / np.float64(b))
