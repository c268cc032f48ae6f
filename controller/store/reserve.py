"""Room that is kept for the day the disk is full: a file beside the database, given back so that there is room to
delete, to compact, and to say so.

The file is the whole memory of it, so whoever is killed at any moment goes on from there: of its full size, the room
is kept; shorter, it was given back and not taken again; absent, there was never enough.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Literal

import anyio
import structlog

from controller.kit.threads import BlockingExecutor
from controller.store.records import Store, StoreFull

SIZE = 16 << 20
LOW = 1 << 20
"""Bytes free, below which writes are about to fail."""
LOOK_SECONDS = 2.0
Turn = Literal["", "Full", "Ok"]
_log = structlog.get_logger(__name__)


class Reserve:
    """Blocking; every call may be repeated. Raises OSError for a folder that cannot be looked at."""

    def __init__(self, file: Path, size: int = SIZE) -> None:
        self._file, self._size = file, size
        self._plenty = 10 * size

    @property
    def is_held(self) -> bool:
        return self._length() >= self._size

    @property
    def is_given_back(self) -> bool:
        """Whether the disk was full and there is not enough room yet to keep some again."""
        return 0 <= self._length() < self._size

    def give_back(self) -> bool:
        """Whether there was something to give."""
        if not self.is_held:
            return False
        os.truncate(self._file, 0)
        return True

    def look(self, refused: bool) -> Turn:
        """Give back or take again, as the disk is now. `refused`: a write has just found no room, whatever the file
        system says of it (a quota).
        """
        free = self._free()
        if (refused or free < LOW) and self.give_back():
            return "Full"
        if free < self._plenty:
            return "Ok" if refused and not self.is_given_back and free >= self._size else ""
        was_full = refused or self.is_given_back
        if not self.is_held:
            self._take()
        return "Ok" if was_full else ""

    def _take(self) -> None:
        handle = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(handle, 0, self._size)
        finally:
            os.close(handle)

    def _free(self) -> int:
        seen = os.statvfs(self._file.parent)
        return seen.f_bavail * seen.f_frsize

    def _length(self) -> int:
        try:
            return self._file.stat().st_size
        except FileNotFoundError:
            return -1


async def watch_room(
    reserve: Reserve,
    store: Store,
    threads: BlockingExecutor,
    take_new: Callable[[bool], None],
    tell: Callable[[Turn], None],
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> None:
    """Watch the free room until cancelled. `take_new` hears whether there is room for more than changes and
    deletions; `tell`, when the disk got full and when that was over.
    """
    while True:
        looking = partial(_seen, reserve, isinstance(store.trouble, StoreFull))
        was_given_back, turn = await threads.run(looking)
        # What was given back is told of before new things are refused: an Event is a new thing.
        if was_given_back is not None:
            take_new(turn == "Ok" or not was_given_back)
        if turn:
            _log.warning("the disk is full" if turn == "Full" else "there is room on the disk again")
            tell(turn)
        await sleep(LOOK_SECONDS)


def _seen(reserve: Reserve, refused: bool) -> tuple[bool | None, Turn]:
    """Whether the room was given back before this look, None when nobody can tell, and what turned with it."""
    before: bool | None = None
    try:
        before = reserve.is_given_back
        return before, reserve.look(refused)
    except OSError as odd:
        _log.warning("the disk cannot be looked at", because=str(odd))
        return before, ""
