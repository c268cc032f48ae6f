"""The file of the samples, in SQL: functions for the committer's thread, each part of one transaction.

`series`: labels by number. `batches`: samples as they were acknowledged, until they are in chunks. `chunks`: samples
of one series, `first` to `last` in ms. `documents`: what else is to be remembered, by name. Statements
name their columns: a newer version may have added some.
"""

from __future__ import annotations

import sqlite3
import zlib
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

from crds.formats import FormatVersion
from services.metrics_manager.promql.labels import Labels
from services.sdk.sqlite_file import SqliteFile, give_back
from services.sdk.sqlite_schema import Migrations

OWN = FormatVersion(version=1, oldest_reader=1)
FILE, LOCK = "metrics.db", "metrics.lock"
_STEP = 5_000
_TABLES = """
CREATE TABLE series (id INTEGER PRIMARY KEY, labels TEXT NOT NULL UNIQUE);
CREATE TABLE batches (number INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE chunks (number INTEGER PRIMARY KEY, series INTEGER NOT NULL, first INTEGER NOT NULL,
  last INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX chunks_of ON chunks (series, last);
CREATE INDEX chunks_by_age ON chunks (last);
CREATE TABLE documents (name TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID
"""


def _create(db: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        db.execute(statement)


MIGRATIONS: Migrations = {1: _create}


def open_metrics(folder: Path) -> SqliteFile:
    """Raises AlreadyServed, and NewerFormat for a file that only a newer version reads."""
    return SqliteFile(folder / FILE, folder / LOCK, OWN, MIGRATIONS)


class Batch(NamedTuple):
    """Samples of several series, as three columns: numbers of series, times in ms, values."""

    series: array[int]
    times: array[int]
    values: array[float]


class Chunk(NamedTuple):
    series: int
    first: int
    last: int
    data: bytes


def batch_bytes(batch: Batch) -> bytes:
    head = len(batch.series).to_bytes(8, "little")
    return zlib.compress(head + batch.series.tobytes() + batch.times.tobytes() + batch.values.tobytes(), 1)


def batch_of(data: bytes) -> Batch:
    raw = zlib.decompress(data)
    size = int.from_bytes(raw[:8], "little") * 8
    series, times, values = array("q"), array("q"), array("d")
    series.frombytes(raw[8 : 8 + size])
    times.frombytes(raw[8 + size : 8 + 2 * size])
    values.frombytes(raw[8 + 2 * size :])
    return Batch(series, times, values)


def labels_text(labels: Labels) -> str:
    return orjson.dumps(dict(labels)).decode()


def add_series(db: sqlite3.Connection, series: Iterable[tuple[int, str]]) -> None:
    """Those that are there already stay."""
    db.executemany("INSERT OR IGNORE INTO series (id, labels) VALUES (?, ?)", series)


def add_batch(db: sqlite3.Connection, number: int, data: bytes) -> None:
    db.execute("INSERT INTO batches (number, data) VALUES (?, ?)", (number, data))


def put_chunks(db: sqlite3.Connection, chunks: Sequence[Chunk], up_to: int) -> None:
    """Chunks in the place of the batches they were made of."""
    db.executemany("INSERT INTO chunks (series, first, last, data) VALUES (?, ?, ?, ?)", chunks)
    db.execute("DELETE FROM batches WHERE number <= ?", (up_to,))


def forget_before(db: sqlite3.Connection, moment: int) -> bool:
    """Let go of some chunks that end before that moment. Whether there may be more."""
    query = "DELETE FROM chunks WHERE number IN (SELECT number FROM chunks WHERE last < ? ORDER BY last LIMIT ?)"
    gone = db.execute(query, (moment, _STEP)).rowcount
    more = give_back(db)
    return gone == _STEP or more


def oldest_after(db: sqlite3.Connection, part: float) -> int | None:
    """The moment before which that part of the chunks ends; None without any."""
    count = db.execute("SELECT count(*) FROM chunks").fetchone()[0]
    row = db.execute("SELECT last FROM chunks ORDER BY last LIMIT 1 OFFSET ?", (int(count * part),)).fetchone()
    return None if row is None else int(row[0])


def forget_series(db: sqlite3.Connection, candidates: Sequence[int]) -> list[int]:
    """Which of these series have no chunk any more, and are forgotten."""
    empty = [
        each
        for each in candidates
        if not db.execute("SELECT 1 FROM chunks WHERE series = ? LIMIT 1", (each,)).fetchone()
    ]
    db.executemany("DELETE FROM series WHERE id = ?", [(each,) for each in empty])
    return empty


def size(db: sqlite3.Connection) -> int:
    """Bytes in use."""
    pages, free, each = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * each)


def put_document(db: sqlite3.Connection, name: str, data: bytes) -> None:
    db.execute("INSERT OR REPLACE INTO documents (name, data) VALUES (?, ?)", (name, data))


def document(db: sqlite3.Connection, name: str) -> bytes | None:
    row = db.execute("SELECT data FROM documents WHERE name = ?", (name,)).fetchone()
    return None if row is None else bytes(row[0])


def all_series(db: sqlite3.Connection) -> Iterable[tuple[int, Labels]]:
    for id, labels in db.execute("SELECT id, labels FROM series"):
        yield id, tuple(sorted(orjson.loads(labels).items()))


def all_batches(db: sqlite3.Connection) -> Iterable[tuple[int, Batch]]:
    for number, data in db.execute("SELECT number, data FROM batches ORDER BY number"):
        yield number, batch_of(data)


def chunks_of(db: sqlite3.Connection, series: int, start: int, end: int) -> list[bytes]:
    """Those with something of `start` to `end`, both included."""
    query = "SELECT data FROM chunks WHERE series = ? AND last >= ? AND first <= ? ORDER BY first"
    return [row[0] for row in db.execute(query, (series, start, end))]


def has_chunk(db: sqlite3.Connection, series: int, start: int, end: int) -> bool:
    """Whether a chunk of that series reaches into that time."""
    query = "SELECT 1 FROM chunks WHERE series = ? AND last >= ? AND first <= ? LIMIT 1"
    return db.execute(query, (series, start, end)).fetchone() is not None


def last_of(db: sqlite3.Connection, series: int) -> int:
    """Where the last chunk of that series ends; 0 without any."""
    found = db.execute("SELECT max(last) FROM chunks WHERE series = ?", (series,)).fetchone()[0]
    return int(found or 0)


def documents_below(db: sqlite3.Connection, prefix: str) -> list[tuple[str, bytes]]:
    """Name and content of those whose names begin so."""
    rows = db.execute("SELECT name, data FROM documents WHERE substr(name, 1, ?) = ?", (len(prefix), prefix))
    return [(str(name), bytes(data)) for name, data in rows]


def drop_document(db: sqlite3.Connection, name: str) -> None:
    db.execute("DELETE FROM documents WHERE name = ?", (name,))
