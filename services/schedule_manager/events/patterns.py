"""Event patterns: which events a rule wants. Pure, and within a budget: what is compared with what is counted.

    {"source": ["shop"], "detail": {"state": [{"anything-but": "new"}], "price": [{"numeric": [">", 10, "<=", 20]}]}}

Every field of a pattern must fit, by one of its tests; `$or` names patterns of which one must. In an array of
objects, all fields below it must fit the same element. A field that holds an array fits when one of its values does.

Source: Amazon EventBridge User Guide, "Event patterns", "Comparison operators"; the words of faults are AWS's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import orjson

from services.schedule_manager.events.value_tests import (
    TESTS,
    Literal,
    PatternFault,
    Test,
    literal,
    read_test,
    tests_in,
)

__all__ = ["LONGEST", "MOST_TESTS", "Budget", "BudgetFault", "Event", "Pattern", "PatternFault", "parse_pattern"]
LONGEST = 4096
MOST_TESTS = 100_000
"""Of one request: less than a second. Ten events for 300 rules of five fields each are some 40,000."""
_CHARACTERS = 256
"""Of a text, what counts as one more test of it."""
_DEEPEST = 64
_OR = "$or"
Path = tuple[str, ...]


class BudgetFault(ValueError):
    """The patterns compare more with the events than one request may have compared."""


class Budget:
    """How many tests are left to one request."""

    def __init__(self, tests: int = MOST_TESTS) -> None:
        self._left = tests

    def spend(self, tests: int) -> None:
        """Raises BudgetFault."""
        self._left -= tests
        if self._left < 0:
            raise BudgetFault(f"its values are compared with those of patterns more than {MOST_TESTS} times")


class Event:
    """An event as JSON has it. `paths`: of its fields that hold no object, from the top, as deep as patterns go."""

    def __init__(self, body: Mapping[str, Any], budget: Budget | None = None) -> None:
        self.body, self.budget = body, budget or Budget()

    @cached_property
    def paths(self) -> frozenset[Path]:
        found = set[Path]()
        waiting: list[tuple[Path, Any]] = [((), self.body)]
        while waiting:
            path, value = waiting.pop()
            if isinstance(value, Mapping):
                if len(path) <= _DEEPEST:
                    waiting += [((*path, name), each) for name, each in value.items()]
            elif isinstance(value, list):
                waiting += [(path, each) for each in value]
            else:
                found.add(path)
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class _Leaf:
    """`literals`: looked up at once, however many. `cost`: of all `tests` of a short value, in tests. `absent`: it
    fits a field that is not there, too.
    """

    literals: frozenset[Literal]
    tests: tuple[Test, ...]
    cost: int
    absent: bool


@dataclass(frozen=True, slots=True)
class _Fields:
    """All `leaves` and `nested` must fit, and one of each of `choices`."""

    leaves: tuple[tuple[str, _Leaf], ...]
    nested: tuple[tuple[str, _Fields], ...]
    choices: tuple[tuple[_Fields, ...], ...]

    def fit(self, body: Mapping[str, Any], path: Path, event: Event) -> bool:
        """Raises BudgetFault."""
        event.budget.spend(1)
        return (
            all(_leaf_fits(leaf, body.get(name, ()), (*path, name), event) for name, leaf in self.leaves)
            and all(_nested_fit(each, body.get(name), (*path, name), event) for name, each in self.nested)
            and all(any(one.fit(body, path, event) for one in choice) for choice in self.choices)
        )


class Pattern:
    """A pattern that was read."""

    def __init__(self, fields: _Fields) -> None:
        self._fields = fields

    def matches(self, event: Event) -> bool:
        """Whether a rule of this pattern wants the event. Raises BudgetFault."""
        return self._fields.fit(event.body, (), event)


@lru_cache(maxsize=512)
def parse_pattern(text: str) -> Pattern:
    """Raises PatternFault."""
    if len(text) > LONGEST:
        raise PatternFault(f"a pattern has at most {LONGEST} characters")
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError as wrong:
        raise PatternFault(f"it is no JSON: {wrong}") from None
    if not isinstance(said, dict):
        raise PatternFault("Filter is not an object")
    return Pattern(_fields_of(said, 0))


def _leaf_fits(leaf: _Leaf, value: Any, path: Path, event: Event) -> bool:
    if leaf.absent and path not in event.paths:
        return True
    return any(_value_fits(leaf, each, event.budget) for each in _flat(value))


def _value_fits(leaf: _Leaf, value: Any, budget: Budget) -> bool:
    budget.spend(1)
    if isinstance(value, Mapping):
        return False
    if literal(value) in leaf.literals:
        return True
    budget.spend(leaf.cost * (1 + (len(value) // _CHARACTERS if isinstance(value, str) else 0)))
    return any(test(value) for test in leaf.tests)


def _nested_fit(fields: _Fields, value: Any, path: Path, event: Event) -> bool:
    values = list(_flat(value))
    event.budget.spend(len(values))
    below = [each for each in values if isinstance(each, Mapping)]
    return any(fields.fit(each, path, event) for each in below or ({},))


def _flat(value: Any) -> Iterator[Any]:
    """The values of an array, and of arrays in it; a value that is none alone."""
    waiting = [value]
    while waiting:
        here = waiting.pop()
        if isinstance(here, list | tuple):
            waiting += reversed(here)
        else:
            yield here


def _fields_of(said: Mapping[str, Any], depth: int) -> _Fields:
    if not said:
        raise PatternFault("Empty objects are not allowed")
    if depth > _DEEPEST:
        raise PatternFault(f"it is nested more than {_DEEPEST} times")
    leaves, nested, choices = [], [], []
    for name, value in said.items():
        if name == _OR and _is_choice(value):
            choices.append(tuple(_fields_of(each, depth + 1) for each in value))
        elif isinstance(value, dict):
            nested.append((name, _fields_of(value, depth + 1)))
        elif isinstance(value, list):
            leaves.append((name, _leaf_of(value)))
        else:
            raise PatternFault(f'"{name}" must be an object or an array')
    return _Fields(tuple(leaves), tuple(nested), tuple(choices))


def _is_choice(value: Any) -> bool:
    """Else `$or` is a field of that name."""
    if not isinstance(value, list) or not value or not all(isinstance(each, dict) for each in value):
        return False
    if any(TESTS & each.keys() for each in value):
        return False
    if len(value) < 2:
        raise PatternFault("There must have at least 2 Objects in $or relationship.")
    return True


def _leaf_of(values: list[Any]) -> _Leaf:
    if not values:
        raise PatternFault("Empty arrays are not allowed")
    literals, tests, cost, absent = set[Literal](), [], 0, False
    for each in values:
        if isinstance(each, list):
            raise PatternFault("Arrays may not be in arrays")
        if not isinstance(each, dict):
            literals.add(literal(each))
        elif (found := read_test(each)) is None:
            absent = True
        else:
            tests.append(found)
            cost += tests_in(each)
    return _Leaf(frozenset(literals), tuple(tests), cost, absent)
