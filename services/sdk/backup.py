"""What a service that keeps data offers whoever backs it up: the files of one moment, and a look at what came back.

Named in the manifest (`backup="services.notes_manager.backup:HOOKS"`) and called by the conductor's side, on the data
folder itself: beside a service that goes on serving, or where none runs. State that is resources needs nothing here:
the store is in every backup.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol


class SnapshotFile(NamedTuple):
    """One file of a snapshot: its path in the data folder, and the folder in which it lies under that path now."""

    name: str
    root: Path


@dataclass(frozen=True, slots=True)
class DataSnapshot:
    """`counts`: what is in it, by names of the service's own (`objects`); `restored` must count the same."""

    files: Sequence[SnapshotFile]
    counts: dict[str, int] = field(default_factory=dict)


class BackupHooks(Protocol):
    """Both block, and are called in a process that is not the service's. `format`: of what is in the files, raised
    when code of before could not read them; a backup of a newer format is refused.
    """

    format: int

    def snapshot(self, data: Path, scratch: Path) -> DataSnapshot:
        """The files that together are the data at one moment: those that never change where they are, copies of all
        others in `scratch`. Whoever calls reads them at once, and calls again when one has gone by then.

        Raises OSError or ValueError when the data cannot be read.
        """
        ...

    def restored(self, data: Path) -> dict[str, int]:
        """Look at what was put into an empty data folder, before anybody serves it, and change what must not be the
        same twice. Returns the counts. Raises ValueError for what is broken.
        """
        ...


@dataclass(slots=True)
class SqliteBackup:
    """As `BackupHooks`, for a service whose data are one SQLite file, `file` in its data folder. `counted`: a query
    for each of its counts. `beside`: files that come along where they are there, and never change.
    """

    format: int
    file: str
    counted: Mapping[str, str]
    beside: Sequence[str] = ()

    def snapshot(self, data: Path, scratch: Path) -> DataSnapshot:
        copied = copy_database(data, self.file, scratch)
        kept = [SnapshotFile(each, data) for each in self.beside if is_plain_file(data / each)]
        return DataSnapshot(kept) if copied is None else DataSnapshot([copied, *kept], self._counts(scratch))

    def restored(self, data: Path) -> dict[str, int]:
        if not (data / self.file).exists():
            return {}
        check_database(data / self.file)
        return self._counts(data)

    def _counts(self, folder: Path) -> dict[str, int]:
        with closing(sqlite3.connect(folder / self.file)) as db:
            return {name: db.execute(query).fetchone()[0] for name, query in self.counted.items()}


def is_plain_file(path: Path) -> bool:
    """Whether a file is there that is no link, named pipe or folder."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def copy_database(data: Path, name: str, scratch: Path) -> SnapshotFile | None:
    """A SQLite file as it is at one moment; None where there is none. Writers are not held up.

    Pages stay in their places, so most of a later copy is what was stored before. Raises OSError, sqlite3.Error.
    """
    try:
        before = (data / name).lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(before.st_mode):
        raise OSError(f"{data / name} is no file")
    target = scratch / name
    with closing(_connected(data / name)) as source, closing(sqlite3.connect(target)) as copy:
        source.execute("PRAGMA trusted_schema=OFF")
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, whatever it was there
    if not os.path.samestat(before, (data / name).lstat()):
        raise OSError(f"{data / name} was replaced while it was read")
    return SnapshotFile(name, scratch)


def check_database(file: Path) -> None:
    """Raises ValueError for one that SQLite calls damaged."""
    try:
        with closing(_connected(file)) as db:
            found = [row[0] for row in db.execute("PRAGMA quick_check(5)")]
    except sqlite3.Error as error:
        raise ValueError(f"{file.name} cannot be read: {error}") from error
    if found != ["ok"]:
        raise ValueError(f"{file.name} is damaged: {'; '.join(found)}")


def _connected(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=10)
