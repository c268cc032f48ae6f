"""The file of the lines, in SQL: functions for the committer's thread, each part of one transaction.

`streams`: who wrote, by number. `blocks`: lines of one stream, `first` to `last` in ns. `level`: fresh ones
(0) become fewer and larger ones until they are sealed. `positions`: how far each source was read, with the lines
of it in one transaction. `counters`: the greatest number a stream was ever given; none is given twice, so
that what belonged to one that is gone can never be another's. Statements name their columns: a newer version may have
added some.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from crds.formats import FormatVersion
from services.logs_manager.store.blocks import (
    LINE_BYTES,
    SEALED_LEVEL,
    Block,
    Columns,
    Unreadable,
    columns_of,
    in_order,
    joined,
    packed,
)
from services.logs_manager.store.streams import Stream
from services.sdk.sqlite_file import SqliteFile, give_back
from services.sdk.sqlite_schema import Migrations

OWN = FormatVersion(version=3, oldest_reader=3)
FILE = "logs.db"
SEALED, SET_ASIDE = 9, 10
_ROW_BYTES = 200
"""What a block takes on the disk besides its data: its row, and its entries in four indexes."""
_MERGED_ROWS = 256
FULL_BLOCK, MOST_FRESH = 256 << 10, 32
"""Bytes at which a block stays as it is, and fresh blocks of a stream at which they become one."""
_STEP = 2_000
_TABLES = """
CREATE TABLE streams (id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, log_group TEXT NOT NULL, name TEXT NOT NULL,
  labels TEXT NOT NULL, created INTEGER NOT NULL, UNIQUE (namespace, log_group, name, labels));
CREATE TABLE blocks (number INTEGER PRIMARY KEY, stream INTEGER NOT NULL, first INTEGER NOT NULL,
  last INTEGER NOT NULL, level INTEGER NOT NULL, lines INTEGER NOT NULL, size INTEGER NOT NULL,
  newest_line INTEGER NOT NULL, arrived INTEGER NOT NULL, stored INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX blocks_of ON blocks (stream, last, first, lines, stored);
CREATE INDEX blocks_by_age ON blocks (last, stream, first, stored);
CREATE INDEX blocks_to_merge ON blocks (level, stream, size) WHERE level < 9;
CREATE INDEX blocks_by_line ON blocks (newest_line);
CREATE TABLE positions (source TEXT PRIMARY KEY, position TEXT NOT NULL) WITHOUT ROWID
"""


def _create(db: sqlite3.Connection) -> None:
    for statement in _TABLES.split(";"):
        db.execute(statement)


def _count_streams(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID")
    db.execute("INSERT INTO counters (name, value) VALUES ('stream', 0)")


def _count_lines(db: sqlite3.Connection) -> None:
    """Blocks of version 2 are not read by what came before, and their size has a part for each line."""
    db.execute("UPDATE blocks SET size = size + lines * ?, stored = stored + ?", (LINE_BYTES, _ROW_BYTES))
    db.execute("CREATE INDEX blocks_set_aside ON blocks (number) WHERE level = 10")


MIGRATIONS: Migrations = {1: _create, 2: _count_streams, 3: _count_lines}


def open_logs(folder: Path, file: str = FILE) -> SqliteFile:
    """Raises AlreadyServed, and NewerFormat for a file that only a newer version reads."""
    return SqliteFile(folder / file, folder / f"{file}.lock", OWN, MIGRATIONS)


class NewBlock(NamedTuple):
    """`size`: bytes of its text, and LINE_BYTES for each line; `arrived` in ms since 1970."""

    stream: int
    first: int
    last: int
    level: int
    lines: int
    size: int
    newest_line: int
    arrived: int
    data: bytes


class _Fresh(NamedTuple):
    """A block that is about to become part of a larger one."""

    number: int
    data: bytes
    columns: Columns
    size: int
    arrived: int
    first: int
    last: int
    lines: int
    newest_line: int


class BlockRow(NamedTuple):
    number: int
    stream: int
    first: int
    last: int


class StreamSize(NamedTuple):
    """What of one stream is kept; times in ns since 1970."""

    lines: int
    stored: int
    first: int
    last: int


def all_streams(db: sqlite3.Connection) -> Iterator[Stream]:
    for id, namespace, group, name, labels, created in db.execute(
        "SELECT id, namespace, log_group, name, labels, created FROM streams"
    ):
        yield Stream(id, namespace, group, name, orjson.loads(labels), created)


def add_streams(db: sqlite3.Connection, streams: Sequence[Stream]) -> None:
    """Those that are there already stay; one of that name and labels whose end did not reach the disk makes way."""
    rows = [(*_identity(s), s.id, s.created) for s in streams]
    db.executemany(
        "INSERT OR REPLACE INTO streams (namespace, log_group, name, labels, id, created) VALUES (?,?,?,?,?,?)", rows
    )
    if streams:
        newest = max(each.id for each in streams)
        db.execute("UPDATE counters SET value = max(value, ?) WHERE name = 'stream'", (newest,))


def newest_stream(db: sqlite3.Connection) -> int:
    """The greatest number a stream was ever given."""
    # Version 1 counts nothing: it may have been back meanwhile.
    queries = (
        "SELECT value FROM counters WHERE name = 'stream'",
        "SELECT max(id) FROM streams",
        "SELECT max(stream) FROM blocks",
    )
    return max(db.execute(each).fetchone()[0] or 0 for each in queries)


def _identity(stream: Stream) -> tuple[str, str, str, str]:
    return stream.namespace, stream.group, stream.name, stream.labels_text


def add_blocks(db: sqlite3.Connection, blocks: Iterable[NewBlock]) -> None:
    db.executemany(
        "INSERT INTO blocks (stream, first, last, level, lines, size, newest_line, arrived, data, stored) "
        "VALUES (?,?,?,?,?,?,?,?,?,?)",
        [(*each, len(each.data) + _ROW_BYTES) for each in blocks],
    )


def move_position(db: sqlite3.Connection, source: str, before: str, position: str) -> bool:
    """Whether the source stood at `before` (empty: nothing of it was read), and is now at `position`."""
    found = db.execute("SELECT position FROM positions WHERE source = ?", (source,)).fetchone()
    if (found[0] if found is not None else "") != before:
        return False
    db.execute("INSERT OR REPLACE INTO positions (source, position) VALUES (?, ?)", (source, position))
    return True


def forget_positions(db: sqlite3.Connection, sources: Iterable[str]) -> None:
    db.executemany("DELETE FROM positions WHERE source = ?", [(each,) for each in sources])


def all_positions(db: sqlite3.Connection) -> dict[str, str]:
    return dict(db.execute("SELECT source, position FROM positions"))


def newest_line(db: sqlite3.Connection) -> int:
    """The greatest number a line was given that is still here."""
    return int(db.execute("SELECT coalesce(max(newest_line), 0) FROM blocks").fetchone()[0])


def merge_some(db: sqlite3.Connection, most: int) -> int:
    """Make larger blocks of fresh ones, of so many streams. Of how many it was done."""
    found = db.execute(
        "SELECT stream, level FROM blocks WHERE level < 9 GROUP BY level, stream "
        "HAVING count(*) >= ? OR (count(*) > 1 AND sum(size) >= ?) LIMIT ?",
        (MOST_FRESH, FULL_BLOCK, most),
    ).fetchall()
    for stream, level in found:
        _merge(db, stream, level)
    return len(found)


def _merge(db: sqlite3.Connection, stream: int, level: int) -> None:
    rows = db.execute(
        "SELECT number, data, size, arrived, first, last, lines, newest_line FROM blocks "
        "WHERE stream = ? AND level = ? ORDER BY number LIMIT ?",
        (stream, level, _MERGED_ROWS),
    ).fetchall()
    left = iter(rows)  # all of them: what is merged is deleted meanwhile
    while part := _next_part(db, left):
        size = sum(row.size for row in part)
        try:
            data = _merged(part)
        except (OverflowError, ValueError):
            _set_aside(db, [row.number for row in part])
            continue
        block = NewBlock(
            stream,
            min(row.first for row in part),
            max(row.last for row in part),
            SEALED if size >= FULL_BLOCK else min(level + 1, SEALED - 1),
            sum(row.lines for row in part),
            size,
            max(row.newest_line for row in part),
            max(row.arrived for row in part),
            data,
        )
        db.executemany("DELETE FROM blocks WHERE number = ?", [(row.number,) for row in part])
        add_blocks(db, [block])


def _next_part(db: sqlite3.Connection, left: Iterator[Any]) -> list[_Fresh]:
    """What becomes the next block, unpacked. One that cannot be read is set aside: it goes when it is old, and holds
    up nothing until then.
    """
    found, size = list[_Fresh](), 0
    for number, data, *others in left:
        try:
            found.append(_Fresh(number, data, columns_of(data), *others))
        except Unreadable:
            _set_aside(db, [number])
            continue
        size += found[-1].size
        if size >= FULL_BLOCK:
            break
    return found


def _set_aside(db: sqlite3.Connection, blocks: Iterable[int]) -> None:
    db.executemany("UPDATE blocks SET level = ? WHERE number = ?", [(SET_ASIDE, each) for each in blocks])


def set_aside(db: sqlite3.Connection) -> set[int]:
    """Blocks that could not be read."""
    return {number for (number,) in db.execute("SELECT number FROM blocks WHERE level = 10")}


def _merged(part: Sequence[_Fresh]) -> bytes:
    """Nearly always they follow one another, and lines need not be looked at."""
    whole = joined([each.columns for each in part])
    if whole is not None:
        return whole.packed(SEALED_LEVEL)
    return packed(in_order(entry for each in part for entry in Block(each.data).entries()), SEALED_LEVEL)


def forget_before(db: sqlite3.Connection, streams: Sequence[int], moment: int) -> bool:
    """Let go of some blocks of these streams that end before that moment. Whether there may be more."""
    gone = 0
    for stream in streams:
        query = "DELETE FROM blocks WHERE number IN (SELECT number FROM blocks WHERE stream = ? AND last < ? LIMIT ?)"
        gone += db.execute(query, (stream, moment, _STEP)).rowcount
        if gone >= _STEP:
            return True
    return give_back(db)


def forget_streams(db: sqlite3.Connection, streams: Iterable[Stream]) -> None:
    """Their blocks have to follow."""
    query = "DELETE FROM streams WHERE namespace = ? AND log_group = ? AND name = ? AND labels = ?"
    db.executemany(query, [_identity(each) for each in streams])


def forget_empty(db: sqlite3.Connection, streams: Iterable[Stream]) -> list[int]:
    """Let go of those that have no lines. Which those were."""
    query = "DELETE FROM streams WHERE id = ? AND NOT EXISTS (SELECT 1 FROM blocks WHERE stream = ?)"
    return [each.id for each in streams if db.execute(query, (each.id, each.id)).rowcount]


def forget_strays(db: sqlite3.Connection) -> None:
    """Blocks whose stream is gone: the process ended between the two."""
    db.execute("DELETE FROM blocks WHERE stream NOT IN (SELECT id FROM streams)")


def moment_over(db: sqlite3.Connection, streams: Sequence[int], most: int) -> int | None:
    """The moment (ns) before which blocks have to go so that those of these streams take at most so many bytes."""
    ids = ",".join(str(int(each)) for each in streams)
    left = most
    query = f"SELECT last, stored FROM blocks WHERE stream IN ({ids}) ORDER BY last DESC"  # noqa: S608 - numbers
    for last, stored in db.execute(query):
        left -= stored
        if left < 0:
            return int(last) + 1
    return None


def sizes(db: sqlite3.Connection, stream: int | None = None) -> dict[int, StreamSize]:
    """By stream, from the index alone."""
    where, values = ("WHERE stream = ?", (stream,)) if stream is not None else ("", ())
    rows = db.execute(
        f"SELECT stream, sum(lines), sum(stored), min(first), max(last) FROM blocks {where} GROUP BY stream",  # noqa: S608
        values,
    )
    return {row[0]: StreamSize(*row[1:]) for row in rows}
