"""Volumes of the process runtime after the Service they belong to is gone, and how much they hold. Blocking.

What people delete by mistake is wanted again within days: it is moved to `trash/`, and removed a week later. A
restore is the move back, before the Service is made again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from controller.runtime.process.planning import base_name
from crds.meta import ObjectKey

KEPT = timedelta(days=7)
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class Trashed:
    """The data of one Service that is gone. `name` is its folder's name below `data/`."""

    path: Path
    name: str
    since: datetime

    @property
    def until(self) -> datetime:
        return self.since + KEPT


def trash(home: Path) -> Path:
    """Where they lie."""
    return home / "trash"


def discard(home: Path, key: ObjectKey, now: datetime) -> Trashed | None:
    """Move the data of that Service to the trash. None when it had none. Raises OSError."""
    folder = home / "data" / base_name(key)
    if not folder.is_dir():
        return None
    place = trash(home)
    place.mkdir(mode=0o700, exist_ok=True)
    since = now.astimezone(UTC).replace(microsecond=0)
    while (target := place / f"{since.strftime(_STAMP)}-{folder.name}").exists():
        since += timedelta(seconds=1)
    folder.rename(target)
    return Trashed(target, folder.name, since)


def trashed(home: Path) -> list[Trashed]:
    """All there is, oldest first. What has no time in its name is not ours."""
    return sorted(_trashed(home), key=lambda each: each.since)


def _trashed(home: Path) -> Iterator[Trashed]:
    with suppress(FileNotFoundError):
        for path in trash(home).iterdir():
            stamp, _, name = path.name.partition("-")
            with suppress(ValueError):
                yield Trashed(path, name, datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC))


def sweep(home: Path, now: datetime) -> list[Trashed]:
    """Remove what has lain there for a week."""
    old = [each for each in trashed(home) if each.until <= now]
    for each in old:
        shutil.rmtree(each.path, ignore_errors=True)
    return old


def used(folder: Path) -> int:
    """Bytes on the disk of all that is in that folder. What goes away meanwhile does not count; links count alone."""
    total, seen = 0, set[tuple[int, int]]()
    for here, folders, files, at in os.fwalk(folder, follow_symlinks=False):
        del here
        for name in (*folders, *files):
            with suppress(OSError):
                state = os.stat(name, dir_fd=at, follow_symlinks=False)
                if (state.st_dev, state.st_ino) not in seen or state.st_nlink == 1:
                    seen.add((state.st_dev, state.st_ino))
                    total += state.st_blocks * 512
    return total
