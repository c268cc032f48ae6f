"""What was written to a log file since it was read last, over rotations and restarts of whoever reads.

A position says how far a reader came and what stood before: `<offset>.<digest of the 256 bytes before it>`. Rotation
copies a file to `<name>.1` and empties it (`logfiles.rotate`), so a file that does not have these bytes there is not
the one that was read: an older one is, and what it has more comes first.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

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


def read_after(path: Path, position: str, most: int = MOST_BYTES) -> ReadLines:
    """Whole lines after that position (empty: all that is kept), oldest first. A line of more than `most` bytes comes
    in pieces. Raises ValueError for what is no position, OSError.
    """
    offset, digest = _parsed(position)
    files = [path, *_older(path)]
    found = next((at for at, file in enumerate(files) if position and _is_at(file, offset, digest)), None)
    lost = bool(position) and found is None
    at, offset = (len(files) - 1, 0) if found is None else (found, offset)
    for number in range(at, -1, -1):
        content = _read(files[number], offset, most)
        whole = _whole(content, most, ended=number > 0)
        if whole:
            end = offset + len(whole)
            more = len(content) == most or number > 0
            return ReadLines(_lines(whole), _position(files[number], end), more, lost)
        offset = 0
    return ReadLines([], position, lost=lost)


def _parsed(position: str) -> tuple[int, str]:
    if not position:
        return 0, ""
    offset, dot, digest = position.partition(".")
    if not (dot and offset.isascii() and offset.isdigit() and len(offset) < 16 and len(digest) == 16):
        raise ValueError(f"{position[:40]!r} is no position in a log")
    return int(offset), digest


def _older(path: Path) -> list[Path]:
    """Rotated files, the newest first."""
    found: list[Path] = []
    while (each := path.with_name(f"{path.name}.{len(found) + 1}")).exists():
        found.append(each)
    return found


def _is_at(path: Path, offset: int, digest: str) -> bool:
    begin = max(offset - _BEFORE, 0)
    before = _read(path, begin, offset - begin)
    return len(before) == offset - begin and _digest(before) == digest


def _position(path: Path, offset: int) -> str:
    begin = max(offset - _BEFORE, 0)
    return f"{offset}.{_digest(_read(path, begin, offset - begin))}"


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _read(path: Path, offset: int, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(most)
    except FileNotFoundError:
        return b""


def _whole(content: bytes, most: int, *, ended: bool) -> bytes:
    """Up to the end of the last line; all of it where a line has no end here."""
    if len(content) < most and ended:
        return content
    whole = content[: content.rfind(b"\n") + 1]
    return whole or (content if len(content) == most else b"")


def _lines(content: bytes) -> list[str]:
    return [line.decode(errors="replace").removesuffix("\r") for line in content.removesuffix(b"\n").split(b"\n")]
