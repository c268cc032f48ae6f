"""When a schedule is due: `cron(0 9 ? * MON-FRI *)`, `rate(5 minutes)`, `at(2026-12-24T18:00:00)`. Pure and light.

Cron and `at` mean a wall clock in a time zone. A time that its clock skips in spring is skipped; of a time that it
shows twice in autumn the first one counts, so that nothing comes twice. A rate counts elapsed time, and `days` are
24 hours, from the start date or else from the moment the schedule was made.

Source: AWS EventBridge Scheduler User Guide, "Schedule types", daylight savings time, and time zones. The rules of
time zones are those of the package `tzdata`, the same on every machine.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import tzdata  # type: ignore[import-untyped]

from services.sdk.aws.cron import FIRST_YEAR, LAST_YEAR, Cron, CronFault, parse_cron

TIME_ZONE_DATA: str = tzdata.IANA_VERSION
LONGEST = 256
_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
_MOST_DIGITS = 6
_LONGEST_RATE = timedelta(days=36_500)
_FORMS = "cron(0 9 ? * MON-FRI *), rate(5 minutes) or at(2026-12-24T18:00:00)"


class ExpressionFault(ValueError):
    """No schedule expression, or no time zone, and why."""


@dataclass(frozen=True, slots=True)
class At:
    """Once, at that time of a wall clock."""

    moment: datetime


@dataclass(frozen=True, slots=True)
class Rate:
    """Again and again."""

    every: timedelta


@dataclass(frozen=True, slots=True)
class Timing:
    """All that says when a schedule is due. `begins`: when it was made, or from when on it counts (its start date),
    which is where a rate begins; `starts` and `ends`: outside of which recurring schedules are never due.
    """

    when: Cron | Rate | At
    zone: ZoneInfo
    begins: datetime
    starts: datetime | None = None
    ends: datetime | None = None

    @property
    def is_recurring(self) -> bool:
        return not isinstance(self.when, At)

    def times(self, after: datetime) -> Iterator[datetime]:
        """When it is due later than that moment, in order, in UTC."""
        if isinstance(self.when, At):
            found = _moment(self.when.moment, self.zone)
            if found is not None and found > after:
                yield found
            return
        if self.starts is not None and after < self.starts:
            after = self.starts - timedelta(microseconds=1)
        for found in self._recurring(after):
            if self.ends is not None and found > self.ends:
                return
            yield found

    def next(self, after: datetime) -> datetime | None:
        """The first of them; None when it is never due again."""
        return next(self.times(after), None)

    def latest(self, first: datetime, until: datetime) -> datetime:
        """The last time it is due that is not after `until`, given one that is not."""
        if isinstance(self.when, Rate):
            passed = first + (until - first) // self.when.every * self.when.every
            return passed if self.ends is None or passed <= self.ends else self._last_of(first, until)
        return self._last_of(first, until)

    def _last_of(self, first: datetime, until: datetime) -> datetime:
        """Looks back further and further: after years, not every minute is counted."""
        for days in _LOOK_BACK_DAYS:
            start = max(first, until - timedelta(days=days))
            last = None
            for found in self.times(start):
                if found > until:
                    break
                last = found
            if last is not None:
                return last
            if start == first:
                break
        return first

    def _recurring(self, after: datetime) -> Iterator[datetime]:
        if isinstance(self.when, Rate):
            yield from _steps(self.begins, self.when.every, after)
            return
        assert isinstance(self.when, Cron)
        local = after.astimezone(self.zone).replace(tzinfo=None)
        for wall in self.when.times(local - _LONGEST_CHANGE):
            found = _moment(wall, self.zone)
            if found is not None and found > after:
                yield found


_LOOK_BACK_DAYS = (0.1, 2.0, 62.0, 800.0, 366.0 * 250)
# An hour that comes twice: what a wall clock shows may be earlier than what it has shown.
_LONGEST_CHANGE = timedelta(hours=2)


def _steps(begin: datetime, every: timedelta, after: datetime) -> Iterator[datetime]:
    found = begin if after < begin else begin + ((after - begin) // every + 1) * every
    while True:
        yield found
        found += every


def _moment(wall: datetime, zone: ZoneInfo) -> datetime | None:
    """That time of the wall clock in UTC; the first one of two, None for one that is skipped."""
    found = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return found if found.astimezone(zone).replace(tzinfo=None) == wall else None


@lru_cache(maxsize=1024)
def parse_expression(text: str) -> Cron | Rate | At:
    """Raises ExpressionFault."""
    kind, bracket, inner = text.partition("(")
    if len(text) > LONGEST or not bracket or not inner.endswith(")"):
        raise ExpressionFault(f"a schedule expression is {_FORMS}")
    inner = inner[:-1]
    if kind == "cron":
        try:
            return parse_cron(inner.split())
        except CronFault as fault:
            raise ExpressionFault(str(fault)) from fault
    if kind == "rate":
        return _rate(inner.split())
    if kind == "at":
        return _at(inner)
    raise ExpressionFault(f"a schedule expression is {_FORMS}")


@lru_cache(maxsize=1024)
def time_zone(name: str) -> ZoneInfo:
    """Raises ExpressionFault."""
    if name not in _zone_names():
        raise ExpressionFault(f"{name[:64]!r} is no time zone of IANA's, such as Europe/Berlin")
    place = importlib.resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    with place.open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(importlib.resources.files("tzdata").joinpath("zones").read_text().split())


def _rate(words: list[str]) -> Rate:
    if len(words) == 2:
        number, unit = words[0], _UNITS.get(words[1].removesuffix("s"))
        if unit is not None and number.isascii() and number.isdigit() and len(number) <= _MOST_DIGITS and int(number):
            if int(number) * unit > _LONGEST_RATE:
                raise ExpressionFault(f"rate has at most {_LONGEST_RATE.days} days")
            return Rate(int(number) * unit)
    raise ExpressionFault("rate has a positive number and minutes, hours or days: rate(5 minutes)")


def _at(text: str) -> At:
    try:
        found = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S")  # noqa: DTZ007 - of a wall clock
    except ValueError:
        raise ExpressionFault("at has a time without a zone: at(2026-12-24T18:00:00)") from None
    if fault := year_fault(found):
        raise ExpressionFault(f"at: {fault}")
    return At(found)


def year_fault(moment: datetime) -> str | None:
    """Why no schedule has to do with that moment, or None. What is reckoned from others never leaves the calendar."""
    if FIRST_YEAR <= moment.year <= LAST_YEAR:
        return None
    return f"the year is {FIRST_YEAR} to {LAST_YEAR}, not {moment.year}"
