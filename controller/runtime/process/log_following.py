"""What was written to a log file since it was read last, over rotations and restarts of whoever reads.

A position says in which file a reader was, how far it came, and what stood before: `<began>.<offset>.<digest of the
256 bytes before it>`. A file began when the one before it ended (ns since 1970; 0 where there is none before it):
rotation (`logfiles.rotate`) moves it on, and what it has more is read there first. When the oldest file began is no
longer known: it is the one that was read if it has these bytes there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from controller.runtime.process.logfiles import ROTATING, old_file
from crds.numbers import whole_number

MOST_BYTES = 1 << 20
"""Read at once."""
_BEFORE = 256


class ReadLines(NamedTuple):
    """`more`: whether there may be more at once. `lost`: whether what the position meant is kept no more."""

    lines: list[str]
    position: str
    more: bool = False
    lost: bool = False


def mark_of(path: Path) -> str:
    """Another one whenever something was written; empty for no file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return ""
    return f"{found.st_size}.{found.st_mtime_ns}"


class _File(NamedTuple):
    path: Path
    began: int

    def read(self, offset: int, most: int) -> tuple[bytes, bytes]:
        """Up to `_BEFORE` bytes before the offset, fewer where it has fewer, and up to `most` from it on."""
        begin = max(offset - _BEFORE, 0)
        try:
            with self.path.open("rb") as file:
                file.seek(begin)
                content = file.read(offset - begin + most)
        except FileNotFoundError:
            content = b""
        return content[: offset - begin], content[offset - begin :]


class _Position(NamedTuple):
    began: int
    offset: int
    digest: str

    def is_in(self, file: _File) -> bool:
        before, _ = file.read(self.offset, 0)
        return len(before) == min(self.offset, _BEFORE) and _digest(before) == self.digest

    def __str__(self) -> str:
        return f"{self.began}.{self.offset}.{self.digest}"


def read_after(path: Path, position: str, most: int = MOST_BYTES) -> ReadLines:
    """Whole lines after that position (empty: all that is kept), oldest first. A line of more than `most` bytes comes
    in pieces. Raises ValueError for what is no position, OSError.
    """
    with ROTATING:
        files = _files(path)
        if not position:
            return _read_on(files, len(files) - 1, 0, most)
        at = _parsed(position)
        number = next((n for n, each in enumerate(files) if each.began == at.began), len(files) - 1)
        if at.is_in(files[number]):
            return _read_on(files, number, at.offset, most)
        return _read_on(files, number, 0, most)._replace(lost=True)


def _read_on(files: Sequence[_File], number: int, offset: int, most: int) -> ReadLines:
    """From there on, over files that have nothing more."""
    while True:
        file = files[number]
        before, content = file.read(offset, most)
        whole = _whole(content, most, ended=number > 0)
        if whole or number == 0:
            end = _Position(file.began, offset + len(whole), _digest((before + whole)[-_BEFORE:]))
            more = bool(whole) and (len(content) == most or number > 0)
            return ReadLines(_lines(whole) if whole else [], str(end), more)
        number, offset = number - 1, 0


def _parsed(text: str) -> _Position:
    began, offset, digest = text.split(".") if text.count(".") == 2 else ("", "", "")
    since, at = whole_number(began), whole_number(offset)
    if since is None or at is None or len(digest) != 16:
        raise ValueError(f"{text[:40]!r} is no position in a log")
    return _Position(since, at, digest)


def _files(path: Path) -> list[_File]:
    """The one that is written, then rotated ones, the newest first."""
    paths = [path]
    while (each := old_file(path, len(paths))).exists():
        paths.append(each)
    began = [each.stat().st_mtime_ns for each in paths[1:]]
    return [_File(*each) for each in zip(paths, [*began, 0], strict=True)]


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _whole(content: bytes, most: int, *, ended: bool) -> bytes:
    """Up to the end of the last line; all of it where a line has no end here."""
    if len(content) < most and ended:
        return content
    whole = content[: content.rfind(b"\n") + 1]
    return whole or (content if len(content) == most else b"")


def _lines(content: bytes) -> list[str]:
    return [line.decode(errors="replace").removesuffix("\r") for line in content.removesuffix(b"\n").split(b"\n")]
