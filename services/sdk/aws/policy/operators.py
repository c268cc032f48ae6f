"""The condition operators: what a value of a request has to be like, for the values that a policy names.

Each operator is a family (strings, numbers, dates, ...) and whether it is negated: `StringNotEquals` holds where
`StringEquals` with the same values does not. Source: AWS IAM user guide, "IAM JSON policy elements: Condition
operators".
"""

from __future__ import annotations

import base64
import binascii
import operator
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple

from services.sdk.aws.policy.arn_patterns import ArnPattern, name_of
from services.sdk.aws.policy.context import Context
from services.sdk.aws.policy.dates import seconds_of
from services.sdk.aws.policy.variables import Template, template_of
from services.sdk.aws.policy.wildcards import matcher

Test = Callable[[str, Context], bool]
"""Whether a value of the request is as one of the policy's."""
Family = Callable[[Sequence[str], bool], Test]
"""Compiles the policy's values; the second: whether variables count in them."""


class Operator(NamedTuple):
    """family: None for Null, which asks for no value."""

    family: Family | None
    negated: bool = False


def _same(text: str) -> str:
    return text


def _equals(form: Callable[[str], str]) -> Family:
    def compiled(values: Sequence[str], variables: bool) -> Test:
        templates = [template_of(each, variables=variables, wildcards=False) for each in values]
        fixed = frozenset(form(_joined(each.fixed)) for each in templates if each.fixed is not None)
        open_ones = [each for each in templates if each.fixed is None]
        if not open_ones:
            return lambda value, context: form(value) in fixed
        return lambda value, context: form(value) in fixed or form(value) in _resolved(open_ones, context, form)

    return compiled


def _resolved(templates: Iterable[Template], context: Context, form: Callable[[str], str]) -> set[str]:
    found = (each.resolved(context) for each in templates)
    return {form(_joined(each)) for each in found if each is not None}


def _joined(parts: Iterable[Any] | None) -> str:
    return "".join(map(str, parts or ()))


def _like(values: Sequence[str], variables: bool) -> Test:
    templates = [template_of(each, variables=variables) for each in values]
    fixed = [matcher(each.fixed) for each in templates if each.fixed is not None]
    open_ones = [each for each in templates if each.fixed is None]

    def test(value: str, context: Context) -> bool:
        if any(matches(value) for matches in fixed):
            return True
        found = (each.resolved(context) for each in open_ones)
        return any(matcher(each)(value) for each in found if each is not None)

    return test


def _arn(values: Sequence[str], variables: bool) -> Test:
    patterns = [ArnPattern(template_of(each, variables=variables), completes=False) for each in values]

    def test(value: str, context: Context) -> bool:
        name = name_of(value)
        return bool(name.parts) and any(each.matches(name, context) for each in patterns)

    return test


def _compared(read: Callable[[str], Any], holds: Callable[[Any, Any], bool]) -> Family:
    """What cannot be read is like nothing."""

    def compiled(values: Sequence[str], _: bool) -> Test:
        wanted = [known for each in values if (known := read(each)) is not None]

        def test(value: str, _: Context) -> bool:
            found = read(value)
            return found is not None and any(holds(found, each) for each in wanted)

        return test

    return compiled


def number_of(text: str) -> Decimal | None:
    """None for what is no number."""
    try:
        found = Decimal(text) if text.isascii() and "_" not in text else None
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() else None


def bytes_of(text: str) -> bytes | None:
    """None for what is no base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def truth_of(text: str) -> bool | None:
    """None for what is neither true nor false."""
    return {"true": True, "false": False}.get(text.strip().lower())


@lru_cache(4096)
def address_of(text: str) -> IPv4Address | IPv6Address | None:
    """None for what is no address."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def network_of(text: str) -> IPv4Network | IPv6Network | None:
    """None for what is neither a network nor an address."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _ip(values: Sequence[str], _: bool) -> Test:
    networks = [network for each in values if (network := network_of(each)) is not None]

    def test(value: str, _: Context) -> bool:
        address = address_of(value)
        return address is not None and any(address in each for each in networks)

    return test


def _both(name: str, negated: str, family: Family) -> dict[str, Operator]:
    return {name: Operator(family), negated: Operator(family, negated=True)}


def _ordered(prefix: str, read: Callable[[str], Any]) -> dict[str, Operator]:
    return {
        **_both(f"{prefix}Equals", f"{prefix}NotEquals", _compared(read, operator.eq)),
        f"{prefix}LessThan": Operator(_compared(read, operator.lt)),
        f"{prefix}LessThanEquals": Operator(_compared(read, operator.le)),
        f"{prefix}GreaterThan": Operator(_compared(read, operator.gt)),
        f"{prefix}GreaterThanEquals": Operator(_compared(read, operator.ge)),
    }


OPERATORS: dict[str, Operator] = {
    **_both("StringEquals", "StringNotEquals", _equals(_same)),
    **_both("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", _equals(str.lower)),
    **_both("StringLike", "StringNotLike", _like),
    **_ordered("Numeric", number_of),
    **_ordered("Date", seconds_of),
    **_both("IpAddress", "NotIpAddress", _ip),
    **_both("ArnEquals", "ArnNotEquals", _arn),
    **_both("ArnLike", "ArnNotLike", _arn),
    "Bool": Operator(_compared(truth_of, operator.eq)),
    "BinaryEquals": Operator(_compared(bytes_of, operator.eq)),
    "Null": Operator(None),
}
