"""A distribution of measured values: how many lie in each bucket, and their sum.

For counting on one event loop: plain numbers, no locks, no labels. Whoever publishes it gives it names.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate


class Distribution:
    """`bounds` are upper bounds, ascending; what is more than the last is in one bucket more."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts, self.sum = [0] * (len(self.bounds) + 1), 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """The number of values that were counted."""
        return sum(self.counts)

    @property
    def mean(self) -> float | None:
        """Their mean; None before the first."""
        return self.sum / self.count if self.count else None

    def cumulative(self) -> list[int]:
        """How many are at most each bound, and last how many there are."""
        return list(accumulate(self.counts))

    def within(self, share: float) -> float | None:
        """The lowest bound that this share of the values does not exceed; None when that is above the last bound, or
        nothing was counted."""
        count = self.count
        reached = zip(self.bounds, self.cumulative(), strict=False)
        return next((bound for bound, below in reached if count and below >= share * count), None)
