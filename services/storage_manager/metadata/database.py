"""One SQLite file beside the blobs. Several replicas on one machine may share it.

Every public call of the index is one transaction (WAL, synchronous=FULL) and returns once it is durable. Blocking.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS data_keys (id TEXT PRIMARY KEY, bucket TEXT, wrapped BLOB, created REAL,
  master TEXT NOT NULL DEFAULT '', arn TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS newest_key ON data_keys (bucket, created);
CREATE TABLE IF NOT EXISTS objects (bucket TEXT, key TEXT, size INTEGER, etag TEXT, modified REAL,
  headers TEXT, pieces TEXT, PRIMARY KEY (bucket, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sizes ON objects (bucket, size);
CREATE TABLE IF NOT EXISTS uploads (id TEXT PRIMARY KEY, bucket TEXT, key TEXT, created REAL, headers TEXT);
CREATE TABLE IF NOT EXISTS parts (upload TEXT, number INTEGER, size INTEGER, etag TEXT, modified REAL,
  piece TEXT, sums TEXT, PRIMARY KEY (upload, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS finished (upload TEXT PRIMARY KEY, bucket TEXT, key TEXT, etag TEXT, at REAL);
CREATE TABLE IF NOT EXISTS closed (bucket TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS forgotten (blob TEXT PRIMARY KEY, since REAL);
"""
ADDED_COLUMNS = (
    ("parts", "sums", "TEXT"),
    ("data_keys", "master", "TEXT NOT NULL DEFAULT ''"),
    ("data_keys", "arn", "TEXT NOT NULL DEFAULT ''"),
)


class MetadataDb:
    """The file, one connection per thread, and the clock (seconds since 1970)."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path, self.clock = path, clock
        self._local = threading.local()
        self._db().executescript(SCHEMA)
        self._add_columns()

    def _db(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = sqlite3.connect(self._path, timeout=10, isolation_level=None)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            self._local.db = db
        return db

    def _add_columns(self) -> None:
        """Add columns that earlier files do not have."""
        with self._write() as db:
            for table, column, kind in ADDED_COLUMNS:
                known = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
                if column not in known:
                    db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        db = self._db()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def _mark_garbage(self, db: sqlite3.Connection, blobs: Iterable[str]) -> None:
        """Mark blobs that nothing names any more; readers that began earlier may still need them for a while."""
        now = self.clock()
        db.executemany("INSERT OR IGNORE INTO forgotten VALUES (?,?)", [(blob, now) for blob in blobs])
