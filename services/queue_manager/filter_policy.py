"""Filter policies of subscriptions: whether a message is for them, by its attributes or its body. Pure.

Source: Amazon SNS Developer Guide, "Subscription filter policies", "String value matching", "Numeric value matching",
"Key matching", "Filter policy constraints".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

import orjson

MOST_KEYS, MOST_COMBINATIONS, MOST_LEVELS, LONGEST = 5, 150, 16, 262_144
MOST_EFFORT = 100_000
"""Comparisons one message may take, of values up to 256 characters: about ten milliseconds."""
_KEPT, _LONGEST_KEPT = 256, 8_192
_ABSENT = object()
_OR = "$or"
_SCALARS = (str, int, float, type(None))
Test = Callable[[Any], bool]
Document = Mapping[str, Any]
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "=": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


class FilterPolicyError(ValueError):
    """Not a filter policy."""


class TooMuchEffort(Exception):
    """A message has so many values where the policy looks that whoever publishes next would wait for it."""


class _Effort:
    """What is left of the work one message may make."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MOST_EFFORT

    def spend(self, comparisons: int) -> None:
        """Raises TooMuchEffort."""
        self._left -= comparisons
        if self._left < 0:
            raise TooMuchEffort


Rule = Callable[[Document, _Effort], bool]


class FilterPolicy:
    """Compiled once. `nested`: it is about bodies."""

    def __init__(self, text: str, *, nested: bool) -> None:
        """Raises FilterPolicyError."""
        if len(text) > LONGEST or len(text.encode()) > LONGEST:
            raise FilterPolicyError(f"it is longer than {LONGEST} bytes")
        try:
            policy = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise FilterPolicyError("failed to parse JSON") from None
        if not isinstance(policy, dict):
            raise FilterPolicyError("it must be a JSON object")
        keys, combinations = _measured(policy, MOST_LEVELS)
        if keys > MOST_KEYS:
            raise FilterPolicyError(f"it can not have more than {MOST_KEYS} keys")
        if combinations > MOST_COMBINATIONS:
            raise FilterPolicyError("it is too complex")
        self._matches = _object(policy, nested=nested)

    def matches(self, document: Document) -> bool:
        """Whether a message with those attributes, or that body, is wanted. Raises TooMuchEffort."""
        return self._matches(document, _Effort())


def filter_policy(text: str, *, nested: bool) -> FilterPolicy:
    """The policy, compiled before if it is short enough to be kept. Raises FilterPolicyError."""
    return _kept(text, nested) if len(text) <= _LONGEST_KEPT else FilterPolicy(text, nested=nested)


@lru_cache(maxsize=_KEPT)
def _kept(text: str, nested: bool) -> FilterPolicy:
    return FilterPolicy(text, nested=nested)


def filterable(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Attributes of a message as values: texts, numbers, and what is in arrays. Bytes cannot be asked for."""
    found: dict[str, Any] = {}
    for name, each in attributes.items():
        kind, text = each["DataType"], each.get("StringValue", "")
        if kind.startswith("String.Array"):
            try:
                found[name] = orjson.loads(text)
            except orjson.JSONDecodeError:
                continue
        elif kind.startswith("Number"):
            found[name] = float(text)
        elif kind.startswith("String"):
            found[name] = text
    return found


def body_of(text: str) -> dict[str, Any] | None:
    """A body that can be asked: a JSON object. None for another one."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _measured(policy: Document, levels: int) -> tuple[int, int]:
    """How many keys it has, and how many values they make together. Raises FilterPolicyError."""
    if not levels:
        raise FilterPolicyError(f"it is nested deeper than {MOST_LEVELS} levels")
    keys, combinations = 0, 1
    for name, rule in policy.items():
        if _is_or(name, rule):
            parts = [_measured(each, levels - 1) for each in rule]
            below = sum(max(each, 1) for each, _ in parts), sum(each for _, each in parts)
        elif isinstance(rule, dict):
            below = _measured(rule, levels - 1)
        else:
            below = 1, sum(map(_values_in, rule)) if isinstance(rule, list) else 1
        keys, combinations = keys + max(below[0], 1), combinations * max(below[1], 1)
    return keys, combinations


def _values_in(condition: Any) -> int:
    """A list within one is as many values."""
    if not isinstance(condition, dict):
        return 1
    return max(sum(len(each) if isinstance(each, list) else 1 for each in condition.values()), 1)


def _is_or(name: str, rule: Any) -> bool:
    return name == _OR and isinstance(rule, list) and len(rule) > 1 and all(isinstance(each, dict) for each in rule)


def _object(policy: Document, *, nested: bool) -> Rule:
    rules = [_member(name, rule, nested=nested) for name, rule in policy.items()]
    return lambda document, effort: all(each(document, effort) for each in rules)


def _member(name: str, rule: Any, *, nested: bool) -> Rule:
    if _is_or(name, rule):
        parts = [_object(each, nested=nested) for each in rule]
        return lambda document, effort: any(each(document, effort) for each in parts)
    if isinstance(rule, dict):
        if not nested:
            raise FilterPolicyError("Filter policy scope MessageAttributes does not support nested filter policy")
        return _below(name, _object(rule, nested=True))
    if not isinstance(rule, list) or not rule:
        raise FilterPolicyError(f'"{name}" must be an object or an array')
    tests = _tests(rule)
    return lambda document, effort: _any(document.get(name, _ABSENT), tests, effort)


def _below(name: str, inside: Rule) -> Rule:
    def matches(document: Document, effort: _Effort) -> bool:
        value = document.get(name)
        items = value if isinstance(value, list) else [value]
        effort.spend(len(items))
        return any(inside(each, effort) for each in items if isinstance(each, dict))

    return matches


def _any(value: Any, tests: list[Test], effort: _Effort) -> bool:
    for each in _flat(value, effort):
        length = len(each) if isinstance(each, str) else 0
        effort.spend(len(tests) * (1 + length // 256))
        if any(test(each) for test in tests):
            return True
    return False


def _flat(value: Any, effort: _Effort) -> Iterator[Any]:
    """The value, or what is in the lists within it, in order; an empty list has none."""
    if not isinstance(value, list):
        yield value
        return
    lists = [iter(value)]
    while lists:
        for each in lists[-1]:
            effort.spend(1)
            if isinstance(each, list):
                lists.append(iter(each))
                break
            yield each
        else:
            lists.pop()


def _tests(conditions: list[Any]) -> list[Test]:
    """One for all plain values together, one for each other condition."""
    plain = [each for each in conditions if not isinstance(each, dict | list)]
    others = [_test(each) for each in conditions if isinstance(each, dict | list)]
    return [_one_of(plain), *others] if plain else others


def _one_of(wanted: Iterable[Any]) -> Test:
    """Whether it is one of them: a number is a number, and true is none."""
    known = frozenset((isinstance(each, bool), each) for each in wanted)
    return lambda value: isinstance(value, _SCALARS) and (isinstance(value, bool), value) in known


def _test(condition: Any) -> Test:
    if not isinstance(condition, dict):
        raise FilterPolicyError("Match value must be String, number, true, false, or null")
    if len(condition) != 1:
        raise FilterPolicyError("Only one key allowed in match expression")
    ((operator, operand),) = condition.items()
    if operator not in _OPERATORS:
        raise FilterPolicyError(f"Unrecognized match type {operator[:100]}")
    return _OPERATORS[operator](operand)


def _text(what: str, operand: Any) -> str:
    if not isinstance(operand, str) or not operand:
        raise FilterPolicyError(f"{what} match pattern must be a string")
    return operand


def _prefix(operand: Any) -> Test:
    beginning = _text("prefix", operand)
    return lambda value: isinstance(value, str) and value.startswith(beginning)


def _suffix(operand: Any) -> Test:
    end = _text("suffix", operand)
    return lambda value: isinstance(value, str) and value.endswith(end)


def _ignoring_case(operand: Any) -> Test:
    wanted = _text("equals-ignore-case", operand).casefold()
    return lambda value: isinstance(value, str) and value.casefold() == wanted


def _wildcard(operand: Any) -> Test:
    parts = _text("wildcard", operand).split("*")
    return lambda value: isinstance(value, str) and _fits(value, parts)


def _fits(text: str, parts: list[str]) -> bool:
    """Whether that is the parts, in order, with anything between them. Linear."""
    first, *middle = parts
    if not middle:
        return text == first
    last = middle.pop()
    if not text.startswith(first) or len(text) < len(first) + len(last) or not text.endswith(last):
        return False
    place, end = len(first), len(text) - len(last)
    for each in middle:
        place = text.find(each, place, end)
        if place < 0:
            return False
        place += len(each)
    return True


def _exists(operand: Any) -> Test:
    if not isinstance(operand, bool):
        raise FilterPolicyError("exists match pattern must be either true or false.")
    return lambda value: (value is not _ABSENT) is operand


def _cidr(operand: Any) -> Test:
    try:
        network = ip_network(_text("cidr", operand))
    except ValueError:
        raise FilterPolicyError("Malformed CIDR, one '/' required") from None

    def matches(value: Any) -> bool:
        try:
            return isinstance(value, str) and ip_address(value) in network
        except ValueError:
            return False

    return matches


def _numeric(operand: Any) -> Test:
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        raise FilterPolicyError("Value of numeric must be an array of operators and numbers")
    bounds = []
    for operator, number in zip(operand[::2], operand[1::2], strict=True):
        if operator not in _COMPARE or isinstance(number, bool) or not isinstance(number, int | float):
            raise FilterPolicyError(f"Unrecognized numeric range: {operator} {number}"[:200])
        bounds.append((_COMPARE[operator], number))
    return lambda value: (
        isinstance(value, int | float) and not isinstance(value, bool) and all(test(value, n) for test, n in bounds)
    )


def _anything_but(operand: Any) -> Test:
    if isinstance(operand, dict):
        inner = _test(operand)
        if next(iter(operand)) not in ("prefix", "suffix", "wildcard", "equals-ignore-case"):
            raise FilterPolicyError("Unsupported anything-but pattern")
        return lambda value: value is not _ABSENT and not inner(value)
    wanted = operand if isinstance(operand, list) else [operand]
    if not wanted or any(isinstance(each, dict | list) for each in wanted):
        raise FilterPolicyError("Inside anything-but list, either all values are number or string")
    listed = _one_of(wanted)
    return lambda value: value is not _ABSENT and not listed(value)


_OPERATORS: dict[str, Callable[[Any], Test]] = {
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _ignoring_case,
    "wildcard": _wildcard,
    "exists": _exists,
    "cidr": _cidr,
    "numeric": _numeric,
    "anything-but": _anything_but,
}
