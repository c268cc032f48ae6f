"""Lines of the audit log that are written together: all of them, in order, over files and full disks."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from api.audit.chain import Chain, verify
from api.audit.journal import Journal, lines_of, rotated_files
from controller.kit.clock import SystemClock

KEY = b"k" * 32
TEXT = b'{"code":200}'


class Gathering:
    """A journal whose lines wait, and what it asked to be called."""

    def __init__(self, folder: Path, limit_bytes: int = 2**20) -> None:
        self.asked: list[Callable[[], object]] = []
        self.journal = Journal(folder / "audit.log", SystemClock(), Chain(KEY), limit_bytes=limit_bytes)
        self.journal.gather(self.asked.append)

    def append(self, lines: int) -> None:
        for _ in range(lines):
            self.journal.append(TEXT)

    def read(self) -> tuple[int, list[str]]:
        """How many lines there are, and what is wrong with them."""
        found = verify(Chain(KEY), lines_of([*self.journal.rotated(), self.journal.path]), self.journal.link)
        return found.lines, found.faults


def test_a_turn_s_lines_are_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gathering, writes, write = Gathering(tmp_path), list[int](), os.write

    def noting(file: int, data: bytes) -> int:
        writes.append(len(data))
        return write(file, data)

    monkeypatch.setattr(os, "write", noting)
    gathering.append(5)
    assert gathering.journal.path.read_bytes() == b""
    (flush,) = gathering.asked
    flush()
    assert len(writes) == 1
    assert gathering.read() == (5, [])


def test_what_was_flushed_already_is_not_written_again(tmp_path: Path) -> None:
    gathering = Gathering(tmp_path)
    gathering.append(3)
    gathering.journal.flush()
    gathering.append(2)
    for flush in gathering.asked:
        flush()
    assert gathering.read() == (5, [])


def test_files_are_named_after_their_first_line(tmp_path: Path) -> None:
    gathering = Gathering(tmp_path, limit_bytes=150)
    for _ in range(4):
        gathering.append(3)
        gathering.journal.flush()
    names = [int(each.suffix[1:]) for each in rotated_files(gathering.journal.path)]
    assert names == [1, 4, 7, 10]
    assert gathering.read() == (12, [])


def test_a_disk_that_takes_some_of_them_gets_the_others_later(tmp_path: Path) -> None:
    gathering, (soft, hard) = Gathering(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
    gathering.append(4)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, hard))
    try:
        gathering.journal.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert gathering.journal.failure
    assert gathering.journal.path.read_bytes().count(b"\n") == 2
    gathering.append(1)
    assert not gathering.journal.failure
    assert gathering.read() == (5, [])
