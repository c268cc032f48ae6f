"""Dates of policies: ISO 8601 as AWS reads it, or seconds since 1970. Years may be far outside Python's.

Source: W3C note "Date and Time Formats"; AWS IAM user guide, "Date condition operators".
"""

from __future__ import annotations

import re
from decimal import Decimal

_DATE = re.compile(r"(-?[0-9]{1,9})(?:-([0-9]{1,2}))?(?:-([0-9]{1,2}))?")
_CLOCK = re.compile(r"([0-9]{1,2})(?::([0-9]{1,2}))?(?::([0-9]{1,2})(?:\.([0-9]{1,9}))?)?")
_ZONE = re.compile(r"([0-9]{2})(?::?([0-9]{2}))?")
_FIRST_YEAR, _LAST_YEAR = -292275054, 292278993  # Java's
_LAST_SECOND = 2**63 - 1
_DIGITS = frozenset("0123456789")
_YEAR = 4


def seconds_of(text: str) -> Decimal | None:
    """Seconds since 1970; None for what is no date."""
    if text and _DIGITS.issuperset(text) and len(text) != _YEAR:
        return Decimal(text) if int(text[:20]) <= _LAST_SECOND and len(text) < 20 else None
    day, _, rest = text.upper().partition("T")
    clock, sign, zone = _cut_zone(rest)
    days, seconds, offset = _days(day), _clock(clock), _offset(zone)
    if days is None or seconds is None or offset is None:
        return None
    return days * 86400 + seconds - (-offset if sign == "-" else offset)


def _cut_zone(rest: str) -> tuple[str, str, str]:
    for sign in "Z+-":
        clock, found, zone = rest.partition(sign)
        if found:
            return clock, sign, "bad" if sign == "Z" and zone else zone or ("00" if sign == "Z" else "bad")
    return rest, "+", "00"


def _days(text: str) -> Decimal | None:
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day = (int(each) if each else 1 for each in found.groups())
    if not (_FIRST_YEAR <= year <= _LAST_YEAR and 1 <= month <= 12 and 1 <= day <= 31):
        return None
    return Decimal(_days_since_1970(year, month, day))


def _clock(text: str) -> Decimal | None:
    if not text:
        return Decimal(0)
    found = _CLOCK.fullmatch(text)
    if found is None:
        return None
    hours, minutes, seconds = (int(each or 0) for each in found.groups()[:3])
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    return Decimal(f"{hours * 3600 + minutes * 60 + seconds}.{found[4] or 0}")


def _offset(text: str) -> Decimal | None:
    found = _ZONE.fullmatch(text)
    if found is None or int(found[1]) > 23 or int(found[2] or 0) > 59:
        return None
    return Decimal(int(found[1]) * 3600 + int(found[2] or 0) * 60)


def _days_since_1970(year: int, month: int, day: int) -> int:
    """By the Gregorian calendar, before it was made too (Howard Hinnant, "chrono-Compatible Low-Level Date
    Algorithms")."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
