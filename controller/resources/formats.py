"""Formats of strings in the schema of a defined kind. A format nobody knows asks nothing.

Source: the formats Kubernetes lists for custom resources (kube-openapi `strfmt`).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime
from typing import Any

from crds.names import subdomain_fault

_HEX = frozenset("0123456789abcdefABCDEF")
_DIGITS = frozenset("0123456789")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,18})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_GO_UNITS = ("ns", "us", "µs", "μs", "ms", "s", "m", "h", "d", "w")
_WORDS = frozenset(
    f"{each}{end}"
    for each in ("nanosecond", "nano", "microsecond", "micro", "millisecond", "milli", "second", "sec", "minute",
                 "min", "hour", "hr", "day", "week", "wk")
    for end in ("", "s")
) | {*_GO_UNITS, "msec", "usec", "nsec"}  # fmt: skip


def format_fault(name: Any, text: str) -> str:
    """The reason why `text` is not of that format; empty when it is, or nobody knows the format."""
    known = _FORMATS.get(name) if isinstance(name, str) else None
    return "" if known is None or known(text) else f"must be of type {name}"


def _is_moment(text: str) -> bool:
    if not _MOMENT.fullmatch(text):
        return False
    whole, _, rest = text.upper().partition(".")
    zone = rest.lstrip("0123456789") if rest else ""
    with suppress(ValueError):
        return datetime.fromisoformat(whole + zone).tzinfo is not None
    return False


def _is_day(text: str) -> bool:
    with suppress(ValueError):
        return bool(_DAY.fullmatch(text)) and date.fromisoformat(text) is not None
    return False


def _is_duration(text: str) -> bool:
    """`1h30m` as Go writes it, or `3 days`."""
    rest = text.strip().removeprefix("-").removeprefix("+")
    if rest == "0":
        return True
    parts = 0
    while rest:
        after = rest.lstrip("0123456789.")
        number, word = rest[: len(rest) - len(after)], after.lstrip(" ")
        rest = word.lstrip("abcdefghijklmnopqrstuvwxyzµμ")
        if number.count(".") > 1 or not _DIGITS & set(number) or word[: len(word) - len(rest)] not in _WORDS:
            return False
        parts += 1
    return parts > 0


def _is_uri(text: str) -> bool:
    """Absolute, or a path: what Go's `url.ParseRequestURI` takes."""
    if not text or any(letter <= " " or letter == "\x7f" for letter in text) or not _escapes_well(text):
        return False
    if text.startswith("/"):
        return True
    scheme, colon, rest = text.partition(":")
    if not colon or not rest or not _SCHEME.fullmatch(scheme):
        return False
    return not rest.startswith("//") or _is_authority(re.split(r"[/?#]", rest[2:], maxsplit=1)[0])


def _escapes_well(text: str) -> bool:
    return all(len(part) > 1 and _HEX.issuperset(part[:2]) for part in text.split("%")[1:])


def _is_authority(text: str) -> bool:
    host = text.rpartition("@")[2]
    if host.startswith("["):
        inside, closing, port = host[1:].partition("]")
        return bool(closing) and _is_ip(6, inside.partition("%")[0]) and _DIGITS.issuperset(port.removeprefix(":"))
    name, _, port = host.partition(":")
    return _DIGITS.issuperset(port) and not set(name) & set('<>"\\^`{|}[]')


def _is_email(text: str) -> bool:
    local, at, domain = text.rpartition("@")
    if not at or not 0 < len(local) <= 64 or local[0] == "." or local[-1] == "." or ".." in local:
        return False
    plain = all(letter.isalnum() or letter in "!#$%&'*+/=?^_`{|}~.-" for letter in local)
    return plain and "." in domain and _is_hostname(domain)


def _is_hostname(text: str) -> bool:
    return subdomain_fault(text.lower().removesuffix(".")) is None


def _is_ip(version: int, text: str) -> bool:
    with suppress(ValueError):
        return "%" not in text and ipaddress.ip_address(text).version == version
    return False


def _is_cidr(text: str) -> bool:
    _, slash, bits = text.partition("/")
    with suppress(ValueError):
        return bool(slash) and 0 < len(bits) < 4 and _DIGITS.issuperset(bits) and bool(ipaddress.ip_interface(text))
    return False


def _is_mac(text: str) -> bool:
    for separator, each, counts in ((":", 2, (6, 8, 20)), ("-", 2, (6, 8, 20)), (".", 4, (3, 4, 10))):
        parts = text.split(separator)
        if len(parts) in counts and all(len(part) == each and _HEX.issuperset(part) for part in parts):
            return True
    return False


def _is_uuid(text: str, version: str = "") -> bool:
    groups = text.split("-") if "-" in text else [text[:8], text[8:12], text[12:16], text[16:20], text[20:]]
    if [len(each) for each in groups] != [8, 4, 4, 4, 12] or not _HEX.issuperset("".join(groups)):
        return False
    return not version or (groups[2][0] == version and (version == "3" or groups[3][0] in "89abAB"))


def _is_bytes(text: str) -> bool:
    with suppress(binascii.Error, ValueError):
        return base64.b64decode(text, validate=True) is not None
    return False


def _is_card(text: str) -> bool:
    digits = [int(each) for each in text if each in _DIGITS]
    if not 12 <= len(digits) <= 19 or not {*text} <= _DIGITS | {" ", "-"}:
        return False
    doubled = [each if n % 2 == 0 else each * 2 - 9 * (each > 4) for n, each in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _is_isbn10(text: str) -> bool:
    plain = text.replace("-", "").replace(" ", "")
    if len(plain) != 10 or not _DIGITS.issuperset(plain[:9]) or plain[9] not in "0123456789Xx":
        return False
    digits = [10 if each in "Xx" else int(each) for each in plain]
    return sum(each * (10 - n) for n, each in enumerate(digits)) % 11 == 0


def _is_isbn13(text: str) -> bool:
    plain = text.replace("-", "").replace(" ", "")
    if len(plain) != 13 or not _DIGITS.issuperset(plain):
        return False
    return sum(int(each) * (3 if n % 2 else 1) for n, each in enumerate(plain)) % 10 == 0


def _is_colour(text: str) -> bool:
    plain = text.removeprefix("#")
    return len(plain) in (3, 6) and _HEX.issuperset(plain)


def _is_rgb(text: str) -> bool:
    inside = text.removeprefix("rgb(").removesuffix(")")
    parts = [each.strip() for each in inside.split(",")]
    fits = all(0 < len(each) < 4 and _DIGITS.issuperset(each) and int(each) < 256 for each in parts)
    return len(inside) == len(text) - 5 and len(parts) == 3 and fits


def _is_ssn(text: str) -> bool:
    parts = text.replace(" ", "-").split("-")
    return [len(each) for each in parts] == [3, 2, 4] and _DIGITS.issuperset("".join(parts))


_FORMATS: Mapping[str, Callable[[str], bool]] = {
    **dict.fromkeys(("date-time", "datetime"), _is_moment),
    "date": _is_day,
    "duration": _is_duration,
    "uri": _is_uri,
    "email": _is_email,
    "hostname": _is_hostname,
    "ipv4": lambda text: _is_ip(4, text),
    "ipv6": lambda text: _is_ip(6, text),
    "cidr": _is_cidr,
    "mac": _is_mac,
    "uuid": _is_uuid,
    "uuid3": lambda text: _is_uuid(text, "3"),
    "uuid4": lambda text: _is_uuid(text, "4"),
    "uuid5": lambda text: _is_uuid(text, "5"),
    "byte": _is_bytes,
    "creditcard": _is_card,
    "isbn": lambda text: _is_isbn10(text) or _is_isbn13(text),
    "isbn10": _is_isbn10,
    "isbn13": _is_isbn13,
    "hexcolor": _is_colour,
    "rgbcolor": _is_rgb,
    "ssn": _is_ssn,
    "bsonobjectid": lambda text: len(text) == 24 and _HEX.issuperset(text),
}
