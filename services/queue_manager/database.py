"""The messages on disk: one SQLite file (WAL, synchronous=FULL), written by one thread, read when the service starts.

`queues`: a short number for each queue, by the uid of its resource. `messages`: what waits or is in flight; a row
goes when its message is deleted. `deduplications`: what FIFO queues remember for five minutes. `move_tasks`: by
the ARNs of their queues. Statements name
their columns: a newer version may have added some. Blocking.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from crds.formats import FormatVersion
from services.sdk.sqlite_file import SqliteFile
from services.sdk.sqlite_schema import Migrations

OWN = FormatVersion(version=3, oldest_reader=1)
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


class MessageDatabase(SqliteFile):
    """Owned by one process: two would give the same message to two readers."""

    def __init__(self, folder: Path) -> None:
        """Raises AlreadyServed, and NewerFormat for a file that only a newer version reads."""
        super().__init__(folder / FILE, folder / LOCK, OWN, MIGRATIONS)
