"""Metric math: expressions over metrics and other expressions, one number for each period.

    MAX(METRICS()) / 60       IF(errors > 5, errors, 0)       FILL(m1, 0) + RATE(m2)

A series has NaN where it has no value; what is computed of it has none there either. What is not done is refused by
its name. Source: Amazon CloudWatch User Guide, "Using math expressions with CloudWatch metrics".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from services.metrics_manager.cloudwatch.math_functions import FUNCTIONS, Given, MathFault, Scope, is_series
from services.metrics_manager.cloudwatch.statistics import Grid
from services.metrics_manager.promql.values import Floats

LONGEST, MOST_PARTS, DEEPEST = 2_048, 300, 40
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_DIGITS = frozenset("0123456789")
_SIGNS = ("&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "^", "(", ")", "[", "]", ",")
_BINDING = {
    **dict.fromkeys(("||", "OR"), 1),
    **dict.fromkeys(("&&", "AND"), 2),
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">="), 3),
    **dict.fromkeys(("+", "-"), 4),
    **dict.fromkeys(("*", "/"), 5),
    "^": 7,
}
_NEGATION = 6


class Text(NamedTuple):
    """In quotes."""

    text: str


class Call(NamedTuple):
    """`function(arguments)`; an operator is a function of two, `[a, b]` one called `[`."""

    name: str
    arguments: tuple[Node, ...]


class Name(NamedTuple):
    """The id of a query, or a word such as REPEAT."""

    name: str


Node: TypeAlias = "float | Text | Name | Call"


def parse(expression: str) -> Node:
    """Raises MathFault."""
    if len(expression) > LONGEST:
        raise MathFault(f"it has more than {LONGEST} characters")
    return _Parser(_tokens(expression)).whole()


def names_in(node: Node) -> set[str]:
    """The ids an expression names; `*` where it asks for all there are."""
    if isinstance(node, Name):
        return {node.name}
    if not isinstance(node, Call):
        return set()
    found = {"*"} if node.name in ("METRICS", "METRIC_COUNT") else set()
    return found.union(*map(names_in, node.arguments))


def evaluate(
    node: Node, grid: Grid, known: Mapping[str, Floats], metrics: Sequence[str], work: Callable[[int], None]
) -> Floats:
    """`known`: what the queries gave that it may name; `metrics`: those of them that METRICS() means; `work`: told of
    each number it takes, and may raise. Raises MathFault.
    """
    with np.errstate(all="ignore"):
        value = _value(node, Scope(grid, known, metrics, work))
    if not is_series(value):
        kind = "a list of time series" if isinstance(value, list) else "a number"
        hint = "SUM(...) or another function makes one of them" if isinstance(value, list) else "TIME_SERIES(...)"
        raise MathFault(f"it gives {kind} and not a time series: {hint}")
    return np.where(np.isfinite(value), value, np.nan)


def _value(node: Node, scope: Scope) -> Given:
    if isinstance(node, float):
        return node
    if isinstance(node, Text):
        return node.text
    if isinstance(node, Name):
        if node.name in scope.known:
            return scope.known[node.name]
        raise MathFault(f"{node.name} is the id of no query of this request")
    if node.name == "FILL" and len(node.arguments) == 2 and isinstance(node.arguments[1], Name):
        word = node.arguments[1].name
        return scope.compute(FUNCTIONS["FILL"], [_value(node.arguments[0], scope), word])
    function = FUNCTIONS.get(node.name)
    if function is None:
        raise MathFault(f"{node.name} is not done here")
    return scope.compute(function, [_value(each, scope) for each in node.arguments])


class _Token(NamedTuple):
    """`kind`: number, text, name or sign."""

    kind: str
    text: str


def _tokens(expression: str) -> list[_Token]:
    found, at = [], 0
    while at < len(expression):
        if expression[at].isspace():
            at += 1
            continue
        token, at = _token(expression, at)
        found.append(token)
        if len(found) > MOST_PARTS:
            raise MathFault(f"it has more than {MOST_PARTS} parts")
    return found


def _token(text: str, at: int) -> tuple[_Token, int]:
    first = text[at]
    if first in "\"'":
        end = text.find(first, at + 1)
        if end < 0:
            raise MathFault(f"a text that begins with {first} does not end")
        return _Token("text", text[at + 1 : end]), end + 1
    if first in _DIGITS or first == ".":
        end = _run(text, at, lambda each: each in _DIGITS or each == ".")
        if text[at:end].count(".") > 1 or text[at:end] == ".":
            raise MathFault(f"{text[at:end]} is no number")
        return _Token("number", text[at:end]), end
    if first in _LETTERS:
        end = _run(text, at, lambda each: each in _LETTERS or each in _DIGITS)
        return _Token("name", text[at:end]), end
    sign = next((each for each in _SIGNS if text.startswith(each, at)), None)
    if sign is None:
        raise MathFault(f"{first!r} has no meaning in an expression")
    return _Token("sign", sign), at + len(sign)


def _run(text: str, at: int, belongs: Callable[[str], bool]) -> int:
    while at < len(text) and belongs(text[at]):
        at += 1
    return at


class _Parser:
    """Operators by how tightly they bind, the tightest last."""

    def __init__(self, tokens: Sequence[_Token]) -> None:
        self._tokens, self._at, self._depth = tokens, 0, 0

    def whole(self) -> Node:
        node = self._operators(0)
        if self._at < len(self._tokens):
            raise MathFault(f"{self._tokens[self._at].text!r} is not expected there")
        return node

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> _Token:
        token = self._peek()
        if token is None:
            raise MathFault("it ends too early")
        self._at += 1
        return token

    def _expect(self, sign: str) -> None:
        if (token := self._next()) != _Token("sign", sign):
            raise MathFault(f"{sign!r} is missing before {token.text!r}")

    def _operators(self, least: int) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise MathFault(f"it has brackets more than {DEEPEST} deep")
        left = self._operand()
        while (token := self._peek()) is not None and _BINDING.get(token.text, 0) > least and token.kind != "text":
            self._at += 1
            left = Call(token.text, (left, self._operators(_BINDING[token.text])))
        self._depth -= 1
        return left

    def _operand(self) -> Node:
        token = self._next()
        if token.kind == "number":
            return float(token.text)
        if token.kind == "text":
            return Text(token.text)
        if token.kind == "name":
            if self._peek() == _Token("sign", "("):
                self._at += 1
                return Call(token.text.upper(), self._arguments(")"))
            return Name(token.text)
        if token.text == "-":
            return Call("NEGATIVE", (self._operators(_NEGATION),))
        if token.text == "(":
            node = self._operators(0)
            self._expect(")")
            return node
        if token.text == "[":
            return Call("[", self._arguments("]"))
        raise MathFault(f"{token.text!r} is not expected there")

    def _arguments(self, end: str) -> tuple[Node, ...]:
        if self._peek() == _Token("sign", end):
            self._at += 1
            return ()
        found = [self._operators(0)]
        while self._peek() == _Token("sign", ","):
            self._at += 1
            found.append(self._operators(0))
        self._expect(end)
        return tuple(found)
