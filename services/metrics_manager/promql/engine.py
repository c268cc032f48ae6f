"""Evaluates PromQL: all steps of a range at once, each part of the tree once.

The AST is promql-parser's; samples come from a `SampleSource`. Semantics are those of Prometheus 3 (ranges exclude
their left border; a name that says something else than the values is dropped at the end). Native histograms are
refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import timedelta
from time import monotonic
from typing import Any, NamedTuple

import numpy as np
import promql_parser as ast

from services.metrics_manager.promql import histograms
from services.metrics_manager.promql.aggregations import aggregated
from services.metrics_manager.promql.errors import NotSupported, QueryError
from services.metrics_manager.promql.labels import Labels, labels_of, value_of
from services.metrics_manager.promql.operators import (
    COMPARISONS,
    SETS,
    matching_of,
    of_scalars,
    of_sets,
    of_vectors,
    with_scalar,
)
from services.metrics_manager.promql.parsing import matchers_of, parsed
from services.metrics_manager.promql.range_functions import (
    PARTS,
    extrapolated,
    instant,
    of_windows,
    predicted,
    quantile_over,
)
from services.metrics_manager.promql.values import (
    Floats,
    Mask,
    Matrix,
    SampleSource,
    Series,
    Times,
    Value,
    Vector,
    Window,
    as_scalar,
    is_stale,
    merged,
    named_at_last,
    stacked,
)
from services.metrics_manager.promql.vector_functions import (
    OF_MOMENTS,
    OF_VALUES,
    clamped,
    label_join,
    label_replace,
    of_moments,
    rounded,
)

LOOKBACK_MS = 300_000
SUBQUERY_STEP_MS = 60_000
MOST_STEPS = 11_000
MOST_POINTS = 50_000_000
MOST_SECONDS = 20.0
_RATES = {"rate": (True, True), "increase": (True, False), "delta": (False, False)}


class Limits(NamedTuple):
    """`lookback`: how old a sample may be that still counts, `subquery_step`: of those that name none; both in ms.
    `points`: samples and results in memory at once. `seconds`: how long computing may take.
    """

    lookback: int = LOOKBACK_MS
    subquery_step: int = SUBQUERY_STEP_MS
    points: int = MOST_POINTS
    seconds: float = MOST_SECONDS


LIMITS = Limits()


def query_instant(source: SampleSource, query: str, at: int, limits: Limits = LIMITS) -> Value:
    """The value at that moment (ms): a Vector or Matrix of one step, a scalar or a text. Raises QueryError."""
    value = _Evaluation(source, at, at, 1, limits).evaluate(parsed(query))
    return named_at_last(value) if isinstance(value, Vector) else value


def query_range(source: SampleSource, query: str, start: int, end: int, step: int, limits: Limits = LIMITS) -> Vector:
    """The values at `start`, and each `step` (ms) on until `end`. Raises QueryError."""
    if step <= 0:
        raise QueryError(
            'invalid parameter "step": zero or negative query resolution step widths are refused', "bad_data"
        )
    if end < start:
        raise QueryError('invalid parameter "end": end timestamp must not be before start time', "bad_data")
    if (end - start) // step >= MOST_STEPS:
        raise QueryError(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution "
            "(?step=XX)",
            "bad_data",
        )
    value = _Evaluation(source, start, end, step, limits).evaluate(parsed(query))
    if isinstance(value, Vector):
        return named_at_last(value)
    if isinstance(value, np.ndarray):
        return Vector([()], value.reshape(1, -1), np.ones((1, len(value)), dtype=bool))
    kind = "string" if isinstance(value, str) else "range vector"
    raise QueryError(
        f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector', "bad_data"
    )


class _Evaluation:
    """One query, or the inner part of a subquery: `top` has the borders that `@ start()` means."""

    def __init__(
        self,
        source: SampleSource,
        start: int,
        end: int,
        step: int,
        limits: Limits,
        top: tuple[int, int] | None = None,
    ) -> None:
        self._source, self._limits, self._top = source, limits, top or (start, end)
        self.times: Times = np.arange(start, end + 1, step, dtype=np.int64)
        self._steps = len(self.times)
        self._left = limits.points
        self._until = monotonic() + limits.seconds

    def evaluate(self, node: Any) -> Value:
        self._require_time()
        match node:
            case ast.NumberLiteral():
                return np.full(self._steps, node.val)
            case ast.StringLiteral():
                return str(node.val)
            case ast.ParenExpr():
                return self.evaluate(node.expr)
            case ast.UnaryExpr():
                value = self.evaluate(node.expr)
                return value.nameless(-value.values) if isinstance(value, Vector) else -self._scalar(value)
            case ast.VectorSelector():
                return self._instants(node)
            case ast.MatrixSelector():
                return self._ranges(node)
            case ast.SubqueryExpr():
                return self._subquery(node)
            case ast.AggregateExpr():
                return self._aggregate(node)
            case ast.BinaryExpr():
                return self._binary(node)
            case ast.Call():
                return self._call(node)
        raise NotSupported(f"this expression ({type(node).__name__})")

    def _moments(self, node: Any) -> Times:
        """Where in time each step looks: at itself, or where `@` says, less the offset."""
        moments = self.times
        if node.at is not None:
            kind = str(node.at.type).rpartition(".")[2]
            fixed = {"Start": self._top[0], "End": self._top[1]}.get(kind)
            if fixed is None:
                fixed = round(node.at.at.timestamp() * 1000)
            moments = np.full(self._steps, fixed, dtype=np.int64)
        return moments - _ms(node.offset)

    def _select(self, selector: Any, moments: Times, before: int) -> list[Series]:
        start, end = int(moments.min()) - before + 1, int(moments.max())
        found = []
        for each in self._source.select(matchers_of(selector), start, end):
            self._spend(len(each.times) + self._steps)
            found.append(each)
        return found

    def _spend(self, points: int) -> None:
        self._left -= points
        if self._left < 0:
            raise QueryError("query processing would load too many samples into memory in query execution")
        self._require_time()

    def _require_time(self) -> None:
        if monotonic() > self._until:
            raise QueryError("query timed out in expression evaluation", "timeout")

    def _instants(self, node: Any, *, as_times: bool = False) -> Vector:
        """The newest samples; `as_times`: when they were taken, without their names."""
        moments = self._moments(node)
        labels, rows = [], []
        for each in self._select(node, moments, self._limits.lookback):
            at = np.searchsorted(each.times, moments, side="right") - 1
            there = self._is_there(each, at, moments)
            if there.any():
                labels.append(each.labels)
                rows.append(((each.times / 1000.0 if as_times else each.values)[np.maximum(at, 0)], there))
        return stacked(labels, rows, self._steps, [as_times] * len(labels))

    def _is_there(self, series: Series, at: Times, moments: Times) -> Mask:
        if not len(series.times):
            return np.zeros(self._steps, dtype=bool)
        index = np.maximum(at, 0)
        fresh: Mask = (at >= 0) & (series.times[index] > moments - self._limits.lookback)
        return fresh & ~is_stale(series.values)[index]

    def _ranges(self, node: Any) -> Matrix:
        length = _ms(node.range)
        selector = node.vector_selector
        moments = self._moments(selector)
        windows = []
        for each in self._select(selector, moments, length):
            live = ~is_stale(each.values)
            windows.append(_window(each.labels, each.times[live], each.values[live], moments, length))
        return Matrix([each for each in windows if (each.last > each.first).any()], moments, length)

    def _subquery(self, node: Any) -> Matrix:
        length, step = _ms(node.range), _ms(node.step) or self._limits.subquery_step
        moments = self._moments(node)
        first, last = int(moments.min()) - length, int(moments.max())
        start = step * (first // step)
        if start <= first:
            start += step
        if (last - start) // step > MOST_STEPS * 10:
            raise QueryError("the subquery has too many steps", "bad_data")
        if last < start:
            return Matrix([], moments, length)
        limits = self._limits._replace(points=self._left, seconds=self._until - monotonic())
        inner = _Evaluation(self._source, start, last, step, limits, self._top)
        value = inner.evaluate(node.expr)
        if isinstance(value, np.ndarray):
            value = Vector([()], value.reshape(1, -1), np.ones((1, len(value)), dtype=bool))
        if not isinstance(value, Vector):
            raise QueryError("a subquery is only allowed on an instant vector", "bad_data")
        self._spend(value.values.size)
        value = merged(value)
        windows = [
            _window(labels, inner.times[there], values[there], moments, length, drops)
            for labels, values, there, drops in zip(value.labels, value.values, value.there, value.drops, strict=True)
        ]
        return Matrix([each for each in windows if (each.last > each.first).any()], moments, length)

    def _aggregate(self, node: Any) -> Vector:
        if str(node.op) == "limit_ratio":
            raise NotSupported("the aggregation limit_ratio")
        parameter = None if node.param is None else self.evaluate(node.param)
        vector = self._vector(self.evaluate(node.expr))
        self._spend(vector.values.size)
        return aggregated(str(node.op), vector, node.modifier, parameter)

    def _binary(self, node: Any) -> Value:
        op = str(node.op)
        left, right = self.evaluate(node.lhs), self.evaluate(node.rhs)
        is_bool = node.modifier is not None and node.modifier.return_bool
        if isinstance(left, Vector) and isinstance(right, Vector):
            self._spend(left.values.size + right.values.size)
            matching = matching_of(node.modifier)
            if op in SETS:
                return of_sets(op, left, right, matching)
            return of_vectors(op, left, right, matching, is_bool=is_bool)
        if isinstance(left, Vector):
            return with_scalar(op, left, self._scalar(right), is_left=False, is_bool=is_bool)
        if isinstance(right, Vector):
            return with_scalar(op, right, self._scalar(left), is_left=True, is_bool=is_bool)
        if op in COMPARISONS and not is_bool:
            raise QueryError("comparisons between scalars must use BOOL modifier", "bad_data")
        return of_scalars(op, self._scalar(left), self._scalar(right))

    def _scalar(self, value: Value) -> Floats:
        return as_scalar(value, "an operand")

    def _vector(self, value: Value) -> Vector:
        if isinstance(value, Vector):
            return value
        raise QueryError("an instant vector is expected", "bad_data")

    def _call(self, node: Any) -> Value:
        name = node.func.name
        if name in _RATES:
            is_counter, is_rate = _RATES[name]
            return self._over(
                node.args[0],
                lambda window, matrix: extrapolated(window, matrix, is_counter=is_counter, is_rate=is_rate),
            )
        if name in ("irate", "idelta"):
            return self._over(node.args[0], lambda window, _: instant(window, is_rate=name == "irate"))
        if name in PARTS:
            part = PARTS[name]
            return self._over(
                node.args[0], lambda window, _: of_windows(window, part.compute, part.least), keeps=part.keeps_name
            )
        handler = _CALLS.get(name)
        if handler is None:
            raise NotSupported(f"the function {name}")
        return handler(self, name, node.args)

    def _over(
        self, argument: Any, compute: Callable[[Window, Matrix], tuple[Floats, Mask]], *, keeps: bool = False
    ) -> Vector:
        matrix = self._matrix(self.evaluate(argument))
        labels, rows, drops = [], [], []
        for window in matrix.windows:
            self._require_time()
            values, there = compute(window, matrix)
            if there.any():
                labels.append(window.labels)
                rows.append((values, there))
                drops.append(window.drops if keeps else True)
        return stacked(labels, rows, self._steps, drops)

    def _matrix(self, value: Value) -> Matrix:
        if isinstance(value, Matrix):
            return value
        raise QueryError("a range vector is expected", "bad_data")

    # What follows are the functions by name: `args` are trees.

    def _of_values(self, name: str, args: Sequence[Any]) -> Value:
        value = self._vector(self.evaluate(args[0]))
        with np.errstate(all="ignore"):
            return value.nameless(OF_VALUES[name](value.values))

    def _of_moments(self, name: str, args: Sequence[Any]) -> Value:
        if not args:
            return self._alone(of_moments(np.floor(self.times / 1000.0), OF_MOMENTS[name]))
        value = self._vector(self.evaluate(args[0]))
        return value.nameless(of_moments(value.values, OF_MOMENTS[name]))

    def _alone(self, values: Floats, labels: Labels = (), there: Mask | None = None) -> Vector:
        mask = np.ones(self._steps, dtype=bool) if there is None else there
        return stacked([labels], [(values, mask)], self._steps, [False])

    def _constant(self, name: str, args: Sequence[Any]) -> Value:
        if name == "pi":
            return np.full(self._steps, math.pi)
        return self.times / 1000.0

    def _vector_of(self, name: str, args: Sequence[Any]) -> Value:
        return self._alone(self._scalar(self.evaluate(args[0])))

    def _scalar_of(self, name: str, args: Sequence[Any]) -> Value:
        value = self._vector(self.evaluate(args[0]))
        if not len(value):
            return np.full(self._steps, np.nan)
        alone = value.there.sum(axis=0) == 1
        return np.where(alone, np.where(value.there, value.values, 0.0).sum(axis=0), np.nan)

    def _timestamp(self, name: str, args: Sequence[Any]) -> Value:
        inner = args[0]
        while isinstance(inner, ast.ParenExpr):
            inner = inner.expr
        if isinstance(inner, ast.VectorSelector):
            return self._instants(inner, as_times=True)
        value = self._vector(self.evaluate(inner))
        return value.nameless(np.broadcast_to(self.times / 1000.0, value.values.shape))

    def _absent(self, name: str, args: Sequence[Any]) -> Value:
        if name == "absent":
            there = self._vector(self.evaluate(args[0])).there.any(axis=0)
        else:
            windows = self._matrix(self.evaluate(args[0])).windows
            there = np.zeros(self._steps, dtype=bool)
            for each in windows:
                there |= each.last > each.first
        return self._alone(np.ones(self._steps), _told_by(args[0]), np.logical_not(there))

    def _sorted(self, name: str, args: Sequence[Any]) -> Value:
        value = self._vector(self.evaluate(args[0]))
        if self._steps > 1:
            return value
        sign = -1.0 if name == "sort_desc" else 1.0
        column = value.values[:, 0]
        order = sorted(range(len(value)), key=lambda row: (math.isnan(column[row]), sign * column[row]))
        return value.rows(order)

    def _sorted_by_label(self, name: str, args: Sequence[Any]) -> Value:
        value = self._vector(self.evaluate(args[0]))
        names = [self._text(each) for each in args[1:]]

        def key(row: int) -> Any:
            labels = value.labels[row]
            return [_natural(value_of(labels, each)) for each in names], labels

        return value.rows(sorted(range(len(value)), key=key, reverse=name.endswith("_desc")))

    def _round(self, name: str, args: Sequence[Any]) -> Value:
        value = self._vector(self.evaluate(args[0]))
        nearest = self._scalar(self.evaluate(args[1])) if len(args) > 1 else np.ones(self._steps)
        with np.errstate(all="ignore"):
            return value.nameless(rounded(value.values, nearest))

    def _clamp(self, name: str, args: Sequence[Any]) -> Value:
        value = self._vector(self.evaluate(args[0]))
        bounds = [self._scalar(self.evaluate(each)) for each in args[1:]]
        lower = bounds[0] if name != "clamp_max" else np.full(self._steps, -np.inf)
        upper = bounds[-1] if name != "clamp_min" else np.full(self._steps, np.inf)
        there = value.there & ~(lower > upper)
        return value.nameless(clamped(value.values, lower, upper), there)

    def _label_replace(self, name: str, args: Sequence[Any]) -> Value:
        value = self._vector(self.evaluate(args[0]))
        target, replacement, source, expression = (self._text(each) for each in args[1:])
        return label_replace(value, target, replacement, source, expression)

    def _label_join(self, name: str, args: Sequence[Any]) -> Value:
        value = self._vector(self.evaluate(args[0]))
        target, separator, *sources = (self._text(each) for each in args[1:])
        return label_join(value, target, separator, sources)

    def _text(self, node: Any) -> str:
        value = self.evaluate(node)
        if not isinstance(value, str):
            raise QueryError("a string is expected", "bad_data")
        return value

    def _quantile_over_time(self, name: str, args: Sequence[Any]) -> Value:
        wanted = self._scalar(self.evaluate(args[0]))
        return self._over(args[1], lambda window, _: quantile_over(window, wanted))

    def _predict_linear(self, name: str, args: Sequence[Any]) -> Value:
        ahead = self._scalar(self.evaluate(args[1]))
        return self._over(args[0], lambda window, _: predicted(window, ahead, self.times))

    def _histogram_quantile(self, name: str, args: Sequence[Any]) -> Value:
        wanted = self._scalar(self.evaluate(args[0]))
        value = self._vector(self.evaluate(args[1]))
        return histograms.of_histograms(value, lambda buckets, step: histograms.quantile(wanted[step], buckets))

    def _histogram_fraction(self, name: str, args: Sequence[Any]) -> Value:
        lower, upper = (self._scalar(self.evaluate(each)) for each in args[:2])
        value = self._vector(self.evaluate(args[2]))
        return histograms.of_histograms(
            value, lambda buckets, step: histograms.fraction(lower[step], upper[step], buckets)
        )


_Handler = Callable[[_Evaluation, str, Sequence[Any]], Value]
_CALLS: dict[str, _Handler] = {
    **dict.fromkeys(OF_VALUES, _Evaluation._of_values),
    **dict.fromkeys(OF_MOMENTS, _Evaluation._of_moments),
    **dict.fromkeys(("pi", "time"), _Evaluation._constant),
    **dict.fromkeys(("absent", "absent_over_time"), _Evaluation._absent),
    **dict.fromkeys(("sort", "sort_desc"), _Evaluation._sorted),
    **dict.fromkeys(("sort_by_label", "sort_by_label_desc"), _Evaluation._sorted_by_label),
    **dict.fromkeys(("clamp", "clamp_min", "clamp_max"), _Evaluation._clamp),
    "vector": _Evaluation._vector_of,
    "scalar": _Evaluation._scalar_of,
    "timestamp": _Evaluation._timestamp,
    "round": _Evaluation._round,
    "label_replace": _Evaluation._label_replace,
    "label_join": _Evaluation._label_join,
    "quantile_over_time": _Evaluation._quantile_over_time,
    "predict_linear": _Evaluation._predict_linear,
    "histogram_quantile": _Evaluation._histogram_quantile,
    "histogram_fraction": _Evaluation._histogram_fraction,
}


def _ms(duration: timedelta | None) -> int:
    return 0 if duration is None else round(duration.total_seconds() * 1000)


def _window(labels: Labels, times: Times, values: Floats, ends: Times, length: int, drops: bool = False) -> Window:
    first = np.searchsorted(times, ends - length, side="right")
    last = np.searchsorted(times, ends, side="right")
    return Window(labels, times, values, first, last, drops)


def _natural(text: str) -> list[tuple[int, str]]:
    """In the order of people: digits as numbers."""
    parts: list[tuple[int, str]] = []
    digits = ""
    for each in text + "\0":
        if each.isascii() and each.isdigit():
            digits += each
            continue
        if digits:
            parts.append((int(digits), ""))
            digits = ""
        if each != "\0":
            parts.append((-1, each))
    return parts


def _told_by(node: Any) -> Labels:
    """The labels that a selector says what is absent would have: its equalities, but for those said twice."""
    while isinstance(node, ast.ParenExpr):
        node = node.expr
    if isinstance(node, ast.MatrixSelector):
        node = node.vector_selector
    if not isinstance(node, ast.VectorSelector):
        return ()
    said: dict[str, list[tuple[str, str]]] = {}
    for each in matchers_of(node)[0]:
        if each.name != "__name__":
            said.setdefault(each.name, []).append((each.op, each.value))
    return labels_of((name, told[0][1]) for name, told in said.items() if len(told) == 1 and told[0][0] == "=")
