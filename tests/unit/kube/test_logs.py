"""`kubectl logs --since, --since-time, --limit-bytes, --timestamps`: by the times lines tell of themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from api.kube.views.log_options import LogOptions, time_of
from crds.errors import BadRequest

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LINES = """no time yet
2026-01-01T11:00:00Z one
of one
{"level":"info","timestamp":"2026-01-01T11:59:30.5Z","event":"two"}
  of two
"""


class Noon:
    def now(self) -> datetime:
        return NOON

    def monotonic(self) -> float:
        return 0


def chosen(**params: str) -> str:
    return LogOptions(params, Noon()).of(LINES).decode()


def test_without_a_wish_all_of_it_comes() -> None:
    assert chosen() == LINES


@pytest.mark.parametrize("wish", [{"sinceSeconds": "60"}, {"sinceTime": "2026-01-01T11:30:00Z"}])
def test_older_lines_stay_away_with_what_belongs_to_them(wish: dict[str, str]) -> None:
    assert chosen(**wish).splitlines() == [LINES.splitlines()[0], *LINES.splitlines()[3:]]


def test_timestamps_go_first() -> None:
    told = chosen(timestamps="true").splitlines()
    assert told[0] == "no time yet"
    assert told[2] == "2026-01-01T11:00:00Z of one"
    assert told[3].startswith('2026-01-01T11:59:30.500000Z {"level"')


def test_a_limit_counts_over_all_that_comes() -> None:
    choice = LogOptions({"limitBytes": "12"}, Noon())
    assert (choice.of("0123456789"), choice.is_over) == (b"0123456789", False)
    assert (choice.of("abcdef"), choice.is_over) == (b"ab", True)


@pytest.mark.parametrize(
    ("line", "moment"),
    [
        ("2026-01-01T12:00:00Z x", NOON),
        ("[2026-01-01 12:00:00,000] x", NOON),
        ("2026-01-01T13:00:00+01:00 x", NOON),
        ('{"time": "2026-01-01T12:00:01Z"}', NOON + timedelta(seconds=1)),
        ('{"ts":"2026-99-01T12:00:01Z"}', None),
        ("x 2026-01-01T12:00:00Z", None),
        ("", None),
    ],
)
def test_the_time_of_a_line(line: str, moment: datetime | None) -> None:
    assert time_of(line) == moment


@pytest.mark.parametrize(
    "params",
    [{"sinceSeconds": "x"}, {"sinceTime": "now"}, {"sinceSeconds": "1", "sinceTime": "2026-01-01T00:00:00Z"}],
)
def test_wishes_that_make_no_sense_are_refused(params: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        LogOptions(params, Noon())


def test_the_beginning_of_time_is_no_error() -> None:
    assert chosen(sinceSeconds="999999999999") == LINES
