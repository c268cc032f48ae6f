"""Schedules of rotation: what they say, and what is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.secrets_manager.schedule import ScheduleFault, parse_schedule, parse_window

NOON = datetime(2026, 11, 29, 12, 30, tzinfo=UTC)  # a Sunday
FIRST, LAST = datetime.fromisoformat("2020-01-01"), datetime.fromisoformat("2090-01-01")


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("rate(10 days)", "2026-12-09T12:30"),
        ("rate(1 day)", "2026-11-30T12:30"),
        ("rate(4 hours)", "2026-11-29T16:30"),
        ("cron(0 8 1 * ? *)", "2026-12-01T08:00"),
        ("cron(0 12 * * ? *)", "2026-11-30T12:00"),
        ("cron(0 */4 * * ? *)", "2026-11-29T16:00"),
        ("cron(0 13/6 * * ? *)", "2026-11-29T13:00"),
        ("cron(0 0 L * ? *)", "2026-11-30T00:00"),
        ("cron(0 0 L FEB ? *)", "2027-02-28T00:00"),
        ("cron(0 0 29 2 ? *)", "2028-02-29T00:00"),
        ("cron(0 0 ? * SUN *)", "2026-12-06T00:00"),
        ("cron(0 0 ? * 1 *)", "2026-12-06T00:00"),
        ("cron(0 3 ? * MON-FRI *)", "2026-11-30T03:00"),
        ("cron(0 18 ? 1,4,7,10 MON#1 *)", "2027-01-04T18:00"),
        ("cron(0 18 ? * 6L *)", "2026-12-25T18:00"),
    ],
)
def test_what_comes_next(text: str, following: str) -> None:
    assert parse_schedule(text).after(NOON) == datetime.fromisoformat(following).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "", "rate()",
        "rate(3 hours)", "rate(0 days)", "rate(1000 days)", "rate(1 week)", "rate(-1 days)", "rate(² days)",
        "cron(0 8 1 * ?)", "cron(5 8 1 * ? *)", "cron(0 24 1 * ? *)", "cron(0 8 1 * ? 2027)", "cron(0 8 1 * 2 *)",
        "cron(0 8 ? * ? *)", "cron(0 8 31 2 ? *)", "cron(0 8 15W * ? *)", "cron(0 8 5-2 * ? *)",
        "cron(0 8/0 1 * ? *)", "cron(0 8 15W,3 * ? *)", "cron(0 8 WL * ? *)", "cron(0 8 ? * 2,L *)",
        "cron(0 8 ? * MON#6 *)", "cron(0 8 ? * L *)", "daily", "cron(0 8 1 * ? *",
    ],
)  # fmt: skip
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(ScheduleFault):
        parse_schedule(text)


@given(
    st.sampled_from(["cron(0 */6 ? * MON#2 *)", "cron(0 1 L * ? *)", "cron(0 0,12 1-7 */2 ? *)"]),
    st.datetimes(FIRST, LAST, timezones=st.just(UTC)),
)
def test_the_next_is_later_and_nothing_fits_between(text: str, moment: datetime) -> None:
    schedule = parse_schedule(text)
    found = schedule.after(moment)
    assert found > moment and (found.minute, found.second) == (0, 0)
    assert schedule.after(found - timedelta(microseconds=1)) == found


def test_windows() -> None:
    assert parse_window("3h") == timedelta(hours=3)
    for text in ("", "h", "0h", "25h", "3", "3m", "-1h"):
        with pytest.raises(ScheduleFault):
            parse_window(text)
