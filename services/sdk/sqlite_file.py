"""A service's own SQLite file (WAL, synchronous=FULL), which one process has at a time and one thread writes.

Everything here blocks.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crds.formats import FormatVersion
from services.sdk.sqlite_schema import Migrations, upgrade

# Whoever commits the page that fills the log waits until all of it is copied: rarely, then.
_CHECKPOINT_PAGES = 8000
_LOG_BYTES = 64 << 20
_SPARE_PAGES, _PAGES_A_STEP = 1_000, 500


class AlreadyServed(RuntimeError):
    """Another process has that file."""


class SqliteFile:
    """Open, brought up to date, and locked against other processes by the file `lock`, which stays where it is."""

    def __init__(self, path: Path, lock: Path, own: FormatVersion, migrations: Migrations) -> None:
        """Raises AlreadyServed, and NewerFormat for a file that only a newer version reads."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(lock)
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # Before the first table: what is deleted is given back.
        self.connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=FULL")
        self.connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        self.connection.execute(f"PRAGMA journal_size_limit={_LOG_BYTES}")
        self.begin()
        upgrade(self.connection, str(path), own, migrations)
        self.commit()

    def begin(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Durable at its end."""
        self.connection.execute("COMMIT")

    def rollback(self) -> None:
        # SQLite itself ends one for which the disk has no room, but not every time.
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def rows(self, sql: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        return iter(self.connection.execute(sql, values))

    def close(self) -> None:
        """Let go of the file, and of the lock last."""
        self.connection.close()
        os.close(self._lock)


def give_back(db: sqlite3.Connection) -> bool:
    """Let go of some space that deleted rows had, at the end of the transaction; a little is kept for the next ones.
    Returns whether there is more.
    """
    spare = db.execute("PRAGMA freelist_count").fetchone()[0] - _SPARE_PAGES
    for _ in range(min(spare, _PAGES_A_STEP)):
        db.execute("PRAGMA incremental_vacuum(1)")  # a page for each call, whatever number is asked for
    return bool(spare > _PAGES_A_STEP)


def _locked(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise AlreadyServed(f"another process serves {path.parent}: its data has one, stop it first") from None
    return file
