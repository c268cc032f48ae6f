"""What a model says a value must be, checked while it is read; the faults are worded as AWS words them.

A value of a wrong type ends the reading (`Unreadable`); constraints are gathered, so that one answer names all.
Where a fault was found is a chain `(parent, name)`, made into text only for a fault.
Source: answers of AWS services ("1 validation error detected: Value ... at ... failed to satisfy constraint: ...").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import islice
from math import inf
from typing import Any, TypeAlias, TypeVar

from controller.kit.patterns import Compiled, PatternError, compile_pattern
from services.sdk.aws.protocols.shapes import ShapeRef

T = TypeVar("T")
Path: TypeAlias = "tuple[Path, str | int] | None"
Check = Callable[[Any, Path, "Validation"], None]
DEEPEST = 48
"""How often a shape may be inside itself; DynamoDB's values, the deepest there are, stop at 32."""
MOST_TOLD = 20
_SHOWN = 1024


class Unreadable(Exception):
    """A value that is not of its type. `path` says where."""

    def __init__(self, message: str, path: Path = None) -> None:
        super().__init__(message)
        self.message, self.path = message, path

    def text(self) -> str:
        return f"{self.message} (at '{path_text(self.path)}')" if self.path else self.message


class Validation:
    """The faults of one request."""

    __slots__ = ("depth", "faults", "missing")

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.missing: list[str] = []
        self.depth = 0

    def add(self, shown: str, path: Path, constraint: str) -> None:
        self.faults.append(f"Value{shown} at '{path_text(path)}' failed to satisfy constraint: {constraint}")

    def lacks(self, path: Path, name: str) -> None:
        """A required member is not there."""
        self.missing.append(path_text((path, name)))
        self.add(" null", (path, name), "Member must not be null")

    def require(self, found: Mapping[str, Any], names: tuple[str, ...], path: Path) -> None:
        """Every one of those members is in what was found."""
        for name in names:
            if name not in found:
                self.lacks(path, name)

    def descend(self, path: Path) -> None:
        """One level deeper in a shape that is inside itself. Raises Unreadable."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable(f"nested deeper than {DEEPEST} levels")

    def text(self) -> str:
        """All faults, or the first of very many."""
        count = len(self.faults)
        noun = "error" if count == 1 else "errors"
        return f"{count} validation {noun} detected: {'; '.join(self.faults[:MOST_TOLD])}"


def deeper(
    made: Mapping[Any, Callable[[T, Path, Validation], Any]], key: Any
) -> Callable[[T, Path, Validation], Any]:
    """The reader of a shape inside itself: one level deeper, and looked up when it is reached."""

    def again(raw: T, path: Path, validation: Validation) -> Any:
        validation.descend(path)
        value = made[key](raw, path, validation)
        validation.depth -= 1
        return value

    return again


def path_text(path: Path) -> str:
    """`tags.1.member.tagKey`, as AWS writes it."""
    parts: list[str] = []
    while path is not None:
        path, name = path
        parts.append(f"{name + 1}.member" if isinstance(name, int) else name[:1].lower() + name[1:_SHOWN])
    return ".".join(reversed(parts))


def check_of(ref: ShapeRef) -> Check | None:
    """All constraints of a string, blob, number, list or map; None when there are none."""
    if not ref.judged:
        return None
    if ref.type == "string":
        checks = [_length_check(ref), _enum_check(ref), _pattern_check(ref)]
    elif ref.type == "blob":
        checks = [_length_check(ref)]
    elif ref.type == "list":
        checks = [_length_check(ref), _inner_check(ref, ref.element, "Member must", lambda value: value)]
    elif ref.type == "map":
        keys = _inner_check(ref, ref.key, "Map keys must", lambda value: value)
        checks = [
            _length_check(ref),
            keys,
            _inner_check(ref, ref.value, "Map value must", lambda value: value.values()),
        ]
    elif ref.type in ("integer", "long", "float", "double"):
        checks = [_range_check(ref)]
    else:
        return None
    found = [each for each in checks if each is not None]
    if len(found) < 2:
        return found[0] if found else None

    def check(value: Any, path: Path, validation: Validation) -> None:
        for each in found:
            each(value, path, validation)

    return check


def _shown(ref: ShapeRef) -> Callable[[Any], str]:
    """How a value is repeated in a fault: what is secret is not."""
    inner = {"list": ("element",), "map": ("key", "value")}.get(ref.type, ())
    parts = [ref, *(getattr(ref, each) for each in inner)]
    if any(each.trait("sensitive") or each.type == "blob" for each in parts):
        return lambda value: ""
    return lambda value: f" '{_text(value)[:_SHOWN]}'"


def _text(value: Any) -> str:
    """A value as Java writes it."""
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value[:_SHOWN]))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}={_text(each)}' for key, each in islice(value.items(), _SHOWN))}}}"
    return str(value)[:_SHOWN]


def _inner_check(ref: ShapeRef, inner: ShapeRef, words: str, values: Callable[[Any], Iterable[Any]]) -> Check | None:
    """One fault for all scalars of a list or map, with all that is asked of them."""
    check = check_of(replace(inner, judged=True)) if inner.is_scalar else None
    if check is None:
        return None
    shown, said = _shown(ref), f"{words} satisfy constraint: [{', '.join(_constraints(inner))}]"

    def check_all(value: Any, path: Path, validation: Validation) -> None:
        scratch = Validation()
        for each in values(value):
            check(each, path, scratch)
            if scratch.faults:
                validation.add(shown(value), path, said)
                return

    return check_all


def _constraints(ref: ShapeRef) -> Iterator[str]:
    what = "value" if ref.type in ("integer", "long", "float", "double") else "length"
    if (most := ref.trait("max")) is not None:
        yield f"Member must have {what} less than or equal to {most}"
    if (least := ref.trait("min")) is not None:
        yield f"Member must have {what} greater than or equal to {least}"
    if pattern := ref.trait("pattern"):
        yield f"Member must satisfy regular expression pattern: {pattern}"
    if enum := ref.trait("enum"):
        yield f"Member must satisfy enum value set: [{', '.join(enum)}]"


def _length_check(ref: ShapeRef) -> Check | None:
    bounds, shown = _bounds(ref), _shown(ref)
    if bounds is None:
        return None
    least, most = bounds

    def check(value: Any, path: Path, validation: Validation) -> None:
        if not least <= len(value) <= most:
            validation.add(shown(value), path, _outside("length", len(value), least, most))

    return check


def _range_check(ref: ShapeRef) -> Check | None:
    bounds, shown = _bounds(ref), _shown(ref)
    if bounds is None:
        return None
    least, most = bounds

    def check(value: Any, path: Path, validation: Validation) -> None:
        if not least <= value <= most:
            validation.add(shown(value), path, _outside("value", value, least, most))

    return check


def _bounds(ref: ShapeRef) -> tuple[float, float] | None:
    least, most = ref.trait("min"), ref.trait("max")
    if least is None and most is None:
        return None
    return (-inf if least is None else least), (inf if most is None else most)


def _outside(what: str, found: float, least: float, most: float) -> str:
    if found < least:
        return f"Member must have {what} greater than or equal to {least}"
    return f"Member must have {what} less than or equal to {most}"


def _enum_check(ref: ShapeRef) -> Check | None:
    allowed = ref.trait("enum")
    if not allowed:
        return None
    known, shown = frozenset(allowed), _shown(ref)
    words = f"Member must satisfy enum value set: [{', '.join(allowed)}]"

    def check(value: Any, path: Path, validation: Validation) -> None:
        if value not in known:
            validation.add(shown(value), path, words)

    return check


def _pattern_check(ref: ShapeRef) -> Check | None:
    wanted = ref.trait("pattern")
    pattern = compiled(str(wanted)) if wanted else None
    if pattern is None:
        return None
    search, shown = pattern.search, _shown(ref)
    words = f"Member must satisfy regular expression pattern: {wanted}"

    def check(value: Any, path: Path, validation: Validation) -> None:
        try:
            holds = search(value) is not None
        except UnicodeEncodeError:
            holds = False  # half a surrogate pair is no text
        if not holds:
            validation.add(shown(value), path, words)

    return check


@cache
def compiled(pattern: str) -> Compiled | None:
    """The expression that a whole value must fit, as with Java's `matches`: most in the models have no anchors.

    RE2 writes `\\u0020` differently. What it cannot read is not checked.
    """
    parts = pattern.split("\\u")
    text = parts[0] + "".join(f"\\x{{{each[:4]}}}{each[4:]}" for each in parts[1:])
    try:
        return compile_pattern(f"\\A(?:{text})\\z")
    except PatternError:
        return None
