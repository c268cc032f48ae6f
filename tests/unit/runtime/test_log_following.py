"""Reading a log on from a position: every line once, over rotations, whatever was written and however it is cut."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.runtime.process.log_following import read_after
from controller.runtime.process.logfiles import rotate, settle


def all_after(path: Path, position: str, most: int = 1 << 20) -> tuple[list[str], str]:
    lines: list[str] = []
    while True:
        found = read_after(path, position, most)
        lines, position = lines + found.lines, found.position
        if not found.lines:
            return lines, position


STEPS = st.lists(st.sampled_from(["write", "half", "rotate", "read"]), max_size=30)


@pytest.mark.parametrize("numbered", [True, False])
@given(STEPS, st.integers(40, 400))
def test_every_line_comes_once_over_rotations(numbered: bool, steps: list[str], most: int) -> None:
    """Also where all lines are the same."""
    with tempfile.TemporaryDirectory() as folder:
        path, position, number = Path(folder) / "web-0.log", "", 0
        read: list[str] = []
        unread = 0
        for step in [*steps, "write", "read"]:
            if step in ("write", "half"):
                number += 1
                with path.open("a") as file:
                    file.write(f"line {number if numbered else 0} ")
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
        expected = [str(each) if numbered else "0" for each in range(1, number + 1)]
        assert [each for each in words if each.isdigit()] == expected


def test_lines_that_repeat_are_counted_over_rotations(tmp_path: Path) -> None:
    """Also where the file is longer than it was when somebody read it last."""
    path, read = tmp_path / "web-0.log", 0
    path.write_text("tick\n" * 100)
    found = read_after(path, "")
    with path.open("a") as file:
        file.write("tick\n" * 1_700)
        file.flush()
        assert rotate(path, limit=0, keep=3)
        file.write("tick\n" * 300)
    read = len(found.lines)
    while found.more or read == 100:
        found = read_after(path, found.position)
        assert not found.lost
        read += len(found.lines)
    assert read == 2_100


def test_a_reader_beside_rotations_reads_each_line_once(tmp_path: Path) -> None:
    path, done = tmp_path / "web-0.log", threading.Event()

    def write() -> None:
        with path.open("a") as file:
            for number in range(900):
                file.write(f"{number}\n")
                if number % 10 == 9:
                    file.flush()
                    rotate(path, limit=0, keep=90)
        done.set()

    path.touch()
    writer = threading.Thread(target=write)
    writer.start()
    read, position, ended = [], "", False
    while not ended:
        ended = done.is_set()
        lines, position = all_after(path, position, most=200)
        read += lines
    writer.join()
    assert read == [str(number) for number in range(900)]


@pytest.mark.parametrize("kept", [0, 1, 3])
@pytest.mark.parametrize("killed_at", range(6))
def test_a_rotation_that_is_killed_neither_loses_nor_doubles_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int, kept: int
) -> None:
    path, position = tmp_path / "web-0.log", ""
    for number in range(kept):
        path.write_text(f"old {number}\n")
        assert rotate(path, limit=0, keep=3)
    path.write_text("one\ntwo\n")
    read, position = all_after(path, position)
    with path.open("a") as file:
        file.write("three\n")
    with monkeypatch.context() as patches:
        steps = itertools.count()
        for owner, name in ((shutil, "copyfile"), (os, "truncate"), (os, "utime"), (Path, "replace")):
            patches.setattr(owner, name, killed(getattr(owner, name), steps, killed_at))
        with contextlib.suppress(KeyboardInterrupt):
            rotate(path, limit=0, keep=3)
    with path.open("a") as file:
        file.write("four\n")
    settle(path, keep=3)
    lines, _ = all_after(path, position)
    assert lines == ["three", "four"]
    assert read == [*(f"old {number}" for number in range(kept)), "one", "two"]
    everything, _ = all_after(path, "")
    assert everything[-4:] == ["one", "two", "three", "four"]
    assert sorted(set(everything)) == sorted(everything)


def killed(step: Any, steps: Iterator[int], at: int) -> Any:
    """It, but the process ends before the step of that number."""

    def run(*args: Any, **kwargs: Any) -> Any:
        if next(steps) == at:
            raise KeyboardInterrupt
        return step(*args, **kwargs)

    return run


def test_a_rotation_that_finds_the_disk_full_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "web-0.log"
    path.write_text("one\n")
    position = read_after(path, "").position
    with path.open("a") as file, monkeypatch.context() as patches:
        file.write("two\n")
        file.flush()
        patches.setattr(shutil, "copyfile", no_space)
        assert rotate(path, limit=0, keep=3)
        file.write("three\n")
    found = read_after(path, position)
    assert (found.lines, found.lost) == (["three"], True)


def no_space(source: Path, to: Path) -> None:
    to.write_bytes(source.read_bytes()[:2])
    raise OSError(errno.ENOSPC, "no space")


def test_what_is_kept_no_more_is_told(tmp_path: Path) -> None:
    path = tmp_path / "web-0.log"
    path.write_text("one\n")
    position = read_after(path, "").position
    for text in ("two\n", "three\n"):
        path.write_text(text)
        assert rotate(path, limit=0, keep=1)
    found = read_after(path, position)
    assert (found.lines, found.lost) == (["three"], True)
    path.write_text("")
    assert rotate(path, limit=-1, keep=1)
    found = read_after(path, position)
    assert (found.lines, found.lost) == ([], True)
    found = read_after(path, found.position)
    assert (found.lines, found.lost) == ([], False)  # it is told once


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
