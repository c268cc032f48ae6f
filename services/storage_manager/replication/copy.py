"""A copy: a data folder like the one it follows, and how far it follows. Batches are applied whole or not at all.

Records of small blobs are appended to segments of this folder; its index says where they lie. What a batch names is
on the disk before the batch is committed, so a copy that was killed goes on from where it was. Blocking.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from crds.formats import NewerFormat
from services.storage_manager.metadata import MetadataIndex, Piece
from services.storage_manager.metadata.records import read_pieces
from services.storage_manager.object_data import ObjectData
from services.storage_manager.replication.change_log import FOLLOWED, ChangedRow, Key
from services.storage_manager.replication.wire import Message
from services.storage_manager.segment_format import SmallBlobId, is_small, read_record

log = logging.getLogger(__name__)
# Where tables name pieces.
_POSITION = "INSERT OR REPLACE INTO followed (id, epoch, applied) VALUES (1,?,?)"
_PIECES = {"objects": "pieces", "versions": "pieces", "parts": "piece"}


class Position(NamedTuple):
    """The last change that is on the disk, of the index with that epoch."""

    epoch: str
    applied: int


class Copy:
    """Of one data folder."""

    def __init__(self, metadata: MetadataIndex, data: ObjectData) -> None:
        self._metadata, self._data = metadata, data
        db = metadata.connection()
        self._columns = {table: {row[1] for row in db.execute(f"PRAGMA table_info({table})")} for table in FOLLOWED}

    def position(self) -> Position | None:
        """None before it was filled."""
        row = self._metadata.connection().execute("SELECT epoch, applied FROM followed").fetchone()
        return Position(*row) if row else None

    def is_empty(self) -> bool:
        """Whether nothing is in it that could be lost."""
        db = self._metadata.connection()
        return not any(db.execute(f"SELECT 1 FROM {each} LIMIT 1").fetchone() for each in FOLLOWED)  # noqa: S608

    def missing_blobs(self, changes: Sequence[ChangedRow]) -> list[Piece]:
        """The large blobs that those rows name and that are not here."""
        named = {piece.blob: piece for change in changes for piece in _pieces(change) if not is_small(piece.blob)}
        return [piece for piece in named.values() if not self._data.blobs.path(piece.blob).exists()]

    def missing_records(self, changes: Sequence[ChangedRow]) -> list[tuple[int, int, int]]:
        """Segment, offset and size of the small blobs among those rows that are not here."""
        small = [each for each in changes if each.table == "small_blobs" and each.row is not None]
        return [(*_id(each), _size(each)) for each in small if self._data.small.index.locate(_id(each)) is None]

    def apply(self, message: Message, position: Position | None, after: Key | None = None, table: str = "") -> None:
        """All of it, durably. `position`: how far it follows then. `table`: they are all rows of that table from the
        key `after` on to the last of them, or, where there are none, to its end: what else is here goes.

        Raises Corrupt, NewerFormat before anything is written.
        """
        changes = message.batch.changes
        for change, record in zip(changes, message.records, strict=True):
            self._require_sound(change, record)
        appended = [self._append(change, record) for change, record in zip(changes, message.records, strict=True)]
        self._data.small.writer.flush()
        with self._metadata.transaction() as db:
            if table:
                _drop_others(db, table, after, [each.key for each in changes])
            for change, to in zip(changes, appended, strict=True):
                self._write(db, change, to)
            if position is not None:
                db.execute(_POSITION, position)
        for change in changes:
            self._erase(change)

    def note_position(self, position: Position) -> None:
        """It follows as far as that."""
        with self._metadata.transaction() as db:
            db.execute(_POSITION, position)

    def _require_sound(self, change: ChangedRow, record: bytes | None) -> None:
        if (columns := self._columns.get(change.table)) is None:
            raise NewerFormat(f"there is a table {change.table}: the copy needs that version first")
        if unknown := (change.row or {}).keys() - columns:
            raise NewerFormat(f"{change.table} has {', '.join(sorted(unknown))}: the copy needs that version first")
        if record is not None:
            read_record(_id(change), record)

    def _append(self, change: ChangedRow, record: bytes | None) -> SmallBlobId | None:
        """Where the record lies here, if it was sent and is not here already."""
        if record is None or self._data.small.index.locate(_id(change)) is not None:
            return None
        return self._data.small.writer.append(_size(change), lambda _: record)

    def _write(self, db: sqlite3.Connection, change: ChangedRow, to: SmallBlobId | None) -> None:
        keys, row = FOLLOWED[change.table], change.row
        if row is None:
            where = " AND ".join(f"{each}=?" for each in keys)
            db.execute(f"DELETE FROM {change.table} WHERE {where}", change.key)  # noqa: S608
            return
        if change.table == "small_blobs":
            self._write_small(db, change, to)
            return
        names = ",".join(row)
        values = ",".join("?" * len(row))
        db.execute(f"INSERT OR REPLACE INTO {change.table} ({names}) VALUES ({values})", tuple(row.values()))  # noqa: S608

    def _write_small(self, db: sqlite3.Connection, change: ChangedRow, to: SmallBlobId | None) -> None:
        """Without a record it is known, and missing: the scrubber asks for it."""
        if to is not None:
            self._data.small.writer.require_durable(to, _size(change))
        sql = "INSERT OR IGNORE INTO small_blobs (segment, offset, size, now_segment, now_offset) VALUES (?,?,?,?,?)"
        db.execute(sql, (*_id(change), _size(change), *(to or (None, None))))

    def _erase(self, change: ChangedRow) -> None:
        """What the other side has erased after its last reader."""
        if change.table == "forgotten" and change.row is None and not is_small(str(change.key[0])):
            self._data.blobs.forget(str(change.key[0]))


def _drop_others(db: sqlite3.Connection, table: str, after: Key | None, keys: Sequence[Key]) -> None:
    """Rows between `after` and the last of `keys` that are none of these."""
    names = FOLLOWED[table]
    columns, marks = ",".join(names), f"({','.join('?' * len(names))})"
    low = [f"({columns}) > {marks}"] if after is not None else []
    high = [f"({columns}) <= {marks}"] if keys else []
    where = " AND ".join([*low, *high]) or "1"
    values = [*(after or ()), *(keys[-1] if keys else ())]
    here = {tuple(row) for row in db.execute(f"SELECT {columns} FROM {table} WHERE {where}", values)}  # noqa: S608
    one = " AND ".join(f"{each}=?" for each in names)
    db.executemany(f"DELETE FROM {table} WHERE {one}", sorted(here - set(keys)))  # noqa: S608


def _pieces(change: ChangedRow) -> Iterator[Piece]:
    column = _PIECES.get(change.table)
    if column is not None and change.row is not None and change.row.get(column):
        yield from read_pieces(str(change.row[column]))


def _id(change: ChangedRow) -> SmallBlobId:
    return SmallBlobId(int(change.key[0]), int(change.key[1]))


def _size(change: ChangedRow) -> int:
    return int(str(change.row["size"])) if change.row is not None else 0
