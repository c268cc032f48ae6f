"""The last lines, however long the file; old files up to a number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.runtime.log_order import in_order, moment_of, nanoseconds_of
from controller.runtime.process.logfiles import logged_instances, rotate, tail_of


@given(st.lists(st.text("abc", max_size=30), max_size=40), st.integers(0, 50), st.integers(0, 3000))
def test_the_tail_is_what_splitting_the_whole_would_give(tmp_path_factory, lines, count, padding):
    path = tmp_path_factory.mktemp("logs") / "web-0.log"
    lines = ["x" * 99] * padding + lines
    path.write_text("".join(line + "\n" for line in lines))
    assert tail_of(path, count) == (lines[-count:] if count else [])


def test_old_files_are_kept_up_to_a_number_and_read_on(tmp_path):
    path = tmp_path / "web-0.log"
    for round_ in "abcd":
        path.write_text(f"{round_}1\n{round_}2\n")
        assert rotate(path, limit=3, keep=2)
    path.write_text("e\n")
    assert not rotate(path, limit=3, keep=2)
    assert tail_of(path, 2) == ["d2", "e"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["web-0.log", "web-0.log.1", "web-0.log.2"]


def test_a_neighbour_with_a_longer_name_is_not_ours(tmp_path):
    folder = tmp_path / "logs" / "services"
    folder.mkdir(parents=True)
    for name in ("web-10", "web-2", "web-admin-0", "home.web-0"):
        (folder / f"{name}.log").touch()
    assert logged_instances(tmp_path, "web") == ["web-2", "web-10"]


def told(second, what):
    return f'{{"event": "{what}", "timestamp": "2026-11-28T10:00:{second:02}.5Z"}}'


def test_lines_of_several_instances_are_told_by_time():
    ended = [told(1, "a"), "Traceback (most recent call last):", "  boom", told(9, "b")]
    runs = ["a banner", told(2, "c"), told(30, "d")]
    silent = ["who says no time", "stands where its file ends"]
    assert in_order([(ended, 0), (runs, 0), (silent, moment_of(told(20, "x")))]) == [
        *ended[:3], "a banner", told(2, "c"), told(9, "b"), *silent, told(30, "d"),
    ]  # fmt: skip


@given(st.lists(st.lists(st.tuples(st.booleans(), st.integers(0, 59)), max_size=8), max_size=4))
def test_no_line_is_lost_and_none_of_one_instance_changes_places(logs):
    written = [
        [told(second, f"{which}.{at}") if timed else f"{which}.{at}" for at, (timed, second) in enumerate(lines)]
        for which, lines in enumerate(logs)
    ]
    merged = in_order([(lines, 0.0) for lines in written])
    assert sorted(merged) == sorted(line for lines in written for line in lines)
    for lines in written:
        assert [line for line in merged if line in lines] == lines


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("2026-11-28 10:00:01,250 INFO hello", None),  # of this machine's zone
        ("[2026-11-28T10:00:01Z] hello", 1795860001),
        ('{"a": 1, "ts": "2026-11-28T11:00:01+01:00"}', 1795860001),
        ('{"padding": "' + "x" * 5000 + '", "time": "2026-11-28T10:00:01Z"}', 1795860001),
        ("hello at 2026-11-28T10:00:01Z", None),
        ("2026-99-28T10:00:01Z", None),
        ("", None),
    ],
)
def test_where_a_line_says_its_time(line, seconds):
    found = moment_of(line)
    assert found == seconds or (seconds is None and line.startswith("2026-11-28 "))


@pytest.mark.parametrize("year", ["0001-01-01", "1969-12-31", "2300-01-01", "9999-12-31"])
@pytest.mark.parametrize("zone", ["Z", "", "+14:00", "-14:00"])
def test_a_time_that_no_clock_shows_is_none(year, zone):
    assert nanoseconds_of(f"{year}T00:00:00{zone} x") is None
    assert nanoseconds_of(f"2026-11-28T10:00:01{zone} x") is not None
