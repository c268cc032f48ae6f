"""Operators between two values, and which series of two vectors belong together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import promql_parser

from services.metrics_manager.promql.errors import QueryError
from services.metrics_manager.promql.labels import NAME, Labels, labels_of, only, value_of, without, written
from services.metrics_manager.promql.values import Floats, Mask, Vector, merged, stacked

Compute = Callable[[Any, Any], Any]
ARITHMETIC: dict[str, Compute] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": lambda a, b: np.power(np.asarray(a, dtype=np.float64), b),
    "atan2": np.arctan2,
}
COMPARISONS: dict[str, Compute] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}
SETS = ("and", "or", "unless")
Card = promql_parser.VectorMatchCardinality


def of_scalars(op: str, left: Floats, right: Floats) -> Floats:
    with np.errstate(all="ignore"):
        if op in COMPARISONS:
            return np.asarray(COMPARISONS[op](left, right), dtype=np.float64)
        return np.asarray(ARITHMETIC[op](left, right))


def with_scalar(op: str, vector: Vector, scalar: Floats, *, is_left: bool, is_bool: bool) -> Vector:
    """`is_left`: the scalar stands before the operator. What a comparison keeps is the vector's."""
    left, right = (scalar, vector.values) if is_left else (vector.values, scalar)
    with np.errstate(all="ignore"):
        if op not in COMPARISONS:
            return vector.nameless(np.asarray(ARITHMETIC[op](left, right)))
        holds = COMPARISONS[op](left, right)
    if is_bool:
        return vector.nameless(holds.astype(np.float64))
    return Vector(vector.labels, vector.values, vector.there & holds, vector.drops)


class Matching(NamedTuple):
    """`on`: whether `names` are those that count, or those that do not. `one_is_left`: of group_right."""

    on: bool
    names: frozenset[str]
    is_one_to_one: bool
    one_is_left: bool
    group_labels: tuple[str, ...]
    fill_left: float | None
    fill_right: float | None

    def key(self, labels: Labels) -> Labels:
        return only(labels, self.names) if self.on else without(labels, self.names | {NAME})


def matching_of(modifier: Any) -> Matching:
    """Of a binary expression; None is one without words about it."""
    if modifier is None:
        return Matching(False, frozenset(), True, False, (), None, None)
    card, by, fill = modifier.card, modifier.matching, modifier.fill_values
    on = by is not None and str(by.type).endswith("Include")
    names = frozenset(by.labels if by is not None else ())
    group_labels = tuple(modifier.group_labels or ())
    return Matching(on, names, card == Card.OneToOne, card == Card.OneToMany, group_labels, fill.lhs, fill.rhs)


def of_sets(op: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    """and, or, unless: what of the left side has something on the right side, or has not."""
    steps = left.values.shape[1]
    if op == "or":
        present = _presence(left, matching, steps)
        absent = [
            row & ~present.get(matching.key(of), False) for of, row in zip(right.labels, right.there, strict=True)
        ]
        both = Vector(
            left.labels + right.labels,
            np.concatenate((left.values, right.values)),
            np.concatenate((left.there, np.array(absent, dtype=bool).reshape(len(right), steps))),
            left.drops + right.drops,
        )
        return _joined(both)
    present = _presence(right, matching, steps)
    nothing = np.zeros(steps, dtype=bool)
    found = [present.get(matching.key(each), nothing) for each in left.labels]
    mask = np.array(found, dtype=bool).reshape(len(left), steps)
    return Vector(left.labels, left.values, left.there & (mask if op == "and" else ~mask), left.drops)


def _joined(both: Vector) -> Vector:
    """One row for each set of labels, unless their names differ in whether they go."""
    found: dict[tuple[Labels, bool], list[int]] = {}
    for row, key in enumerate(zip(both.labels, both.drops, strict=True)):
        found.setdefault(key, []).append(row)
    if len(found) == len(both):
        return both
    parts = [merged(both.rows(rows)) for rows in found.values()]
    return Vector(
        [each for part in parts for each in part.labels],
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.there for part in parts]),
        [each for part in parts for each in part.drops],
    )


def _presence(vector: Vector, matching: Matching, steps: int) -> dict[Labels, Mask]:
    found: dict[Labels, Mask] = {}
    for labels, there in zip(vector.labels, vector.there, strict=True):
        key = matching.key(labels)
        found[key] = found[key] | there if key in found else there
    return found


class _Side(NamedTuple):
    """The rows of the side of which each group has one at most, as one row for each group."""

    labels: list[Labels]
    values: Floats
    there: Mask


def of_vectors(op: str, left: Vector, right: Vector, matching: Matching, *, is_bool: bool) -> Vector:
    """Raises QueryError where several belong to one that may have one alone."""
    many, one = (right, left) if matching.one_is_left else (left, right)
    return _Pairing(op, many, one, matching, is_bool).paired()


class _Pairing:
    """The way of one operation between vectors."""

    def __init__(self, op: str, many: Vector, one: Vector, matching: Matching, is_bool: bool) -> None:
        self._op, self._many, self._one, self._matching, self._is_bool = op, many, one, matching, is_bool
        self._steps = many.values.shape[1]
        self._labels: list[Labels] = []
        self._rows: list[tuple[Floats, Mask]] = []
        self._matched: dict[tuple[Labels, Labels], Mask] = {}
        # As in Prometheus, also with group_right, whose sides it swaps, but not these.
        self._fill_one, self._fill_many = matching.fill_right, matching.fill_left

    def paired(self) -> Vector:
        ones = self._ones()
        for row, labels in enumerate(self._many.labels):
            key = self._matching.key(labels)
            for one_labels, values, there in self._partners(key, ones):
                self._pair(key, labels, self._many.values[row], one_labels, values, self._many.there[row] & there)
        if self._fill_many is not None:
            self._fill_the_rest(ones)
        drops = [self._is_bool or self._op not in COMPARISONS] * len(self._labels)
        return _joined(stacked(self._labels, self._rows, self._steps, drops))

    def _ones(self) -> dict[Labels, list[tuple[Labels, Floats, Mask]]]:
        """By their key. Raises QueryError where two are there at once."""
        found: dict[Labels, list[tuple[Labels, Floats, Mask]]] = {}
        seen: dict[Labels, Mask] = {}
        for labels, values, there in zip(self._one.labels, self._one.values, self._one.there, strict=True):
            key = self._matching.key(labels)
            if key in seen and (seen[key] & there).any():
                self._refuse_duplicates(key, [labels, *(each[0] for each in found[key] if (each[2] & there).any())])
            seen[key] = seen[key] | there if key in seen else there
            found.setdefault(key, []).append((labels, values, there))
        return found

    def _refuse_duplicates(self, key: Labels, labels: Sequence[Labels]) -> None:
        side = "left" if self._matching.one_is_left else "right"
        named = ", ".join(sorted(written(each) for each in labels[:2]))
        raise QueryError(
            f"found duplicate series for the match group {written(key)} on the {side} hand-side of the operation: "
            f"[{named}];many-to-many matching not allowed: matching labels must be unique on one side"
        )

    def _partners(
        self, key: Labels, ones: dict[Labels, list[tuple[Labels, Floats, Mask]]]
    ) -> list[tuple[Labels, Floats, Mask]]:
        found = ones.get(key, [])
        if self._fill_one is None:
            return found
        missing = np.ones(self._steps, dtype=bool)
        for _, _, there in found:
            missing &= ~there
        return [*found, (key, np.full(self._steps, self._fill_one), missing)] if missing.any() else found

    def _fill_the_rest(self, ones: dict[Labels, list[tuple[Labels, Floats, Mask]]]) -> None:
        matched: dict[Labels, Mask] = {}
        for (key, _), there in self._matched.items():
            matched[key] = matched[key] | there if key in matched else there
        filling = np.full(self._steps, self._fill_many)
        for key, partners in ones.items():
            for labels, values, there in partners:
                self._pair(key, key, filling, labels, values, there & ~matched.get(key, np.zeros_like(there)))

    def _pair(
        self, key: Labels, labels: Labels, values: Floats, one_labels: Labels, one_values: Floats, there: Mask
    ) -> None:
        if not there.any():
            return
        result = self._result_labels(labels, one_labels)
        self._require_unique(key, result, there)
        left, right = (one_values, values) if self._matching.one_is_left else (values, one_values)
        with np.errstate(all="ignore"):
            if self._op not in COMPARISONS:
                row = (np.asarray(ARITHMETIC[self._op](left, right)), there)
            else:
                holds = COMPARISONS[self._op](left, right)
                row = (holds.astype(np.float64), there) if self._is_bool else (left, there & holds)
        self._labels.append(result)
        self._rows.append(row)

    def _require_unique(self, key: Labels, result: Labels, there: Mask) -> None:
        at = (key, ()) if self._matching.is_one_to_one else (key, result)
        before = self._matched.get(at)
        if before is not None and (before & there).any():
            if self._matching.is_one_to_one:
                what = "many-to-one matching must be explicit (group_left/group_right)"
            else:
                what = "grouping labels must ensure unique matches"
            raise QueryError(f"multiple matches for labels: {what}")
        self._matched[at] = there if before is None else before | there

    def _result_labels(self, labels: Labels, one: Labels) -> Labels:
        matching = self._matching
        if matching.is_one_to_one:
            labels = only(labels, matching.names) if matching.on else without(labels, matching.names)
        if not matching.group_labels:
            return labels
        return labels_of({**dict(labels), **{name: value_of(one, name) for name in matching.group_labels}})
