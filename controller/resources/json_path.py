"""Paths into a resource as printer columns write them: what Kubernetes understands as JSONPath.

`.spec.items[*].name`, `[-1:]`, `['a.b']`, `.a\\.b`, `[?(@.type=="Ready")].status`, `..name`. Source: the syntax of
kubectl's JSONPath support. A search walks lazily and has a budget of steps: a path is written by an admin, but what
it walks through by anybody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from itertools import islice, pairwise
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from controller.kit.patterns import Work, WorkSpent

LONGEST_PATH, MOST_PARTS = 1024, 64
MOST_STEPS = 1 << 15
"""Values one search looks at: some milliseconds."""
Step = Callable[[Any, Work], Iterator[Any]]
_NAME_ENDS = frozenset(" \t\r\n.[]()'\"{}?,*@$")
_SLICE = re.compile(r"(-?[0-9]{1,9})?(?::(-?[0-9]{1,9})?)?(?::([0-9]{1,9})?)?")
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_OPERATORS = {"==": eq, "!=": ne, "<=": le, ">=": ge, "<": lt, ">": gt}


class JsonPathError(ValueError):
    """The text is no path; the message says where it stops being one."""


class JsonPath:
    """A compiled path."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self._steps = steps

    def results(self, root: Any, work: Work | None = None) -> Iterator[Any]:
        """What the path finds, in order. Raises WorkSpent."""
        return _walked(root, self._steps, work or Work(MOST_STEPS))

    def first(self, root: Any) -> Any:
        """The first result; None when there is none, or it takes too long to find."""
        with suppress(WorkSpent):
            return next(self.results(root), None)
        return None


@lru_cache(1024)
def compile_path(text: str) -> JsonPath:
    """A path with or without the dot it begins with. Raises JsonPathError."""
    return JsonPath(parse(text if is_path(text) else f".{text.lstrip()}"))


def is_path(text: str) -> bool:
    """Whether it begins as a path does. Without its first dot it is understood, but nobody may define it so."""
    return text.lstrip()[:1] in (".", "[", "$")


def parse(text: str, root: str = "$") -> tuple[Step, ...]:
    """The steps of a path that begins with a dot, a bracket or `root`. Raises JsonPathError."""
    if len(text) > LONGEST_PATH:
        raise JsonPathError(f"is longer than {LONGEST_PATH} characters")
    if text.count(".") + text.count("[") > MOST_PARTS:
        raise JsonPathError(f"has more than {MOST_PARTS} parts")
    rest = (text if text.rstrip().endswith("\\") else text.rstrip()).lstrip().removeprefix(root)
    if rest and rest[0] not in ".[":
        raise JsonPathError("must begin with a dot or a bracket")
    steps: list[Step] = []
    while rest:
        step, rest = _bracket(rest) if rest[0] == "[" else _after_dot(rest)
        steps += step
    return tuple(steps)


def _after_dot(rest: str) -> tuple[list[Step], str]:
    if not rest.startswith("."):
        raise JsonPathError(f"must go on with a dot or a bracket at {rest[:20]!r}")
    steps: list[Step] = [_below] if rest.startswith("..") else []
    rest = rest[2 if steps else 1 :]
    if not steps and rest.startswith("["):  # `.[0]` is `[0]`
        return _bracket(rest)
    if rest.startswith("*"):
        return [*steps, _all], rest[1:]
    name, after = _name(rest)
    if name:
        return [*steps, _field(name)], after
    if steps or not rest:  # `.` alone is the whole of it, as is what follows `..`
        return steps, rest
    raise JsonPathError(f"needs a name after a dot, not {rest[:20]!r}")


def _name(text: str) -> tuple[str, str]:
    at = 0
    while at < len(text) and text[at] not in _NAME_ENDS:
        at += 2 if text[at] == "\\" else 1
    return _unescaped(text[:at]), text[at:]


def _bracket(rest: str) -> tuple[list[Step], str]:
    inside, after = _inside(rest)
    if inside.startswith("?("):
        if not inside.endswith(")"):
            raise JsonPathError("has a filter without its closing parenthesis")
        return [_filter(inside[2:-1])], after
    choices = [_choice(each) for each in _split(inside)]
    return choices if len(choices) == 1 else [_union(choices)], after


def _choice(text: str) -> Step:
    text = text.strip()
    if text == "*":
        return _all
    if (name := _quoted(text)) is not None:
        return _field(name)
    found = _SLICE.fullmatch(text.replace(" ", ""))
    if found is None or not text:
        raise JsonPathError(f"has {text[:20]!r} in brackets: use an index, a slice, a quoted name, * or ?(filter)")
    start, stop, stride = (int(each) if each else None for each in found.groups())
    if ":" in text:
        if stride == 0:
            raise JsonPathError("has a slice with a step of 0")
        return _items(slice(start, stop, stride))
    return _items(slice(start, (start or 0) + 1 or None))


def _filter(text: str) -> Step:
    """`@.a`, or two of paths and constants with a comparison between them."""
    left, operator, right = _compared(text)
    one, other = _operand(left), _operand(right) if operator else None

    def choose(value: Any, work: Work) -> Iterator[Any]:
        for item in value if isinstance(value, list) else ():
            work.spend(1)
            found = list(islice(one(item, work), 2))
            if other is None:
                chosen = bool(found)
            else:
                against = list(islice(other(item, work), 2))
                chosen = len(found) == len(against) == 1 and _holds(found[0], operator, against[0])
            if chosen:
                yield item

    return choose


def _operand(text: str) -> Step:
    text = text.strip()
    if text.startswith("@"):
        steps = parse(text, root="@")
        return lambda item, work: _walked(item, steps, work)
    value: Any = _quoted(text)
    if value is not None:
        pass
    elif _NUMBER.fullmatch(text):
        value = float(text) if "." in text else int(text)
    elif text in ("true", "false"):
        value = text == "true"
    else:
        raise JsonPathError(f"compares with {text[:20]!r}: use @.path, a quoted text, a number, true or false")
    return lambda item, work: iter((value,))


def _holds(left: Any, operator: str, right: Any) -> bool:
    kinds = {_comparable(left), _comparable(right)}
    return len(kinds) == 1 and None not in kinds and bool(_OPERATORS[operator](left, right))


def _comparable(value: Any) -> str | None:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "text" if isinstance(value, str) else None


def _walked(value: Any, steps: tuple[Step, ...], work: Work) -> Iterator[Any]:
    work.spend(1)
    if not steps:
        yield value
        return
    for each in steps[0](value, work):
        yield from _walked(each, steps[1:], work)


def _field(name: str) -> Step:
    return lambda value, work: iter((value[name],) if isinstance(value, dict) and name in value else ())


def _items(part: slice) -> Step:
    return lambda value, work: iter(value[part] if isinstance(value, list) else ())


def _union(choices: list[Step]) -> Step:
    return lambda value, work: (found for each in choices for found in each(value, work))


def _all(value: Any, work: Work) -> Iterator[Any]:
    return iter(value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())


def _below(value: Any, work: Work) -> Iterator[Any]:
    """The value and everything in it."""
    work.spend(1)
    yield value
    for each in _all(value, work):
        yield from _below(each, work)


def _quoted(text: str) -> str | None:
    """What stands in quotes; None when it is not one quoted text."""
    inside = text[1:-1]
    if (
        len(text) < 2
        or text[0] not in "'\""
        or text[-1] != text[0]
        or {text[0], "\\"} & set(_ESCAPED.sub("", inside))
    ):
        return None
    return _unescaped(inside)


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


def _inside(text: str) -> tuple[str, str]:
    """What stands between the bracket `text` begins with and its closing one, and what follows."""
    depth = 0
    for at, letter in _unquoted(text):
        depth += {"[": 1, "]": -1}.get(letter, 0)
        if depth == 0:
            return text[1:at], text[at + 1 :]
    raise JsonPathError("has a bracket that is not closed")


def _split(text: str) -> list[str]:
    cuts = [-1, *(at for at, letter in _unquoted(text) if letter == ","), len(text)]
    return [text[start + 1 : end] for start, end in pairwise(cuts)]


def _compared(text: str) -> tuple[str, str, str]:
    for at, letter in _unquoted(text):
        if letter in "=!<>":
            for operator in _OPERATORS:
                if text.startswith(operator, at):
                    return text[:at], operator, text[at + len(operator) :]
            raise JsonPathError(f"has no comparison {text[at : at + 2]!r}: use one of {' '.join(_OPERATORS)}")
    return text, "", ""


def _unquoted(text: str) -> Iterator[tuple[int, str]]:
    """Places and letters outside quotes and escapes."""
    quote, at = "", 0
    while at < len(text):
        letter = text[at]
        if letter == "\\":
            at += 1
        elif quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            yield at, letter
        at += 1
