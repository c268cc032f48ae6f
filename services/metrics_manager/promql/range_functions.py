"""Functions over ranges: what the samples of a window come to."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from services.metrics_manager.promql.sums import average_of, quantile_of, sum_of
from services.metrics_manager.promql.values import Floats, Mask, Matrix, Times, Window

OfWindow = Callable[[Times, Floats], float]
Answer = tuple[Floats, Mask]


class Part(NamedTuple):
    """A function of the samples of one window. `keeps_name`: what it gives is still what the name says."""

    compute: OfWindow
    least: int = 1
    keeps_name: bool = False


def _changes(times: Times, values: Floats) -> float:
    before, after = values[:-1], values[1:]
    return float(((before != after) & ~(np.isnan(before) & np.isnan(after))).sum())


def _resets(times: Times, values: Floats) -> float:
    return float((values[1:] < values[:-1]).sum())


def _variance(times: Times, values: Floats) -> float:
    if np.isinf(values).any() or np.isnan(values).any():
        return math.nan
    if (values == values[0]).all():
        return 0.0
    return sum_of((values - average_of(values)) ** 2) / len(values)


def _deviation(times: Times, values: Floats) -> float:
    return math.sqrt(_variance(times, values))


def _median_deviation(times: Times, values: Floats) -> float:
    if np.isnan(values).any():
        return math.nan
    return quantile_of(0.5, np.abs(values - quantile_of(0.5, values)))


def _deriv(times: Times, values: Floats) -> float:
    return regression(times, values, int(times[0]))[0]


def regression(times: Times, values: Floats, at: int) -> tuple[float, float]:
    """Slope a second, and the value at `at`, of the line through these samples."""
    first = values[0]
    if (values == first).all():
        return (math.nan, math.nan) if math.isinf(first) else (0.0, float(first))
    x = (times - at) / 1000.0
    n = len(values)
    sum_x, sum_y = sum_of(x), sum_of(values)
    covariance = sum_of(x * values) - sum_x * sum_y / n
    variance = sum_of(x * x) - sum_x * sum_x / n
    with np.errstate(all="ignore"):
        slope = float(np.float64(covariance) / np.float64(variance))
    return slope, sum_y / n - slope * sum_x / n


PARTS: dict[str, Part] = {
    "avg_over_time": Part(lambda times, values: average_of(values)),
    "sum_over_time": Part(lambda times, values: sum_of(values)),
    "count_over_time": Part(lambda times, values: float(len(values))),
    "min_over_time": Part(lambda times, values: float(np.fmin.reduce(values))),
    "max_over_time": Part(lambda times, values: float(np.fmax.reduce(values))),
    "last_over_time": Part(lambda times, values: float(values[-1]), keeps_name=True),
    "first_over_time": Part(lambda times, values: float(values[0]), keeps_name=True),
    "present_over_time": Part(lambda times, values: 1.0),
    "stddev_over_time": Part(_deviation),
    "stdvar_over_time": Part(_variance),
    "mad_over_time": Part(_median_deviation),
    "changes": Part(_changes),
    "resets": Part(_resets),
    "deriv": Part(_deriv, least=2),
    "ts_of_last_over_time": Part(lambda times, values: float(times[-1]) / 1000),
    "ts_of_first_over_time": Part(lambda times, values: float(times[0]) / 1000),
    "ts_of_min_over_time": Part(lambda times, values: _time_of(times, values, np.fmin.reduce(values))),
    "ts_of_max_over_time": Part(lambda times, values: _time_of(times, values, np.fmax.reduce(values))),
}


def _time_of(times: Times, values: Floats, wanted: float) -> float:
    """When that value was there last."""
    at = np.flatnonzero((values == wanted) | (np.isnan(values) & np.isnan(wanted)))
    return float(times[at[-1]]) / 1000


def of_windows(window: Window, compute: OfWindow, least: int) -> Answer:
    """A value for each step whose window has at least so many samples."""
    sizes = window.last - window.first
    there = sizes >= least
    values = np.zeros(len(sizes))
    for step in np.flatnonzero(there):
        part = slice(window.first[step], window.last[step])
        values[step] = compute(window.times[part], window.values[part])
    return values, there


def quantile_over(window: Window, wanted: Floats) -> Answer:
    """`wanted`: the quantile of each step."""
    there = window.last > window.first
    values = np.zeros(len(there))
    for step in np.flatnonzero(there):
        values[step] = quantile_of(wanted[step], window.values[window.first[step] : window.last[step]])
    return values, there


def predicted(window: Window, ahead: Floats, now: Times) -> Answer:
    """Where the line through each window is `ahead` seconds after `now`."""
    there = window.last - window.first >= 2
    values = np.zeros(len(there))
    for step in np.flatnonzero(there):
        part = slice(window.first[step], window.last[step])
        slope, here = regression(window.times[part], window.values[part], int(now[step]))
        values[step] = slope * ahead[step] + here
    return values, there


def instant(window: Window, *, is_rate: bool) -> Answer:
    """irate and idelta: of the last two samples."""
    there = window.last - window.first >= 2
    end = np.where(there, window.last - 1, 0)
    start = np.where(there, window.last - 2, 0)
    if not there.any():
        return np.zeros(len(there)), there
    last, before = window.values[end], window.values[start]
    with np.errstate(all="ignore"):
        gained = np.where(is_rate & (last < before), last, last - before)
        apart = (window.times[end] - window.times[start]) / 1000.0
        values = gained / np.where(apart == 0, np.nan, apart) if is_rate else gained
    return values, there & (apart != 0)


def extrapolated(window: Window, matrix: Matrix, *, is_counter: bool, is_rate: bool) -> Answer:
    """rate, increase and delta, as Prometheus extrapolates them to the borders of the range."""
    there = window.last - window.first >= 2
    if not there.any():
        return np.zeros(len(there)), there
    first = np.where(there, window.first, 0)
    last = np.where(there, window.last - 1, 0)
    begin, final = window.values[first], window.values[last]
    with np.errstate(all="ignore"):
        gained = final - begin
        if is_counter:
            drops = np.where(window.values[1:] < window.values[:-1], window.values[:-1], 0.0)
            resets = np.concatenate(((0.0,), np.cumsum(drops)))
            gained = gained + (resets[last] - resets[first])
        factor = _stretched(window.times, first, last, begin, gained, matrix, is_counter=is_counter)
        if is_rate:
            factor = factor / (matrix.length / 1000)
        return gained * factor, there


def _stretched(
    times: Times, first: Times, last: Times, begin: Floats, gained: Floats, matrix: Matrix, *, is_counter: bool
) -> Floats:
    """By how much the time between first and last sample is lengthened."""
    sampled = (times[last] - times[first]) / 1000.0
    apart = sampled / np.maximum(last - first, 1)
    to_start = (times[first] - (matrix.ends - matrix.length)) / 1000.0
    to_end = (matrix.ends - times[last]) / 1000.0
    most = apart * 1.1
    to_start = np.where(to_start >= most, apart / 2, to_start)
    if is_counter:
        to_zero = np.where((gained > 0) & (begin >= 0), sampled * (begin / gained), to_start)
        to_start = np.minimum(to_start, np.where(np.isnan(to_zero), to_start, to_zero))
    to_end = np.where(to_end >= most, apart / 2, to_end)
    lengthened: Floats = (sampled + to_start + to_end) / sampled
    return lengthened
