"""Log lines for people: readable, in their own time zone, and never obeyed by a terminal."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.resources.log_lines import pretty
from cli.resources.moments import read_duration
from controller.main.errors import Misuse

LINE = {
    "timestamp": "2026-01-01T11:00:00.5Z",
    "level": "warning",
    "event": "answered",
    "instance": "web-0",
    "status": 500,
    "requestId": "noise",
}
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=20)


def test_a_json_line_becomes_words(monkeypatch: pytest.MonkeyPatch) -> None:
    text = pretty(json.dumps(LINE), colour=False)
    assert re.fullmatch(r"\d\d-\d\d \d\d:\d\d:00\.500 web-0 WARNING answered status=500", text)
    assert pretty(json.dumps(LINE), colour=True) == f"\x1b[33m{text}\x1b[0m"


@pytest.mark.parametrize("line", ["plain words", '{"no": "event"}', "{broken", "[1]", "", '{"event": 1}x'])
def test_other_lines_stay_as_they_are(line: str) -> None:
    assert pretty(line, colour=True) == line


@given(st.text() | st.dictionaries(st.sampled_from([*LINE, "other"]), SCALARS).map(json.dumps))
def test_nothing_a_service_writes_steers_a_terminal(line: str) -> None:
    shown = pretty(line, colour=False)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("30s", 30), ("15m", 900), ("1h30m", 5400), ("2d", 172_800)]
)
def test_durations(text: str, seconds: int) -> None:
    assert read_duration(text, "--since") == seconds


@given(st.text(max_size=8))
def test_what_is_no_duration_is_refused(text: str) -> None:
    if re.fullmatch(r"[0-9]{1,8}|([0-9]+[smhd])+", text):
        assert read_duration(text, "--since") >= 0
    elif not text.isdigit():
        with pytest.raises(Misuse):
            read_duration(text, "--since")
