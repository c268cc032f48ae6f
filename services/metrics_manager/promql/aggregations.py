"""Many series to few: sum, avg, topk and the others, by labels or without some."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import promql_parser

from services.metrics_manager.promql.errors import QueryError
from services.metrics_manager.promql.labels import NAME, Labels, labels_of, only, without
from services.metrics_manager.promql.sums import averaged, quantile_of, summed
from services.metrics_manager.promql.values import Floats, Mask, Vector, empty, stacked

Group = Callable[[Floats, Mask], Floats]


def _least(values: Floats, there: Mask) -> Floats:
    found: Floats = np.fmin.reduce(np.where(there, values, np.nan), axis=0)
    return found


def _most(values: Floats, there: Mask) -> Floats:
    found: Floats = np.fmax.reduce(np.where(there, values, np.nan), axis=0)
    return found


def _variance(values: Floats, there: Mask) -> Floats:
    """Welford's: what is the same everywhere does not vary at all."""
    count, mean, total = np.zeros(values.shape[1]), np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for row, mask in zip(values, there, strict=True):
        count = count + mask
        delta = row - mean
        moved = mean + delta / np.maximum(count, 1)
        total = np.where(mask, total + delta * (row - moved), total)
        mean = np.where(mask, moved, mean)
    return total / count


_GROUPS: dict[str, Group] = {
    "sum": summed,
    "avg": averaged,
    "min": _least,
    "max": _most,
    "count": lambda values, there: there.sum(axis=0).astype(np.float64),
    "group": lambda values, there: np.ones(values.shape[1]),
    "stdvar": _variance,
    "stddev": lambda values, there: np.sqrt(_variance(values, there)),
}


def grouping(modifier: Any) -> Callable[[Labels], Labels]:
    """What of a series' labels tells its group."""
    if modifier is None:
        return lambda labels: ()
    names = set(modifier.labels)
    if modifier.type == promql_parser.AggModifierType.By:
        return lambda labels: only(labels, names)
    return lambda labels: without(labels, names | {NAME})


def groups_of(vector: Vector, modifier: Any) -> dict[Labels, list[int]]:
    """The rows of each group."""
    key = grouping(modifier)
    found: dict[Labels, list[int]] = {}
    for row, labels in enumerate(vector.labels):
        found.setdefault(key(labels), []).append(row)
    return found


def aggregated(op: str, vector: Vector, modifier: Any, parameter: Any) -> Vector:
    """Raises QueryError."""
    steps = vector.values.shape[1]
    if op in ("topk", "bottomk", "limitk"):
        return _chosen(op, vector, modifier, parameter)
    if op == "count_values":
        return _counted(vector, modifier, parameter)
    if not len(vector):
        return empty(steps)
    labels: list[Labels] = []
    rows: list[tuple[Floats, Mask]] = []
    drops: list[bool] = []
    with np.errstate(all="ignore"):
        for group, members in groups_of(vector, modifier).items():
            values, there = vector.values[members], vector.there[members]
            found = _quantiles(values, there, parameter) if op == "quantile" else _GROUPS[op](values, there)
            labels.append(group)
            rows.append((found, np.logical_or.reduce(there, axis=0)))
            drops.append(any(vector.drops[row] for row in members))
    return stacked(labels, rows, steps, drops)


def _quantiles(values: Floats, there: Mask, wanted: Floats) -> Floats:
    columns = range(values.shape[1])
    return np.array([quantile_of(wanted[i], values[there[:, i], i]) for i in columns])


def _chosen(op: str, vector: Vector, modifier: Any, wanted: Floats) -> Vector:
    """The series with the highest or lowest values, as they are; in order, where there is one step alone."""
    steps = vector.values.shape[1]
    sizes = [_size(each) for each in wanted]
    there, order = np.zeros_like(vector.there), []
    for members in groups_of(vector, modifier).values():
        for step in range(steps):
            here = [row for row in members if vector.there[row, step]]
            kept = _best(op, here, vector.values[:, step])[: sizes[step]]
            there[kept, step] = True
            order += kept
    found = Vector(vector.labels, vector.values, there, vector.drops)
    return found.rows(order if steps == 1 else [i for i in range(len(vector)) if there[i].any()])


def _best(op: str, rows: list[int], values: Floats) -> list[int]:
    if op == "limitk":
        return rows
    sign = -1.0 if op == "topk" else 1.0
    return sorted(rows, key=lambda row: (math.isnan(values[row]), sign * values[row]))


def _size(wanted: float) -> int:
    if math.isnan(wanted):
        raise QueryError("Parameter value is NaN")
    if not -(2.0**63) <= wanted <= 2.0**63:
        raise QueryError(f"Scalar value {wanted:g} {'under' if wanted < 0 else 'over'}flows int64")
    return max(int(wanted), 0)


def _counted(vector: Vector, modifier: Any, label: Any) -> Vector:
    if not isinstance(label, str) or not label:
        raise QueryError(f"invalid label name {label!r} for count_values", "bad_data")
    steps, key = vector.values.shape[1], grouping(modifier)
    found: dict[Labels, Floats] = {}
    for row, labels in enumerate(vector.labels):
        for step in np.flatnonzero(vector.there[row]):
            group = labels_of({**dict(key(labels)), label: number_text(float(vector.values[row, step]))})
            found.setdefault(group, np.zeros(steps))[step] += 1
    rows: list[tuple[Floats, Mask]] = [(each, np.array(each > 0, dtype=bool)) for each in found.values()]
    return stacked(list(found), rows, steps, [False] * len(found))


def number_text(value: float) -> str:
    """As Prometheus writes numbers: without an exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == int(value) and abs(value) < 2**53:
        return "-0" if value == 0 and math.copysign(1, value) < 0 else str(int(value))
    return format(Decimal(repr(value)), "f")
