"""AWS's six cron fields: minutes, hours, day of the month, month, day of the week (1 is Sunday), year. Pure.

One of the two days is `?`. Days of the month also have `L` (the last), `LW` (the last weekday), `15W` (the weekday
nearest to the 15th, in the same month); days of the week `6L` (the last Friday), `6#2` (the second) and `L`
(Saturday). Times are those of a wall clock, without a time zone.

Source: AWS EventBridge Scheduler User Guide, "Schedule types", cron-based schedules. Light: manifests may import it.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
FIRST_YEAR, LAST_YEAR = 1970, 2199
_SATURDAY = 6
_LAST = -1
_BEGINNING = datetime(FIRST_YEAR, 1, 1) - timedelta(minutes=1)  # noqa: DTZ001 - of a wall clock
# The rarest day that can be said, a fifth weekday of February, comes after 40 years at most.
_LOOK_AHEAD_YEARS = 41


class CronFault(ValueError):
    """No cron expression, and why."""


@dataclass(frozen=True, slots=True)
class MonthDays:
    """days: of the month. nearest: whose nearest weekday is meant (`15W`)."""

    days: frozenset[int]
    last: bool = False
    last_weekday: bool = False
    nearest: frozenset[int] = frozenset()

    def of(self, year: int, month: int) -> set[int]:
        """Those of that month."""
        length = calendar.monthrange(year, month)[1]
        found = {each for each in self.days if each <= length}
        if self.last:
            found.add(length)
        if self.last_weekday:
            found.add(_nearest_weekday(year, month, length, length))
        found.update(_nearest_weekday(year, month, each, length) for each in self.nearest if each <= length)
        return found


@dataclass(frozen=True, slots=True)
class WeekDays:
    """Days of the week, Sunday is 1, with their number in the month; 0: each of them, -1: the last."""

    days: frozenset[tuple[int, int]]

    def of(self, year: int, month: int) -> set[int]:
        """Those of that month."""
        first, length = calendar.monthrange(year, month)  # Monday is 0
        found = set()
        for day in range(1, length + 1):
            weekday = (first + day) % 7 + 1
            number = _LAST if day + 7 > length else 0
            if not self.days.isdisjoint({(weekday, 0), (weekday, (day - 1) // 7 + 1), (weekday, number)}):
                found.add(day)
        return found


@dataclass(frozen=True, slots=True)
class Cron:
    """Every time that fits all fields. `minutes` and `hours` are in order."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: MonthDays | WeekDays
    months: frozenset[int]
    years: frozenset[int] | None

    def times(self, after: datetime) -> Iterator[datetime]:
        """The times later than that one, in order, none of them aware of a time zone."""
        for day in self._dates(after.date()):
            for hour in self.hours:
                for minute in self.minutes:
                    found = datetime.combine(day, time(hour, minute))
                    if found > after:
                        yield found

    def next(self, after: datetime) -> datetime | None:
        """The first of them; None when there is none."""
        return next(self.times(after), None)

    def _dates(self, first: date) -> Iterator[date]:
        end = LAST_YEAR + 1 if self.years is not None else min(first.year + _LOOK_AHEAD_YEARS, LAST_YEAR + 1)
        for year in range(first.year, end):
            if self.years is not None and year not in self.years:
                continue
            for month in sorted(self.months):
                if (year, month) < (first.year, first.month):
                    continue
                for day in sorted(self.days.of(year, month)):
                    found = date(year, month, day)
                    if found >= first:
                        yield found


def parse_cron(fields: list[str]) -> Cron:
    """Raises CronFault, also for fields that never fit."""
    if len(fields) != 6:
        raise CronFault("cron has six fields: minutes, hours, day of month, month, day of week, year")
    minutes, hours, day, month, weekday, year = (each.upper() for each in fields)
    if (day == "?") == (weekday == "?"):
        raise CronFault("one of day of month and day of week is ?, the other says the days")
    found = Cron(
        minutes=tuple(sorted(_numbers(minutes, 0, 59, "minutes"))),
        hours=tuple(sorted(_numbers(hours, 0, 23, "hours"))),
        days=_month_days(day) if weekday == "?" else WeekDays(frozenset(_week_days(weekday))),
        months=_numbers(month, 1, 12, "month", MONTHS),
        years=None if year == "*" else _numbers(year, FIRST_YEAR, LAST_YEAR, "year"),
    )
    if found.next(_BEGINNING) is None:
        raise CronFault("there is no such day")
    return found


def _nearest_weekday(year: int, month: int, day: int, length: int) -> int:
    weekday = date(year, month, day).weekday()
    if weekday == 5:
        return day - 1 if day > 1 else day + 2
    if weekday == 6:
        return day + 1 if day < length else day - 2
    return day


def _month_days(text: str) -> MonthDays:
    days: set[int] = set()
    nearest: set[int] = set()
    last = last_weekday = False
    for part in text.split(","):
        if part == "L":
            last = True
        elif part in ("LW", "WL"):
            last_weekday = True
        elif part.endswith("W"):
            nearest.add(_number(part[:-1], 1, 31, "day of month"))
        else:
            days |= _numbers(part, 1, 31, "day of month")
    return MonthDays(frozenset(days), last, last_weekday, frozenset(nearest))


def _week_days(text: str) -> Iterator[tuple[int, int]]:
    for part in text.split(","):
        day, hash_, number = part.partition("#")
        if hash_:
            if number not in ("1", "2", "3", "4", "5"):
                raise CronFault("day of week: the number after # is 1 to 5")
            yield _number(day, 1, 7, "day of week", DAYS), int(number)
        elif part == "L":
            yield _SATURDAY + 1, 0
        elif part.endswith("L"):
            yield _number(part[:-1], 1, 7, "day of week", DAYS), _LAST
        else:
            yield from ((each, 0) for each in _numbers(part, 1, 7, "day of week", DAYS))


def _numbers(text: str, first: int, last: int, what: str, names: tuple[str, ...] = ()) -> frozenset[int]:
    """`1,3`, `1-5`, `*/4`, `8/2`, `*`."""
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        start, end = _span(span, first, last, what, names)
        if slash and "-" not in span:
            end = last
        if slash and not (step.isascii() and step.isdigit() and len(step) < 5 and int(step) > 0):
            raise CronFault(f"{what}: {part[:32]!r} has no step")
        found.update(range(start, end + 1, int(step) if slash else 1))
    return frozenset(found)


def _span(text: str, first: int, last: int, what: str, names: tuple[str, ...]) -> tuple[int, int]:
    if text == "*":
        return first, last
    low, dash, high = text.partition("-")
    start = _number(low, first, last, what, names)
    end = _number(high, first, last, what, names) if dash else start
    if end < start:
        raise CronFault(f"{what}: {text[:32]!r} ends before it begins")
    return start, end


def _number(text: str, first: int, last: int, what: str, names: tuple[str, ...] = ()) -> int:
    if text in names:
        return names.index(text) + first
    if not (text.isascii() and text.isdigit() and len(text) < 5 and first <= int(text) <= last):
        raise CronFault(f"{what}: {text[:32]!r} is not {first} to {last}")
    return int(text)
