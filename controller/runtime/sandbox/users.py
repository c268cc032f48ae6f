"""One OS user for each Service, the same as long as it has data: a number of a range nobody else gives out.

Each home has a block of its own, so two clouds of one machine do not share users. The numbers lie between those of
containers and the end of what tools take (systemd's UIDS-GIDS page calls them unused), and need no entry anywhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import threading
from pathlib import Path
from typing import Any

from controller.kit.files import write_private

FIRST, BLOCK, BLOCKS = 1_900_000_000, 256, 1 << 19
TRIAL = BLOCK - 1
"""The number of a block that no Service gets: what is tried out runs as it."""


class ServiceUsers:
    """Kept in `file`. Called from several threads."""

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, threading.Lock()

    def of(self, name: str) -> int:
        """The user of the Service of that name. Raises OSError when none is left, or the file cannot be written."""
        with self._lock:
            kept = self._read()
            numbers: dict[str, int] = kept["users"]
            if name not in numbers:
                if len(numbers) >= TRIAL:
                    raise OSError(f"{self._file}: all {TRIAL} users of this cloud are given out")
                given = set(numbers.values())
                numbers[name] = next(each for each in range(TRIAL) if each not in given)
                self._write(kept)
            return int(kept["base"]) + numbers[name]

    def give_back(self, name: str) -> None:
        """Nothing is there any more that belongs to it: its number may be another's. Whatever process still runs
        under it is ended first. Raises OSError.
        """
        with self._lock:
            kept = self._read()
            if name in kept["users"]:
                end_all_of(int(kept["base"]) + kept["users"].pop(name))
                self._write(kept)

    def trial(self) -> int:
        """A user id that belongs to nobody."""
        with self._lock:
            kept = self._read()
            if not self._file.exists():
                self._write(kept)
            return int(kept["base"]) + TRIAL

    def _read(self) -> dict[str, Any]:
        if self._file.exists():
            kept: dict[str, Any] = json.loads(self._file.read_bytes())
            return kept
        return {"base": FIRST + BLOCK * secrets.randbelow(BLOCKS), "users": {}}

    def _write(self, kept: dict[str, Any]) -> None:
        write_private(self._file, json.dumps(kept).encode())


def end_all_of(user: int) -> None:
    """SIGKILL to each process of that user, if we may."""
    for each in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if each.name.isdigit() and each.stat().st_uid == user:
                os.kill(int(each.name), signal.SIGKILL)


def give(folder: Path, user: int) -> None:
    """Give that folder and all in it to `user`, unreadable for others. Links are not followed. Raises OSError."""
    if folder.stat().st_uid != user:
        for _, folders, files, here in os.fwalk(folder):
            for name in (*folders, *files):
                os.chown(name, user, user, dir_fd=here, follow_symlinks=False)
        os.chown(folder, user, user)  # last: a walk that was broken off is begun again
    folder.chmod(0o700)
