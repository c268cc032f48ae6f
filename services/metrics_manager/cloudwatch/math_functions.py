"""The functions and operators of metric math, over one number for each period.

Source: Amazon CloudWatch User Guide, "Using math expressions with CloudWatch metrics".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias, TypeGuard

import numpy as np

from services.metrics_manager.cloudwatch.statistics import Grid
from services.metrics_manager.promql.values import Floats

Given: TypeAlias = "float | str | Floats | list[Floats]"


class MathFault(ValueError):
    """An expression means nothing, or something that is not done here."""


Function: TypeAlias = "Callable[[Scope, Sequence[Given]], Given]"


class Scope(NamedTuple):
    """What an expression may name. `metrics`: the ids that METRICS() means; `work`: told of so many numbers before
    they are computed with.
    """

    grid: Grid
    known: Mapping[str, Floats]
    metrics: Sequence[str]
    work: Callable[[int], None]

    def compute(self, function: Function, given: Sequence[Given]) -> Given:
        """Each list and series counts whole, and so does what comes of them."""
        self.work(self.grid.steps * (1 + sum(len(each) for each in given if isinstance(each, list))))
        return function(self, given)


def is_series(value: Any) -> TypeGuard[Floats]:
    return isinstance(value, np.ndarray)


def _seconds(scope: Scope) -> Floats:
    return scope.grid.times().astype(np.float64) / 1000


def _arguments(name: str, given: Sequence[Given], least: int, most: int | None = None) -> None:
    most = least if most is None else most
    if not least <= len(given) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise MathFault(f"{name} takes {wanted} arguments, not {len(given)}")


def _each(name: str, compute: Callable[[Floats], Floats]) -> Function:
    """Of one argument, number by number."""

    def function(scope: Scope, given: Sequence[Given]) -> Given:
        _arguments(name, given, 1)
        return _mapped(name, compute, given[0])

    return function


def _mapped(name: str, compute: Callable[[Any], Any], value: Given) -> Given:
    if isinstance(value, str):
        raise MathFault(f"{name} is not of texts")
    if isinstance(value, list):
        return [_finite(compute(each)) for each in value]
    return _finite(compute(value)) if is_series(value) else float(compute(np.float64(value)))


def _finite(series: Floats) -> Floats:
    """A division by zero gives nothing, which FILL may fill."""
    return np.where(np.isfinite(series), series, np.nan)


def _of_two(sign: str, compute: Callable[[Any, Any], Any]) -> Function:
    """Of each pair of numbers. A list of series is taken one by one."""

    def function(scope: Scope, given: Sequence[Given]) -> Given:
        left, right = given
        if isinstance(left, str) or isinstance(right, str):
            raise MathFault(f"{sign} is not of texts")
        if isinstance(left, list) and isinstance(right, list):
            raise MathFault(f"{sign} is not of two lists of time series")
        if isinstance(left, list):
            return [_finite(compute(each, right)) for each in left]
        if isinstance(right, list):
            return [_finite(compute(left, each)) for each in right]
        found = compute(left if is_series(left) else np.float64(left), right)
        return _finite(found) if is_series(found) and found.ndim else float(found)

    return function


def _judged(compute: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """1 or 0; nothing where one side is nothing."""
    return lambda left, right: np.where(np.isnan(left) | np.isnan(right), np.nan, compute(left, right) * 1.0)


def _aggregated(name: str, along: Callable[..., Any]) -> Function:
    """A number of one series; of a list of them, one series."""

    def function(scope: Scope, given: Sequence[Given]) -> Given:
        _arguments(name, given, 1)
        value = given[0]
        if isinstance(value, str):
            raise MathFault(f"{name} is not of texts")
        if isinstance(value, list):
            if not value:
                return np.full(scope.grid.steps, np.nan)
            stack = np.stack(value)
            there = ~np.isnan(stack).all(axis=0)
            found = np.full(scope.grid.steps, np.nan)
            if there.any():
                found[there] = along(stack[:, there], axis=0)
            return found
        if not is_series(value):
            return value
        return float(along(value)) if not np.isnan(value).all() else float("nan")

    return function


def _metrics(scope: Scope, given: Sequence[Given]) -> Given:
    _arguments("METRICS", given, 0, 1)
    wanted = given[0] if given else ""
    if not isinstance(wanted, str):
        raise MathFault("METRICS takes a text: METRICS('errors') is all whose ids have it")
    return [scope.known[each] for each in scope.metrics if wanted in each]


def _list(scope: Scope, given: Sequence[Given]) -> Given:
    found: list[Floats] = []
    for each in given:
        if isinstance(each, list):
            found += each
        elif is_series(each):
            found.append(each)
        else:
            raise MathFault("[...] is a list of time series")
    return found


def _fill(scope: Scope, given: Sequence[Given]) -> Given:
    _arguments("FILL", given, 2)
    value, by = given
    if isinstance(value, list):
        return [_filled(each, by) for each in value]
    if not is_series(value):
        raise MathFault("FILL is of a time series")
    return _filled(value, by)


def _filled(series: Floats, by: Given) -> Floats:
    there = np.flatnonzero(~np.isnan(series))
    if isinstance(by, float) or is_series(by):
        return np.where(np.isnan(series), by, series)
    if by not in ("REPEAT", "LINEAR"):
        raise MathFault("FILL takes a number, REPEAT or LINEAR")
    if not len(there):
        return series
    every = np.arange(len(series))
    if by == "LINEAR":
        found: Floats = np.interp(every, there, series[there], left=np.nan, right=np.nan)
        return found
    last = np.searchsorted(there, every, side="right") - 1
    return np.where(last >= 0, series[there[last.clip(min=0)]], np.nan)


def _changes(series: Floats, scope: Scope) -> tuple[Floats, Floats]:
    """What each number is more than the one before it, and how many seconds lie between."""
    there = np.flatnonzero(~np.isnan(series))
    more, apart = np.full(len(series), np.nan), np.full(len(series), np.nan)
    if len(there) > 1:
        more[there[1:]] = np.diff(series[there])
        apart[there[1:]] = np.diff(_seconds(scope)[there])
    return more, apart


def _of_series(name: str, compute: Callable[[Floats, Scope], Given]) -> Function:
    def function(scope: Scope, given: Sequence[Given]) -> Given:
        _arguments(name, given, 1)
        value = given[0]
        if isinstance(value, list):
            computed = [compute(each, scope) for each in value]
            return [each if is_series(each) else np.full(scope.grid.steps, each) for each in computed]
        if not is_series(value):
            raise MathFault(f"{name} is of a time series")
        return compute(value, scope)

    return function


def _rate(series: Floats, scope: Scope) -> Floats:
    more, apart = _changes(series, scope)
    found: Floats = more / apart
    return found


def _running_sum(series: Floats, scope: Scope) -> Floats:
    return np.where(np.isnan(series), np.nan, np.nancumsum(series))


def _edge(at: int) -> Callable[[Floats, Scope], float]:
    def value(series: Floats, scope: Scope) -> float:
        there = series[~np.isnan(series)]
        return float(there[at]) if len(there) else float("nan")

    return value


def _if(scope: Scope, given: Sequence[Given]) -> Given:
    _arguments("IF", given, 2, 3)
    if any(isinstance(each, str | list) for each in given):
        raise MathFault("IF is of numbers and time series")
    condition, then = given[0], given[1]
    other = given[2] if len(given) == 3 else float("nan")
    if not is_series(condition):
        return then if condition else other
    chosen = np.where(condition != 0, then, other)
    return np.where(np.isnan(condition), np.nan, chosen)


def _of_time(name: str, read: Callable[[datetime], int]) -> Function:
    def function(scope: Scope, given: Sequence[Given]) -> Given:
        _arguments(name, given, 0, 1)
        moments = [datetime.fromtimestamp(each, UTC) for each in _seconds(scope)]
        found = np.array([float(read(each)) for each in moments])
        return np.where(np.isnan(given[0]), np.nan, found) if given and is_series(given[0]) else found

    return function


def _time_series(scope: Scope, given: Sequence[Given]) -> Given:
    _arguments("TIME_SERIES", given, 1)
    if not isinstance(given[0], float):
        raise MathFault("TIME_SERIES is of a number")
    return np.full(scope.grid.steps, given[0])


def _count(scope: Scope, given: Sequence[Given]) -> Given:
    _arguments("METRIC_COUNT", given, 1)
    return float(len(given[0])) if isinstance(given[0], list) else 1.0


FUNCTIONS: Mapping[str, Function] = {
    "+": _of_two("+", np.add),
    "-": _of_two("-", np.subtract),
    "*": _of_two("*", np.multiply),
    "/": _of_two("/", np.divide),
    "^": _of_two("^", np.power),
    **{sign: _of_two(sign, _judged(compute)) for sign, compute in (
        ("<", np.less), (">", np.greater), ("<=", np.less_equal), (">=", np.greater_equal),
        ("==", np.equal), ("!=", np.not_equal),
        ("&&", np.logical_and), ("AND", np.logical_and), ("||", np.logical_or), ("OR", np.logical_or),
    )},
    "[": _list,
    "NEGATIVE": _each("-", np.negative),
    "ABS": _each("ABS", np.abs),
    "CEIL": _each("CEIL", np.ceil),
    "FLOOR": _each("FLOOR", np.floor),
    "LOG": _each("LOG", np.log),
    "LOG10": _each("LOG10", np.log10),
    "AVG": _aggregated("AVG", np.nanmean),
    "SUM": _aggregated("SUM", np.nansum),
    "MIN": _aggregated("MIN", np.nanmin),
    "MAX": _aggregated("MAX", np.nanmax),
    "STDDEV": _aggregated("STDDEV", np.nanstd),
    "METRICS": _metrics,
    "METRIC_COUNT": _count,
    "FILL": _fill,
    "DIFF": _of_series("DIFF", lambda series, scope: _changes(series, scope)[0]),
    "DIFF_TIME": _of_series("DIFF_TIME", lambda series, scope: _changes(series, scope)[1]),
    "RATE": _of_series("RATE", _rate),
    "RUNNING_SUM": _of_series("RUNNING_SUM", _running_sum),
    "FIRST": _of_series("FIRST", _edge(0)),
    "LAST": _of_series("LAST", _edge(-1)),
    "DATAPOINT_COUNT": _of_series("DATAPOINT_COUNT", lambda series, scope: float((~np.isnan(series)).sum())),
    "PERIOD": _of_series("PERIOD", lambda series, scope: scope.grid.period / 1000),
    "IF": _if,
    "TIME_SERIES": _time_series,
    "EPOCH": _of_time("EPOCH", lambda moment: int(moment.timestamp())),
    "YEAR": _of_time("YEAR", lambda moment: moment.year),
    "MONTH": _of_time("MONTH", lambda moment: moment.month),
    "DATE": _of_time("DATE", lambda moment: moment.day),
    "DAY": _of_time("DAY", lambda moment: moment.isoweekday()),
    "HOUR": _of_time("HOUR", lambda moment: moment.hour),
    "MINUTE": _of_time("MINUTE", lambda moment: moment.minute),
}  # fmt: skip
"""By name; operators too. Numbers that are none (a division by zero) are nothing."""
