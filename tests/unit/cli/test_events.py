"""Events in the order things happened in, with ages, and in the same columns when they are watched."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.resources.events import HEADER, Printer, age, by_time, event_grid

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def event(reason: str, micro: int, revision: int = 1, count: int = 1) -> dict[str, Any]:
    moment = NOON + timedelta(microseconds=micro)
    series = {"series": {"count": count, "lastObservedTime": moment.isoformat()}} if count > 1 else {}
    return {
        "metadata": {"uid": reason, "resourceVersion": str(revision)},
        "involvedObject": {"kind": "Service", "name": "web"},
        "type": "Normal",
        "reason": reason,
        "message": "m",
        "count": count,
        "lastTimestamp": "2026-01-01T12:00:00Z",
        "eventTime": (moment if count == 1 else NOON).isoformat(),
        **series,
    }


@given(st.permutations(range(5)))
def test_within_one_second_causes_come_before_effects(order: list[int]) -> None:
    events = [event(f"e{number}", number * 1000, count=1 + number % 2) for number in range(5)]
    assert [each["reason"] for each in by_time([events[at] for at in order])] == [f"e{n}" for n in range(5)]


def test_of_the_same_moment_the_one_that_was_written_first_comes_first() -> None:
    events = [event(f"e{number}", 0, revision=number) for number in range(8, 12)]
    random.Random(1).shuffle(events)
    assert [each["reason"] for each in by_time(events)] == ["e8", "e9", "e10", "e11"]


def test_a_time_that_is_none_is_long_ago() -> None:
    odd = {"metadata": {"uid": "x"}, "lastTimestamp": "yesterday", "reason": "Odd"}
    assert by_time([event("Known", 0), odd])[0]["reason"] == "Odd"


def test_a_table_tells_ages() -> None:
    text = event_grid([event("Started", 0)], about=True, now=lambda: NOON + timedelta(minutes=5)).splitlines()
    assert text[0].split("   ")[0] == "LAST SEEN" and text[1].split() == [
        "5m",
        "1",
        "Normal",
        "Started",
        "service/web",
        "m",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(-3, "0s"), (0.9, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (172_800, "2d")]
)
def test_ages_are_short(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_watched_events_have_the_same_columns_and_come_once(capsys: pytest.CaptureFixture[str]) -> None:
    printer = Printer("table")
    for each in (event("Started", 0), event("Started", 0), event("Ready", 1), event("Ready", 2, revision=2, count=2)):
        printer.show(each)
    lines = capsys.readouterr().out.splitlines()
    assert [word for word in HEADER if word in lines[0]] == list(HEADER)
    assert [line.split()[3] for line in lines[1:]] == ["Started", "Ready", "Ready"]
