"""Reading a log on from a position: every line once, over rotations, whatever was written and however it is cut."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.runtime.process.log_following import read_after
from controller.runtime.process.logfiles import rotate


def all_after(path: Path, position: str, most: int = 1 << 20) -> tuple[list[str], str]:
    lines: list[str] = []
    while True:
        found = read_after(path, position, most)
        lines, position = lines + found.lines, found.position
        if not found.lines:
            return lines, position


STEPS = st.lists(st.sampled_from(["write", "half", "rotate", "read"]), max_size=30)


@given(STEPS, st.integers(40, 400))
def test_every_line_comes_once_over_rotations(steps: list[str], most: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path, position, number = Path(folder) / "web-0.log", "", 0
        read: list[str] = []
        unread = 0
        for step in [*steps, "write", "read"]:
            if step in ("write", "half"):
                number += 1
                with path.open("a") as file:
                    file.write(f"line {number} ")
                    file.write("" if step == "half" else "end\n")
            elif step == "rotate":
                # Of what is read in time nothing may be lost: three files are kept.
                unread += rotate(path, limit=0, keep=3)
                if unread == 3:
                    lines, position = all_after(path, position, most)
                    read, unread = read + lines, 0
            else:
                lines, position = all_after(path, position, most)
                read, unread = read + lines, 0
        words = " ".join(read).split()
        assert [each for each in words if each.isdigit()] == [str(each) for each in range(1, number + 1)]


def test_what_is_kept_no_more_is_told(tmp_path: Path) -> None:
    path = tmp_path / "web-0.log"
    path.write_text("one\n")
    position = read_after(path, "").position
    for text in ("two\n", "three\n"):
        path.write_text(text)
        assert rotate(path, limit=0, keep=1)
    found = read_after(path, position)
    assert (found.lines, found.lost) == (["three"], True)


def test_a_line_without_an_end_is_waited_for_and_one_that_is_too_long_comes_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "web-0.log"
    path.write_text("whole\nhal")
    found = read_after(path, "", most=9)
    assert found.lines == ["whole"]
    path.write_text("whole\nhalf, and then more\n")
    found = read_after(path, found.position, most=9)
    assert (found.lines, found.more) == (["half, and"], True)
    assert read_after(path, found.position).lines == [" then more"]
    with pytest.raises(ValueError):
        read_after(path, "7.nonsense")
