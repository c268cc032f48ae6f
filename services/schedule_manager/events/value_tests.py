"""What a pattern asks of one value: that it is a string, a number, `true`, `false`, `null`, or what an operator says.

Values are JSON's, never objects or arrays. Source: Amazon EventBridge User Guide, "Comparison operators for use in
event patterns"; the words of faults are AWS's.
"""

from __future__ import annotations

import ipaddress
import operator
from collections.abc import Callable
from functools import lru_cache
from typing import Any

Test = Callable[[Any], bool]
Literal = tuple[type | None, Any]
_GREATEST = 5e9
_WILDCARD_BITS = 64
_LONGEST_ADDRESS = 64
_COMPARED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq}


class PatternFault(ValueError):
    """No pattern, and why."""


def literal(value: Any) -> Literal:
    """What is equal for values that patterns take as the same; numbers are compared as numbers."""
    return _kind(value), value


def read_test(said: dict[str, Any]) -> Test | None:
    """None for `{"exists": false}`, which no value passes. Raises PatternFault."""
    if len(said) != 1:
        raise PatternFault("Only one key allowed in match expression")
    ((name, wanted),) = said.items()
    if name not in _READ:
        raise PatternFault(f"Unrecognized match type {name}")
    return _READ[name](wanted)


def tests_in(said: dict[str, Any]) -> int:
    """How many values or texts one is compared with by what `read_test` read."""
    ((_, wanted),) = said.items()
    below = next(iter(wanted.values()), None) if isinstance(wanted, dict) else None
    return len(below) if isinstance(below, list) else 1


def _exists(wanted: Any) -> Test | None:
    if not isinstance(wanted, bool):
        raise PatternFault("exists match pattern must be either true or false.")
    return (lambda _: True) if wanted else None


def _prefix(wanted: Any) -> Test:
    return _affix("prefix", wanted, str.startswith)


def _suffix(wanted: Any) -> Test:
    return _affix("suffix", wanted, str.endswith)


def _affix(name: str, wanted: Any, fits: Callable[[str, str], bool]) -> Test:
    if isinstance(wanted, dict) and list(wanted) == ["equals-ignore-case"]:
        folded = _text(wanted["equals-ignore-case"], name).casefold()
        return lambda value: isinstance(value, str) and fits(value.casefold(), folded)
    text = _text(wanted, name)
    return lambda value: isinstance(value, str) and fits(value, text)


def _equals_ignore_case(wanted: Any) -> Test:
    folded = _text(wanted, "equals-ignore-case").casefold()
    return lambda value: isinstance(value, str) and value.casefold() == folded


def _wildcard(wanted: Any) -> Test:
    pieces = _pieces(_text(wanted, "wildcard"))
    return lambda value: isinstance(value, str) and _glob(pieces, value)


def _pieces(text: str) -> list[str]:
    """What stands between the stars; a backslash takes its meaning from a star or a backslash."""
    pieces, at, starred = [""], 0, False
    while at < len(text):
        sign = text[at]
        if sign == "\\":
            if text[at + 1 : at + 2] not in ("*", "\\"):
                raise PatternFault(f"Invalid escape character at pos {at}")
            at, sign = at + 1, text[at + 1]
            pieces[-1] += sign
        elif sign == "*":
            if starred:
                raise PatternFault(f"Consecutive wildcard characters at pos {at}")
            pieces.append("")
        else:
            pieces[-1] += sign
        starred = sign == "*" and (at == 0 or text[at - 1] != "\\")
        at += 1
    if len(pieces) > _WILDCARD_BITS:
        raise PatternFault("Rule is too complex - try using fewer wildcard characters")
    return pieces


def _glob(pieces: list[str], value: str) -> bool:
    """Each piece as early as can be, which leaves the most for those after it."""
    if len(pieces) == 1:
        return value == pieces[0]
    first, *middle, last = pieces
    if not value.startswith(first) or not value.endswith(last) or len(value) < len(first) + len(last):
        return False
    at, end = len(first), len(value) - len(last)
    for piece in middle:
        found = value.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _numeric(wanted: Any) -> Test:
    if not isinstance(wanted, list):
        raise PatternFault("Value of numeric must be an array.")
    if not wanted:
        raise PatternFault("Invalid member in numeric match: ]")
    first = wanted[0]
    if not isinstance(first, str) or first not in _COMPARED:
        raise PatternFault(f"Unrecognized numeric range operator: {first}")
    limit = _limit(wanted, 1)
    rest = wanted[2:]
    if not rest:
        return _compares(first, limit)
    if not first.startswith(">"):
        raise PatternFault("Too many elements in numeric expression")
    second = rest[0]
    if second not in ("<", "<="):
        raise PatternFault(f"Bad numeric range operator: {second}")
    most = _limit(rest, 1)
    if len(rest) > 2:
        raise PatternFault("Too many terms in numeric range expression")
    if most <= limit:
        raise PatternFault("Bottom must be less than top")
    above, below = _compares(first, limit), _compares(second, most)
    return lambda value: above(value) and below(value)


def _limit(wanted: list[Any], at: int) -> float:
    value: Any = wanted[at] if len(wanted) > at else None
    if _kind(value) is not float:
        raise PatternFault(f"Value of {wanted[at - 1]} must be numeric")
    if not -_GREATEST <= value <= _GREATEST:
        raise PatternFault(f"Value must be between {-_GREATEST:g} and {_GREATEST:g}, inclusive")
    return float(value)


def _compares(sign: str, limit: float) -> Test:
    compare = _COMPARED[sign]
    return lambda value: _kind(value) is float and bool(compare(value, limit))


def _cidr(wanted: Any) -> Test:
    text = _text(wanted, "prefix")  # AWS says so of cidr, too
    address, slash, bits = text.partition("/")
    if not slash or "/" in bits:
        raise PatternFault("Malformed CIDR, one '/' required")
    if not bits.isascii() or not bits.isdigit():
        raise PatternFault("Malformed CIDR, mask bits must be an integer")
    if _address(address) is None:
        raise PatternFault(f"Nonstandard IP address: {address}")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise PatternFault("IP address mask bits are too many") from None
    return lambda value: (
        isinstance(value, str)
        and len(value) <= _LONGEST_ADDRESS
        and (found := _address(value)) is not None
        and found in network
    )


@lru_cache(maxsize=64)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _anything_but(wanted: Any) -> Test:
    if not isinstance(wanted, dict):
        literals = _refused_literals(wanted)
        return lambda value: literal(value) not in literals
    refused = _refused_by_operator(wanted)
    return lambda value: not any(each(value) for each in refused)


def _refused_literals(wanted: Any) -> frozenset[Literal]:
    if not isinstance(wanted, list):
        if _kind(wanted) not in (str, float):
            raise PatternFault("Value of anything-but must be an array or single string/number value.")
        return frozenset((literal(wanted),))
    if not wanted or any(_kind(each) not in (str, float) for each in wanted):
        raise PatternFault("Inside anything but list, start|null|boolean is not supported.")
    return frozenset(map(literal, wanted))


def _refused_by_operator(said: dict[str, Any]) -> list[Test]:
    if len(said) != 1:
        raise PatternFault("Only one key allowed in match expression")
    ((name, wanted),) = said.items()
    if name not in ("prefix", "suffix", "equals-ignore-case", "wildcard"):
        raise PatternFault(f"Unsupported anything-but pattern: {name}")
    values = wanted if isinstance(wanted, list) else [wanted]
    for each in values:
        _require_refusable(name, each)
    if not values:
        raise PatternFault(f"Inside anything-but/{name} list, nothing is named")
    return [test for each in values if (test := _READ[name](each)) is not None]


def _require_refusable(name: str, value: Any) -> None:
    if isinstance(value, dict):
        raise PatternFault("Value of anything-but must be an array or single string/number value.")
    if isinstance(value, str):
        if not value and name in ("prefix", "suffix"):
            raise PatternFault("Null prefix/suffix not allowed")
    elif name in ("prefix", "suffix"):
        raise PatternFault("prefix/suffix match pattern must be a string")
    elif name == "equals-ignore-case":
        where = "Inside anything-but/equals-ignore-case list"
        raise PatternFault(f"{where}, number|start|null|boolean is not supported.")


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise PatternFault(f"{name} match pattern must be a string")
    return value


def _kind(value: Any) -> type | None:
    """What JSON calls it: all numbers are of one kind, and booleans are none of them."""
    if value is None:
        return None
    if isinstance(value, bool):
        return bool
    return float if isinstance(value, int | float) else type(value)


_READ: dict[str, Callable[[Any], Test | None]] = {
    "exists": _exists,
    "prefix": _prefix,
    "suffix": _suffix,
    "equals-ignore-case": _equals_ignore_case,
    "wildcard": _wildcard,
    "numeric": _numeric,
    "cidr": _cidr,
    "anything-but": _anything_but,
}
TESTS = frozenset(_READ)
