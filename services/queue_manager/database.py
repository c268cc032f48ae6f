"""The messages on disk: one SQLite file (WAL, synchronous=FULL), written by one thread, read when the service starts.

`queues`: a short number for each queue, by the uid of its resource. `messages`: what waits or is in flight; a row
goes when its message is deleted. `deduplications`: what FIFO queues remember for five minutes. `move_tasks`: by
the ARNs of their queues. Statements name
their columns: a newer version may have added some. Blocking.
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

OWN = FormatVersion(version=3, oldest_reader=1)
# Whoever commits the page that fills the log waits until all of it is copied: rarely, then.
_CHECKPOINT_PAGES = 8000
_LOG_BYTES = 64 << 20
_SPARE_PAGES, _PAGES_A_STEP = 1_000, 500
_TABLES = """
CREATE TABLE queues (number INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, fifo INTEGER NOT NULL);
CREATE TABLE messages (number INTEGER PRIMARY KEY, queue INTEGER NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL,
  sent INTEGER NOT NULL, due INTEGER NOT NULL, receives INTEGER NOT NULL, received INTEGER NOT NULL,
  taken INTEGER NOT NULL, receipt INTEGER NOT NULL, grp TEXT NOT NULL, dedup TEXT NOT NULL, sender TEXT NOT NULL,
  attributes TEXT NOT NULL, trace TEXT NOT NULL, origin TEXT NOT NULL);
CREATE TABLE deduplications (queue INTEGER, grp TEXT, dedup TEXT, id TEXT, number INTEGER, at INTEGER,
  PRIMARY KEY (queue, grp, dedup)) WITHOUT ROWID
"""


def _create_tables(db: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        db.execute(statement)


def _add_move_tasks(db: sqlite3.Connection) -> None:
    db.execute(
        "CREATE TABLE move_tasks (id TEXT PRIMARY KEY, source TEXT, destination TEXT, rate INTEGER, status TEXT,"
        " moved INTEGER, total INTEGER, reason TEXT, started INTEGER) WITHOUT ROWID"
    )


def _index_messages(db: sqlite3.Connection) -> None:
    """Who deletes a queue finds what is in it."""
    db.execute("CREATE INDEX messages_by_queue ON messages (queue)")


MIGRATIONS: Migrations = {1: _create_tables, 2: _add_move_tasks, 3: _index_messages}
FILE, LOCK = "queues.db", "queues.lock"


class AlreadyServed(RuntimeError):
    """Another process has these messages."""


class MessageDatabase:
    """Owned by one process: two would give the same message to two readers."""

    def __init__(self, folder: Path) -> None:
        """Raises AlreadyServed, and NewerFormat for a file that only a newer version reads."""
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(folder / LOCK)
        self.connection = sqlite3.connect(folder / FILE, isolation_level=None, check_same_thread=False)
        self.connection.execute(
            "PRAGMA auto_vacuum=INCREMENTAL"
        )  # before the first table: what is deleted is given back
        self.connection.execute("PRAGMA journal_mode=WAL")
        self.connection.execute("PRAGMA synchronous=FULL")
        self.connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        self.connection.execute(f"PRAGMA journal_size_limit={_LOG_BYTES}")
        self.begin()
        upgrade(self.connection, str(folder / FILE), OWN, MIGRATIONS)
        self.commit()

    def begin(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Durable at its end."""
        self.connection.execute("COMMIT")

    def rollback(self) -> None:
        if (
            self.connection.in_transaction
        ):  # SQLite itself ends one for which the disk has no room, but not every time
            self.connection.execute("ROLLBACK")

    def rows(self, sql: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        return iter(self.connection.execute(sql, values))

    def close(self) -> None:
        """Let go of the file, and of the lock last."""
        self.connection.close()
        os.close(self._lock)


def give_back(db: sqlite3.Connection) -> bool:
    """Let go of some space that deleted messages had, at the end of the transaction; a little is kept for the next
    ones. Returns whether there is more.
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
        raise AlreadyServed(f"another process serves {path.parent}: a queue has one, stop it first") from None
    return file
