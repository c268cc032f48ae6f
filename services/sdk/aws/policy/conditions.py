"""The Condition element: every condition must hold, and each compares one key of the request with a policy's values.

- A key that is not there makes a condition false; a negated one true; one with IfExists true.
- ForAllValues holds when each value of the request does, and so for none; ForAnyValue when one does.
- `Null` asks whether a key is there, whatever its value.
Source: AWS IAM user guide, "Condition operators" and "Set operators for multivalued context keys".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from services.sdk.aws.policy.context import Context
from services.sdk.aws.policy.operators import OPERATORS, Operator, Test, truth_of

Quantifier = Literal["", "ForAllValues", "ForAnyValue"]
_QUANTIFIERS: tuple[Quantifier, ...] = ("ForAllValues", "ForAnyValue")
_IF_EXISTS = "IfExists"


class OperatorName(NamedTuple):
    """`ForAnyValue:StringLikeIfExists`, taken apart."""

    quantifier: Quantifier
    operator: Operator
    if_exists: bool


def operator_of(name: str) -> OperatorName | None:
    """None for what is no operator."""
    quantifier: Quantifier = next((each for each in _QUANTIFIERS if name.startswith(f"{each}:")), "")
    plain = name.removeprefix(f"{quantifier}:") if quantifier else name
    if_exists = plain.endswith(_IF_EXISTS)
    plain = plain.removesuffix(_IF_EXISTS) if if_exists else plain
    found = OPERATORS.get(plain)
    if found is None or (found.family is None and (quantifier or if_exists)):
        return None
    return OperatorName(quantifier, found, if_exists)


@dataclass(frozen=True, slots=True)
class Condition:
    """One key under one operator. test: None for Null; there `wanted` says which of absent (True) and there (False)
    holds.
    """

    operator: str
    key: str
    quantifier: Quantifier
    negated: bool
    if_exists: bool
    test: Test | None
    wanted: frozenset[bool] = frozenset()

    def holds(self, context: Context) -> bool:
        values, test = context.values(self.key), self.test
        if test is None:
            return (not values) in self.wanted
        if not values:
            return self._absent()
        if self.quantifier == "ForAllValues":
            return all(test(each, context) != self.negated for each in values)
        if self.quantifier == "ForAnyValue":
            return any(test(each, context) != self.negated for each in values)
        return any(test(each, context) for each in values) != self.negated

    def _absent(self) -> bool:
        if self.quantifier == "ForAllValues" or self.if_exists:
            return True
        return self.negated and not self.quantifier


def condition_of(name: str, key: str, values: Sequence[str], *, variables: bool) -> Condition:
    """Compile one condition. Raises ValueError for an operator there is not."""
    found = operator_of(name)
    if found is None:
        raise ValueError(name)
    quantifier, chosen, if_exists = found
    if chosen.family is None:
        wanted = frozenset(truth for each in values if (truth := truth_of(each)) is not None)
        return Condition(name, key.lower(), "", False, False, None, wanted)
    test = chosen.family(values, variables)
    return Condition(name, key.lower(), quantifier, chosen.negated, if_exists, test)
