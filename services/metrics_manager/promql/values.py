"""What expressions are evaluated to: whole ranges at once, one column for each step.

A scalar is an array of one number for each step; a string is a `str`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.metrics_manager.promql.errors import QueryError
from services.metrics_manager.promql.labels import NAME, Labels, value_of, without_name
from services.metrics_manager.promql.matcher import Matcher

Floats: TypeAlias = NDArray[np.float64]
Times: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]
STALE = 0x7FF0000000000002
"""The bits of the number that says that a series has ended."""


def is_stale(values: Floats) -> Mask:
    found: Mask = values.view(np.int64) == STALE
    return found


class Series(NamedTuple):
    """Samples as they are stored: times in ms, rising, and markers of staleness among the values."""

    labels: Labels
    times: Times
    values: Floats


class SampleSource(Protocol):
    """Where samples are read from."""

    def select(self, alternatives: Sequence[Sequence[Matcher]], start: int, end: int) -> Iterable[Series]:
        """The series that match all of one of the alternatives, with their samples of `start` to `end`, both
        included.
        """
        ...


@dataclass(slots=True)
class Vector:
    """Rows are series, columns steps; `there` says which of the values are any. `drops`: whose name goes at last."""

    labels: list[Labels]
    values: Floats
    there: Mask
    drops: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.drops:
            self.drops = [False] * len(self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, chosen: Sequence[int]) -> Vector:
        index = list(chosen)
        return Vector(
            [self.labels[i] for i in index], self.values[index], self.there[index], [self.drops[i] for i in index]
        )

    def nameless(self, values: Floats, there: Mask | None = None) -> Vector:
        """Other values of the same series, whose names say something else than these."""
        return Vector(self.labels, values, self.there if there is None else there, [True] * len(self.labels))


class Window(NamedTuple):
    """Samples of one series, and which of them (`first` to before `last`) each step's range holds."""

    labels: Labels
    times: Times
    values: Floats
    first: Times
    last: Times
    drops: bool = False


@dataclass(slots=True)
class Matrix:
    """Ranges: `ends` are their right borders in ms, which they include, and `length` is in ms."""

    windows: list[Window]
    ends: Times
    length: int


Value: TypeAlias = "Vector | Matrix | Floats | str"


def empty(steps: int) -> Vector:
    return Vector([], np.zeros((0, steps)), np.zeros((0, steps), dtype=bool))


def stacked(labels: list[Labels], rows: list[tuple[Floats, Mask]], steps: int, drops: list[bool]) -> Vector:
    """A vector of rows."""
    if not rows:
        return empty(steps)
    return Vector(labels, np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows]), drops)


def named_at_last(vector: Vector) -> Vector:
    """Without the names that were to go. Raises QueryError where two series are one then."""
    labels = [
        without_name(each) if drops and value_of(each, NAME) else each
        for each, drops in zip(vector.labels, vector.drops, strict=True)
    ]
    return merged(Vector(labels, vector.values, vector.there))


def merged(vector: Vector) -> Vector:
    """One row for each set of labels. Raises QueryError where two have a value at the same step."""
    if len(set(vector.labels)) == len(vector.labels):
        return vector
    first: dict[Labels, int] = {}
    values, there = vector.values.copy(), vector.there.copy()
    for row, labels in enumerate(vector.labels):
        into = first.setdefault(labels, row)
        if into == row:
            continue
        if (there[into] & there[row]).any():
            raise QueryError("vector cannot contain metrics with the same labelset")
        values[into] = np.where(there[row], values[row], values[into])
        there[into] |= there[row]
    return Vector(vector.labels, values, there, vector.drops).rows(list(first.values()))


def as_scalar(value: Any, what: str) -> Floats:
    """Raises QueryError for what is none."""
    if isinstance(value, np.ndarray):
        return value
    raise QueryError(f"{what} must be a scalar", "bad_data")
