"""Sums that lose nothing on the way (Neumaier), over rows, all steps at once."""

from __future__ import annotations

import math

import numpy as np

from services.metrics_manager.promql.values import Floats, Mask


def summed(values: Floats, there: Mask) -> Floats:
    """Of each column, what is there."""
    total, lost = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for row, mask in zip(values, there, strict=True):
        added = np.where(mask, row, 0.0)
        now = total + added
        swap = np.abs(total) >= np.abs(added)
        small = np.where(swap, (total - now) + added, (added - now) + total)
        lost = np.where(np.isinf(now), 0.0, lost + small)
        total = now
    return np.where(np.isinf(total) | np.isnan(total), total, total + lost)


def averaged(values: Floats, there: Mask) -> Floats:
    """Of each column the mean of what is there, also where the sum is too large for a number."""
    count = there.sum(axis=0)
    with np.errstate(all="ignore"):
        mean = summed(values, there) / count
        large = np.isinf(mean) & ~np.isinf(np.where(there, values, 0.0)).any(axis=0)
        if large.any():
            mean = np.where(large, summed(values / np.maximum(count, 1), there), mean)
    found: Floats = mean
    return found


def sum_of(values: Floats) -> float:
    """Of one window."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return float(np.sum(values))


def average_of(values: Floats) -> float:
    """Of one window, which is not empty."""
    total = sum_of(values)
    if math.isinf(total) and not np.isinf(values).any():
        return sum_of(values / len(values))
    return total / len(values)


def quantile_of(q: float, values: Floats) -> float:
    """Between the two that are nearest; NaN counts as the smallest."""
    if len(values) == 0 or math.isnan(q):
        return math.nan
    if q < 0:
        return -math.inf
    if q > 1:
        return math.inf
    ordered = np.sort(values)  # NaN last
    nans = int(np.isnan(ordered).sum())
    ordered = np.concatenate((ordered[len(ordered) - nans :], ordered[: len(ordered) - nans]))
    rank = q * (len(ordered) - 1)
    lower = max(0, math.floor(rank))
    upper = min(len(ordered) - 1, lower + 1)
    weight = rank - math.floor(rank)
    with np.errstate(all="ignore"):
        return float(ordered[lower] * (1 - weight) + ordered[upper] * weight)
