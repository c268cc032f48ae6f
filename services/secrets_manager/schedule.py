"""When a secret is rotated: `rate(10 days)` and `cron(0 8 1 * ? *)`, in UTC. Pure.

A cron expression has AWS's six fields (`services.sdk.aws.cron`). Rotation windows open on the hour, so the minutes
are 0, and each year is like the other.

Source: AWS Secrets Manager User Guide, "Schedule expressions in Secrets Manager rotation".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from services.sdk.aws.cron import Cron, CronFault, parse_cron

SHORTEST_HOURS, LONGEST_DAYS = 4, 999
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
class Hours:
    """The hours that fit, in UTC."""

    cron: Cron

    def after(self, moment: datetime) -> datetime:
        """The first fitting hour after that moment. Raises ScheduleFault when there is none."""
        found = self.cron.next(moment.replace(tzinfo=None))
        if found is None:
            raise ScheduleFault("there is no such day")
        return found.replace(tzinfo=moment.tzinfo)


@lru_cache(maxsize=512)
def parse_schedule(text: str) -> Rate | Hours:
    """Raises ScheduleFault."""
    if len(text) > _LONGEST or not text.endswith(")"):
        raise ScheduleFault("a schedule is rate(10 days), rate(12 hours) or cron(0 8 1 * ? *)")
    kind, _, inner = text[:-1].partition("(")
    if kind == "rate":
        return _rate(inner.split())
    if kind == "cron":
        return _hours(inner.split())
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


def _hours(fields: list[str]) -> Hours:
    try:
        found = parse_cron(fields)
    except CronFault as fault:
        raise ScheduleFault(str(fault)) from fault
    if fields[0] != "0":
        raise ScheduleFault("the minutes are 0: rotation windows open on the hour")
    if "W" in fields[2].upper() or "L" in fields[4].upper().split(","):
        raise ScheduleFault("days are numbers, names, L, 6L or 6#2: Secrets Manager knows no W and no L alone")
    if fields[5] != "*":
        raise ScheduleFault("the year is *")
    return Hours(found)
