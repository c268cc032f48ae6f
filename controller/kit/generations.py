"""A key that takes turns: a file of its generations, the newest in use, the older ones for what was made with them.

    aerekos-key 1
    1 2026-05-01T10:00:00Z <32 bytes in base64>
    0 2025-11-28T19:35:04Z <32 bytes in base64>

A file of 32 raw bytes, as versions before this one made it, is generation 0. Numbers are never used again, so
what names its generation can be opened with that one or not at all.

A key may be wrapped by one that never leaves a PKCS#11 token (`controller.kit.pkcs11_token`); the file is then of
version 2, and holds `pkcs11:<base64>` in its place. Whoever reads it without the token knows that there is such a
generation, and not its key.
"""

from __future__ import annotations

import base64
import binascii
import errno
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from controller.kit.files import write_private

KEY_BYTES = 32
_HEAD, _HEAD_WRAPPED = b"aerekos-key 1", b"aerekos-key 2"
_WRAPPED = "pkcs11:"
_MOST = 2**31
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Generation:
    """One key. `made` is None where nobody wrote it down. `wrapped`: the key as a token wrapped it, whose own one is
    empty until `opened`.
    """

    number: int
    key: bytes
    made: datetime | None = None
    wrapped: bytes = b""

    def __repr__(self) -> str:  # the key never reaches a log
        return f"Generation({self.number})"


class Wrapping(Protocol):
    """`controller.kit.pkcs11_token.TokenKey`."""

    def wrap(self, key: bytes, number: int) -> bytes:
        """The key of that generation, wrapped. Raises OSError."""
        ...

    def unwrap(self, wrapped: bytes, number: int) -> bytes:
        """The key of that generation. Raises OSError."""
        ...


def parse(content: bytes, path: str = "the key file", *, closed: bool = False) -> tuple[Generation, ...]:
    """All generations, the newest first. Raises OSError, naming `path`, for anything but a whole key file, and for a
    wrapped key unless `closed` says that it may be one.
    """
    if len(content) == KEY_BYTES:
        return (Generation(0, content),)
    head, *lines = content.rstrip(b"\n").split(b"\n")
    found = [_line(line, wrapped=head == _HEAD_WRAPPED) for line in lines] if head in (_HEAD, _HEAD_WRAPPED) else []
    whole = [each for each in found if each is not None]
    numbers = [each.number for each in whole]
    falling = all(newer > older for newer, older in pairwise(numbers))
    marked = any(each.wrapped for each in whole) == (head == _HEAD_WRAPPED)
    if not whole or len(whole) != len(found) or not falling or not marked:  # a guessable key is worse than none
        raise OSError(errno.EINVAL, f"holds {len(content)} bytes and no whole key; put a backup in its place", path)
    if not closed and any(each.wrapped for each in whole):
        raise OSError(errno.EINVAL, "holds a key that a PKCS#11 token wrapped, and no token opens it here", path)
    return tuple(whole)


def read(path: Path, *, closed: bool = False) -> tuple[Generation, ...]:
    """`parse` of that file. Raises OSError."""
    return parse(path.read_bytes(), str(path), closed=closed)


def keep(path: Path, now: datetime, wrapping: Wrapping | None = None) -> tuple[Generation, ...]:
    """As `read`; made at the first call, wrapped if that is given. Raises OSError."""
    if not path.exists():
        write(path, [new(0, now, wrapping)])
    return read(path, closed=wrapping is not None)


def rotate(
    path: Path, now: datetime, wrapping: Wrapping | None = None, *, closed: bool = False
) -> tuple[Generation, ...]:
    """Another key on top of those that are there, on disk when this returns; wrapped if that is given. `closed`: as
    for `parse`. Raises OSError.
    """
    before = read(path, closed=closed)
    write(path, [new(before[0].number + 1, now, wrapping), *before])
    return read(path, closed=closed)


def opened(held: Sequence[Generation], wrapping: Wrapping | None) -> tuple[Generation, ...]:
    """Each with its key; none is wrapped any more. Raises OSError where a token is not given, or refuses."""
    if wrapping is None and (closed := next((each for each in held if each.wrapped), None)):
        raise OSError(errno.ENOKEY, f"generation {closed.number} is wrapped by a PKCS#11 token, which is not set up")
    return tuple(
        replace(each, key=wrapping.unwrap(each.wrapped, each.number), wrapped=b"")
        if wrapping and each.wrapped
        else each
        for each in held
    )


def drop_old(path: Path, *, closed: bool = False) -> tuple[Generation, ...]:
    """Drop all generations but the newest. What the others sealed is lost: ask first. `closed`: as for `parse`.
    Raises OSError.
    """
    write(path, read(path, closed=closed)[:1])
    return read(path, closed=closed)


def new(number: int, now: datetime, wrapping: Wrapping | None = None) -> Generation:
    """A random key with that number, wrapped if that is given. Raises OSError."""
    key = secrets.token_bytes(KEY_BYTES)
    return Generation(number, key, now, wrapping.wrap(key, number) if wrapping else b"")


def write(path: Path, generations: Sequence[Generation]) -> None:
    """Replace the file, durably. What the generations left out sealed is lost: ask first. Raises OSError."""
    write_private(path, text_of(generations))


def text_of(generations: Sequence[Generation]) -> bytes:
    """What `parse` reads."""
    head = _HEAD_WRAPPED if any(each.wrapped for each in generations) else _HEAD
    return b"\n".join([head, *(_text(each) for each in generations)]) + b"\n"


def _text(each: Generation) -> bytes:
    made = each.made.astimezone(UTC).strftime(_TIME) if each.made else "-"
    key = base64.b64encode(each.wrapped or each.key).decode()
    return f"{each.number} {made} {_WRAPPED if each.wrapped else ''}{key}".encode()


def _line(line: bytes, *, wrapped: bool) -> Generation | None:
    try:
        number, made, key = line.decode("ascii").split(" ")
        when = None if made == "-" else datetime.strptime(made, _TIME).replace(tzinfo=UTC)
        is_wrapped = wrapped and key.startswith(_WRAPPED)
        content = base64.b64decode(key.removeprefix(_WRAPPED) if is_wrapped else key, validate=True)
        found = Generation(int(number), b"" if is_wrapped else content, when, content if is_wrapped else b"")
    except (ValueError, binascii.Error):
        return None
    whole = bool(found.wrapped) or len(found.key) == KEY_BYTES
    return found if whole and 0 <= found.number < _MOST and number.isdigit() else None
