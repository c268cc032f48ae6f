"""A key that takes turns: a file of its generations, the newest in use, the older ones for what was made with them.

    aerekos-key 1
    1 2026-05-01T10:00:00Z <32 bytes in base64>
    0 2025-11-28T19:35:04Z <32 bytes in base64>

A file of 32 raw bytes, as versions before this one made it, is generation 0. Numbers are never used again, so
what names its generation can be opened with that one or not at all.
"""

from __future__ import annotations

import base64
import binascii
import errno
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from controller.kit.files import write_private

KEY_BYTES = 32
_HEAD = b"aerekos-key 1"
_MOST = 2**31
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Generation:
    """One key. `made` is None where nobody wrote it down."""

    number: int
    key: bytes
    made: datetime | None = None

    def __repr__(self) -> str:  # the key never reaches a log
        return f"Generation({self.number})"


def parse(content: bytes, path: str = "the key file") -> tuple[Generation, ...]:
    """All generations, the newest first. Raises OSError, naming `path`, for anything but a whole key file."""
    if len(content) == KEY_BYTES:
        return (Generation(0, content),)
    head, *lines = content.rstrip(b"\n").split(b"\n")
    found = [_line(line) for line in lines] if head == _HEAD else []
    whole = [each for each in found if each is not None]
    numbers = [each.number for each in whole]
    falling = all(newer > older for newer, older in pairwise(numbers))
    if not whole or len(whole) != len(found) or not falling:  # a guessable key is worse than none
        raise OSError(errno.EINVAL, f"holds {len(content)} bytes and no whole key; put a backup in its place", path)
    return tuple(whole)


def read(path: Path) -> tuple[Generation, ...]:
    """All generations of that file. Raises OSError."""
    return parse(path.read_bytes(), str(path))


def keep(path: Path, now: datetime) -> tuple[Generation, ...]:
    """As `read`; made at the first call."""
    if not path.exists():
        write(path, [new(0, now)])
    return read(path)


def rotate(path: Path, now: datetime) -> tuple[Generation, ...]:
    """Another key on top of those that are there, on disk when this returns. Raises OSError."""
    before = read(path)
    write(path, [new(before[0].number + 1, now), *before])
    return read(path)


def drop_old(path: Path) -> tuple[Generation, ...]:
    """Drop all generations but the newest. What the others sealed is lost: ask first. Raises OSError."""
    write(path, read(path)[:1])
    return read(path)


def new(number: int, now: datetime) -> Generation:
    """A random key with that number."""
    return Generation(number, secrets.token_bytes(KEY_BYTES), now)


def write(path: Path, generations: Sequence[Generation]) -> None:
    """Replace the file, durably. What the generations left out sealed is lost: ask first. Raises OSError."""
    lines = [_HEAD, *(_text(each) for each in generations)]
    write_private(path, b"\n".join(lines) + b"\n")


def _text(each: Generation) -> bytes:
    made = each.made.astimezone(UTC).strftime(_TIME) if each.made else "-"
    return f"{each.number} {made} {base64.b64encode(each.key).decode()}".encode()


def _line(line: bytes) -> Generation | None:
    try:
        number, made, key = line.decode("ascii").split(" ")
        when = None if made == "-" else datetime.strptime(made, _TIME).replace(tzinfo=UTC)
        found = Generation(int(number), base64.b64decode(key, validate=True), when)
    except (ValueError, binascii.Error):
        return None
    return found if len(found.key) == KEY_BYTES and 0 <= found.number < _MOST and number.isdigit() else None
