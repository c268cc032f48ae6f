"""Expressions: AWS's documented rules for clock changes, and cron against a library that others wrote."""

# ruff: noqa: DTZ001 - wall clocks know of no time zone
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from services.schedule_manager.expressions import ExpressionFault, Timing, parse_expression, time_zone
from services.sdk.aws.cron import parse_cron

NEW_YORK, BERLIN = "America/New_York", "Europe/Berlin"


def timing(expression: str, zone: str = "UTC", begins: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> Timing:
    return Timing(parse_expression(expression), time_zone(zone), begins)


def local(expression: str, zone: str, after: datetime, count: int) -> list[str]:
    """The next times, as the wall clock shows them."""
    found = islice(timing(expression, zone).times(after), count)
    return [each.astimezone(time_zone(zone)).strftime("%d %H:%M%z") for each in found]


def test_a_time_that_is_skipped_in_spring_is_skipped() -> None:
    """2026-03-08, 2 o'clock becomes 3 in New York."""
    after = datetime(2026, 3, 7, 5, tzinfo=UTC)
    assert local("cron(30 2 * * ? *)", NEW_YORK, after, 2) == ["07 02:30-0500", "09 02:30-0400"]
    assert local("cron(30 1/1 * * ? *)", NEW_YORK, datetime(2026, 3, 8, 6, tzinfo=UTC), 3) == [
        "08 01:30-0500", "08 03:30-0400", "08 04:30-0400"]  # fmt: skip
    assert timing("at(2026-03-08T02:30:00)", NEW_YORK).next(after) is None


def test_a_time_that_comes_twice_in_autumn_counts_once_the_first_time() -> None:
    """2026-11-01, 2 o'clock becomes 1 in New York."""
    after = datetime(2026, 10, 31, 12, tzinfo=UTC)
    assert local("cron(30 1 * * ? *)", NEW_YORK, after, 2) == ["01 01:30-0400", "02 01:30-0500"]
    assert local("cron(0/30 1-2 * * ? *)", NEW_YORK, after, 4) == [
        "01 01:00-0400", "01 01:30-0400", "01 02:00-0500", "01 02:30-0500"]  # fmt: skip
    assert local("at(2026-11-01T01:30:00)", NEW_YORK, after, 2) == ["01 01:30-0400"]


def test_days_of_a_rate_are_24_hours() -> None:
    found = list(islice(timing("rate(1 days)", BERLIN).times(datetime(2026, 3, 28, 0, 30, tzinfo=UTC)), 3))
    assert [b - a for a, b in pairwise(found)] == [timedelta(hours=24)] * 2
    assert [each.astimezone(time_zone(BERLIN)).hour for each in found] == [1, 2, 2]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("0 0 L * ? *", ["01-31", "02-28", "03-31"]),
        ("0 0 LW * ? *", ["01-30", "02-27", "03-31"]),
        ("0 0 1W * ? *", ["01-01", "02-02", "03-02"]),
        ("0 0 15W * ? *", ["01-15", "02-16", "03-16"]),
        ("0 0 ? * 6L *", ["01-30", "02-27", "03-27"]),
        ("0 0 ? * TUE#2 *", ["01-13", "02-10", "03-10"]),
        ("0 0 ? * 2-6 *", ["01-01", "01-02", "01-05"]),
        ("0 0 ? 2 L 2028", ["02-05", "02-12", "02-19"]),
        ("0 0 29 2 ? *", ["02-29"] * 3),
    ],
)
def test_days_as_aws_names_them(fields: str, expected: list[str]) -> None:
    found = islice(parse_cron(fields.split()).times(datetime(2025, 12, 31, 12)), 3)
    assert [f"{each:%m-%d}" for each in found] == expected


def numbers(first: int, last: int) -> st.SearchStrategy[str]:
    """A field as both dialects have it."""
    one = st.integers(first, last)
    spans = st.tuples(one, one).filter(lambda pair: pair[0] < pair[1]).map(lambda pair: f"{pair[0]}-{pair[1]}")
    steps = st.tuples(spans, st.integers(1, 30)).map(lambda pair: f"{pair[0]}/{pair[1]}")
    lists = st.lists(st.one_of(one.map(str), spans, steps), min_size=1, max_size=3).map(",".join)
    return st.one_of(st.just("*"), st.integers(1, 30).map("*/{}".format), lists)


@settings(deadline=None, max_examples=40)
@given(
    numbers(0, 59), numbers(0, 23), numbers(1, 28), numbers(1, 12),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),
)  # fmt: skip
def test_times_are_those_of_another_implementation(
    minutes: str, hours: str, days: str, months: str, after: datetime
) -> None:
    ours = list(islice(parse_cron([minutes, hours, days, months, "?", "*"]).times(after), 10))
    theirs = CronSim(f"{minutes} {hours} {days} {months} *", after)
    assert ours == list(islice(theirs, 10))


@settings(deadline=None, max_examples=40)
@given(
    numbers(0, 59), st.lists(st.integers(0, 6), min_size=1, max_size=4), st.sampled_from(["", "#1", "#2", "#4", "L"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),
)  # fmt: skip
def test_weekdays_are_those_of_another_implementation(
    minutes: str, days: list[int], which: str, after: datetime
) -> None:
    """There Sunday is 0, here it is 1."""
    aws = ",".join(f"{each + 1}{which}" for each in days)
    theirs = CronSim(f"{minutes} 5 * * {','.join(f'{each}{which}' for each in days)}", after)
    ours = parse_cron([minutes, "5", "?", "*", aws, "*"]).times(after)
    assert list(islice(ours, 10)) == list(islice(theirs, 10))


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([NEW_YORK, BERLIN, "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca", "UTC"]),
    numbers(0, 59), numbers(0, 23), st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),
)  # fmt: skip
def test_each_wall_time_counts_once_and_in_order(zone: str, minutes: str, hours: str, after: datetime) -> None:
    moment = after.replace(tzinfo=UTC)
    found = list(islice(timing(f"cron({minutes} {hours} * * ? *)", zone).times(moment), 50))
    walls = [each.astimezone(time_zone(zone)).replace(tzinfo=None) for each in found]
    assert found == sorted(set(found)) and found[0] > moment
    assert len(walls) == len(set(walls))
    wanted = parse_cron([minutes, hours, "*", "*", "?", "*"])
    assert all(wanted.next(each - timedelta(minutes=1)) == each for each in walls)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(["cron(7/13 3-5 * * ? *)", "rate(7 minutes)", "cron(0 0 1 * ? *)", "rate(3 days)"]),
    st.datetimes(datetime(2026, 1, 2), datetime(2026, 6, 1)), st.integers(0, 9000),
)  # fmt: skip
def test_the_latest_time_is_the_last_one_of_all(expression: str, start: datetime, minutes: int) -> None:
    found = timing(expression, BERLIN)
    first = found.next(start.replace(tzinfo=UTC))
    assert first is not None
    until = first + timedelta(minutes=minutes)
    every = [first, *(each for each in islice(found.times(first), 3000) if each <= until)]
    assert found.latest(first, until) == every[-1]


@given(st.text(max_size=40))
def test_garbage_is_refused_in_words(text: str) -> None:
    for expression in (text, f"cron({text})", f"rate({text})", f"at({text})"):
        try:
            parse_expression(expression)
        except ExpressionFault as fault:
            assert str(fault)


def test_only_time_zones_of_iana_are_known() -> None:
    for name in ("Mars/Olympus", "../../etc/passwd", "", "CEST", "europe/berlin"):
        with pytest.raises(ExpressionFault):
            time_zone(name)
