"""One SQLite file beside the blobs. Several replicas on one machine may share it.

Every public call of the index is one transaction (WAL, synchronous=FULL) and returns once it is durable. Blocking.
Statements name their columns: a newer version may have added some, and this one goes on working beside them.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from crds.formats import FormatVersion
from services.sdk.sqlite_schema import Migrations, add_column, upgrade
from services.storage_manager.errors import S3Error

# An older program would not find small blobs, and would take those of versions for garbage.
OWN = FormatVersion(version=7, oldest_reader=4)
TABLES = """
CREATE TABLE data_keys (id TEXT PRIMARY KEY, bucket TEXT, wrapped BLOB, created REAL);
CREATE INDEX newest_key ON data_keys (bucket, created);
CREATE TABLE objects (bucket TEXT, key TEXT, size INTEGER, etag TEXT, modified REAL,
  headers TEXT, pieces TEXT, PRIMARY KEY (bucket, key)) WITHOUT ROWID;
CREATE INDEX sizes ON objects (bucket, size);
CREATE TABLE uploads (id TEXT PRIMARY KEY, bucket TEXT, key TEXT, created REAL, headers TEXT);
CREATE TABLE parts (upload TEXT, number INTEGER, size INTEGER, etag TEXT, modified REAL,
  piece TEXT, PRIMARY KEY (upload, number)) WITHOUT ROWID;
CREATE TABLE finished (upload TEXT PRIMARY KEY, bucket TEXT, key TEXT, etag TEXT, at REAL);
CREATE TABLE closed (bucket TEXT PRIMARY KEY);
CREATE TABLE forgotten (blob TEXT PRIMARY KEY, since REAL)
"""
# `objects` has what a listing shows: the current version of each key that is not deleted. `versions` has all others,
# delete markers among them, newest first.
VERSION_TABLES = """
CREATE TABLE versions (bucket TEXT, key TEXT, sequence INTEGER, version TEXT, marker INTEGER, size INTEGER, etag TEXT,
  modified REAL, headers TEXT, pieces TEXT, attributes TEXT, PRIMARY KEY (bucket, key, sequence DESC)) WITHOUT ROWID;
CREATE INDEX version_sizes ON versions (bucket, size);
CREATE TABLE configurations (bucket TEXT, name TEXT, version INTEGER, document TEXT,
  PRIMARY KEY (bucket, name)) WITHOUT ROWID
"""


def _create_tables(db: sqlite3.Connection) -> None:
    for statement in TABLES.split(";"):
        db.execute(statement)


def _add_checksums_and_master_keys(db: sqlite3.Connection) -> None:
    add_column(db, "parts", "sums", "TEXT")
    add_column(db, "data_keys", "master", "TEXT NOT NULL DEFAULT ''")
    add_column(db, "data_keys", "arn", "TEXT NOT NULL DEFAULT ''")


def _add_versions_and_configurations(db: sqlite3.Connection) -> None:
    """Objects of before are null versions."""
    for table in ("objects", "uploads"):
        add_column(db, table, "attributes", "TEXT NOT NULL DEFAULT '{}'")
    for table in ("objects", "finished"):
        add_column(db, table, "version", "TEXT NOT NULL DEFAULT ''")
    add_column(db, "objects", "sequence", "INTEGER NOT NULL DEFAULT 0")
    for statement in VERSION_TABLES.split(";"):
        db.execute(statement)


def _add_small_blobs(db: sqlite3.Connection) -> None:
    """Where small blobs lie (`segment_index.py`); `now_...` of those that were moved."""
    db.execute(
        "CREATE TABLE small_blobs (segment INTEGER, offset INTEGER, size INTEGER, now_segment INTEGER,"
        " now_offset INTEGER, PRIMARY KEY (segment, offset)) WITHOUT ROWID"
    )
    db.execute("CREATE INDEX moved_blobs ON small_blobs (now_segment) WHERE now_segment IS NOT NULL")


def _add_times_of_wrapping(db: sqlite3.Connection) -> None:
    add_column(db, "data_keys", "wrapped_at", "REAL")  # empty: when it was made


def _add_replication(db: sqlite3.Connection) -> None:
    """What changed, for those who follow; who they are; and, in a copy, how far it follows (`replication/`)."""
    db.execute("CREATE TABLE changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, pk TEXT)")
    db.execute("CREATE TABLE replication (id INTEGER PRIMARY KEY CHECK (id = 1), epoch TEXT)")
    db.execute("CREATE TABLE followers (name TEXT PRIMARY KEY, applied INTEGER) WITHOUT ROWID")
    db.execute("CREATE TABLE followed (id INTEGER PRIMARY KEY CHECK (id = 1), epoch TEXT, applied INTEGER)")


def _add_events(db: sqlite3.Connection) -> None:
    """What is to be told of changes (`notifications/outbox.py`)."""
    db.execute(
        "CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, bucket TEXT, name TEXT, namespace TEXT,"
        " target TEXT, body TEXT, recorded REAL)"
    )
    db.execute("CREATE INDEX routes_of_events ON events (bucket, name, namespace, target, id)")


MIGRATIONS: Migrations = {
    1: _create_tables,
    2: _add_checksums_and_master_keys,
    3: _add_versions_and_configurations,
    4: _add_small_blobs,
    5: _add_times_of_wrapping,
    6: _add_replication,
    7: _add_events,
}


class MetadataDb:
    """The file, one connection per thread, and the clock (seconds since 1970)."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """Raises NewerFormat for a file that only a newer version reads."""
        self._path, self.clock = path, clock
        self._local = threading.local()
        with self._write() as db:
            upgrade(db, str(path), OWN, MIGRATIONS)

    def _db(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = sqlite3.connect(self._path, timeout=10, isolation_level=None)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA wal_autocheckpoint=4000")  # whoever commits the 4,000th page waits for all of them
            self._local.db = db
        return db

    def connection(self) -> sqlite3.Connection:
        """This thread's own."""
        return self._db()

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """One transaction of whatever is written inside; durable at its end."""
        return self._write()

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """Inside another one, it joins that."""
        db = self._db()
        if db.in_transaction:
            yield db
            return
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # SQLite itself ends one for which the disk has no room, but not every time
                db.execute("ROLLBACK")
            raise

    def _require_open(self, db: sqlite3.Connection, bucket: str) -> None:
        if db.execute("SELECT 1 FROM closed WHERE bucket=?", (bucket,)).fetchone():
            raise S3Error("NoSuchBucket", "the bucket is being deleted")

    def _mark_garbage(self, db: sqlite3.Connection, blobs: Iterable[str]) -> None:
        """Mark blobs that nothing names any more; readers that began earlier may still need them for a while."""
        now = self.clock()
        db.executemany("INSERT OR IGNORE INTO forgotten (blob, since) VALUES (?,?)", [(blob, now) for blob in blobs])
