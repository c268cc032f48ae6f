"""When a secret is rotated: `rate(10 days)` and `cron(0 8 1 * ? *)`, in UTC. Pure.

A cron expression has AWS's six fields, minutes, hours, day of the month, month, day of the week (1 is Sunday) and
year. Rotation windows open on the hour, so the minutes are 0, and each year is like the other. One of the two days is
`?`; `L` is the last day of the month, `6L` the last Friday and `6#2` the second.

Source: AWS Secrets Manager User Guide, "Schedule expressions in Secrets Manager rotation".
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
SHORTEST_HOURS, LONGEST_DAYS = 4, 999
_LOOK_AHEAD_DAYS = 366 * 8  # 29 February may be that far away
_LONGEST = 256


class ScheduleFault(ValueError):
    """No schedule, and why."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Again and again after that time."""

    every: timedelta

    def after(self, moment: datetime) -> datetime:
        return moment + self.every


@dataclass(frozen=True, slots=True)
class Cron:
    """At these hours of the days that fit. weekdays: Sunday is 1; with the number in the month, 0 for each of them,
    -1 for the last.
    """

    hours: frozenset[int]
    days: frozenset[int] | None
    last_day: bool
    months: frozenset[int]
    weekdays: frozenset[tuple[int, int]] | None

    def after(self, moment: datetime) -> datetime:
        """The first fitting hour after that moment. Raises ScheduleFault when there is none."""
        day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
        for offset in range(_LOOK_AHEAD_DAYS):
            date = day + timedelta(days=offset)
            if not self._fits(date):
                continue
            for hour in sorted(self.hours):
                if (found := date.replace(hour=hour)) > moment:
                    return found
        raise ScheduleFault("there is no such day")

    def _fits(self, date: datetime) -> bool:
        last = calendar.monthrange(date.year, date.month)[1]
        if date.month not in self.months:
            return False
        if self.weekdays is not None:
            weekday, number = date.isoweekday() % 7 + 1, (date.day - 1) // 7 + 1
            wanted = {(weekday, 0), (weekday, number), *([(weekday, -1)] if date.day + 7 > last else [])}
            return not wanted.isdisjoint(self.weekdays)
        return (self.last_day and date.day == last) or (self.days is not None and date.day in self.days)


@lru_cache(maxsize=512)
def parse_schedule(text: str) -> Rate | Cron:
    """Raises ScheduleFault."""
    if len(text) > _LONGEST or not text.endswith(")"):
        raise ScheduleFault("a schedule is rate(10 days), rate(12 hours) or cron(0 8 1 * ? *)")
    kind, _, inner = text[:-1].partition("(")
    if kind == "rate":
        return _rate(inner.split())
    if kind == "cron":
        return _cron(inner.split())
    raise ScheduleFault("a schedule is rate(10 days), rate(12 hours) or cron(0 8 1 * ? *)")


def parse_window(text: str) -> timedelta:
    """`3h`: how long a rotation window is open. Raises ScheduleFault."""
    number = text.removesuffix("h")
    if not (text.endswith("h") and number.isascii() and number.isdigit() and 1 <= int(number) <= 24):
        raise ScheduleFault("Duration is a number of hours, 1h to 24h")
    return timedelta(hours=int(number))


def _rate(words: list[str]) -> Rate:
    if len(words) != 2 or not (words[0].isascii() and words[0].isdigit()) or len(words[0]) > 4:
        raise ScheduleFault("rate has a number and a unit: rate(10 days), rate(12 hours)")
    number, unit = int(words[0]), words[1].removesuffix("s")
    if unit == "hour" and SHORTEST_HOURS <= number <= LONGEST_DAYS:
        return Rate(timedelta(hours=number))
    if unit == "day" and 1 <= number <= LONGEST_DAYS:
        return Rate(timedelta(days=number))
    raise ScheduleFault(f"rate is {SHORTEST_HOURS} to {LONGEST_DAYS} hours, or 1 to {LONGEST_DAYS} days")


def _cron(fields: list[str]) -> Cron:
    if len(fields) != 6:
        raise ScheduleFault("cron has six fields: minutes, hours, day of month, month, day of week, year")
    minutes, hours, day, month, weekday, year = fields
    if minutes != "0":
        raise ScheduleFault("the minutes are 0: rotation windows open on the hour")
    if year != "*":
        raise ScheduleFault("the year is *")
    if (day == "?") == (weekday == "?"):
        raise ScheduleFault("one of day of month and day of week is ?, the other says the days")
    found = Cron(
        hours=_numbers(hours, 0, 23, "hours"),
        days=None if day in ("?", "L") else _numbers(day, 1, 31, "day of month"),
        last_day=day == "L",
        months=_numbers(month, 1, 12, "month", _MONTHS),
        weekdays=None if weekday == "?" else frozenset(_weekdays(weekday)),
    )
    found.after(datetime(2024, 1, 1))  # noqa: DTZ001 - only asks whether there is such a day at all
    return found


def _weekdays(text: str) -> Iterator[tuple[int, int]]:
    day, hash_, number = text.partition("#")
    if hash_:
        if number not in ("1", "2", "3", "4", "5"):
            raise ScheduleFault("day of week: the number after # is 1 to 5")
        yield _number(day, 1, 7, "day of week", _DAYS), int(number)
    elif text.endswith("L") and text != "L":
        yield _number(text[:-1], 1, 7, "day of week", _DAYS), -1
    else:
        yield from ((each, 0) for each in _numbers(text, 1, 7, "day of week", _DAYS))


def _numbers(text: str, first: int, last: int, what: str, names: tuple[str, ...] = ()) -> frozenset[int]:
    """`1,3`, `1-5`, `*/4`, `8/2`, `*`."""
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        start, end = _span(span, first, last, what, names)
        if slash and "-" not in span:
            end = last
        if slash and not (step.isascii() and step.isdigit() and len(step) < 3 and int(step) > 0):
            raise ScheduleFault(f"{what}: {part[:32]!r} has no step")
        found.update(range(start, end + 1, int(step) if slash else 1))
    return frozenset(found)


def _span(text: str, first: int, last: int, what: str, names: tuple[str, ...]) -> tuple[int, int]:
    if text == "*":
        return first, last
    low, dash, high = text.partition("-")
    start = _number(low, first, last, what, names)
    end = _number(high, first, last, what, names) if dash else start
    if end < start:
        raise ScheduleFault(f"{what}: {text[:32]!r} ends before it begins")
    return start, end


def _number(text: str, first: int, last: int, what: str, names: tuple[str, ...]) -> int:
    if text.upper() in names:
        return names.index(text.upper()) + first
    if not (text.isascii() and text.isdigit() and len(text) < 3 and first <= int(text) <= last):
        raise ScheduleFault(f"{what}: {text[:32]!r} is not {first} to {last}")
    return int(text)
