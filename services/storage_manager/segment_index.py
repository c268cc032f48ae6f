"""The index of small blobs: which of them live, and where those went that were moved. A table of the metadata index.

A row comes in the transaction that names the blob and goes in the one that erases it; what a segment holds without a
row is dead. So neither a crash nor a refused write leaves anything to be searched for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from services.storage_manager.metadata.database import MetadataDb
from services.storage_manager.segment_format import SmallBlobId

_HERE = "coalesce(now_segment, segment), coalesce(now_offset, offset)"
_LIVING = """
SELECT segment, offset, size, segment, offset FROM small_blobs WHERE segment=? AND now_segment IS NULL
UNION ALL SELECT segment, offset, size, now_segment, now_offset FROM small_blobs WHERE now_segment=?
"""
_AFTER = f"""
SELECT segment, offset, size, {_HERE} FROM small_blobs
  WHERE (segment, offset) > (?,?) ORDER BY segment, offset LIMIT ?
"""  # noqa: S608
_MOVE = f"""
UPDATE small_blobs SET now_segment=?, now_offset=? WHERE segment=? AND offset=? AND ({_HERE}) = (?,?)
"""  # noqa: S608


class SmallBlob(NamedTuple):
    """A living small blob: its id, its plaintext bytes, and where its record lies."""

    id: SmallBlobId
    size: int
    segment: int
    offset: int


class SegmentIndex:
    """Works in the transaction that is open on this thread, where it says so."""

    def __init__(self, metadata: MetadataDb) -> None:
        self._metadata = metadata

    def locate(self, id: SmallBlobId) -> tuple[int, int] | None:
        """Segment and offset of its record; None for one that is erased."""
        sql = f"SELECT {_HERE} FROM small_blobs WHERE segment=? AND offset=?"  # noqa: S608
        row: tuple[int, int] | None = self._metadata.connection().execute(sql, id).fetchone()
        return row

    def add(self, id: SmallBlobId, size: int) -> None:
        """Belongs into the transaction that names it."""
        sql = "INSERT INTO small_blobs (segment, offset, size) VALUES (?,?,?)"
        self._metadata.connection().execute(sql, (*id, size))

    def erase(self, ids: Iterable[SmallBlobId]) -> set[int]:
        """The segments that hold less now. Belongs into the transaction after which nothing names the blobs.

        Absent is fine.
        """
        sql = "DELETE FROM small_blobs WHERE segment=? AND offset=? RETURNING coalesce(now_segment, segment)"
        db = self._metadata.connection()
        return {row[0] for id in ids for row in db.execute(sql, id).fetchall()}

    def living(self, segment: int, limit: int) -> list[SmallBlob]:
        """The first that live in that segment."""
        rows = self._metadata.connection().execute(f"{_LIVING} LIMIT ?", (segment, segment, limit))
        return [_small_blob(row) for row in rows]

    def usage(self, segment: int) -> tuple[int, int]:
        """How many live in that segment, and their plaintext bytes."""
        sql = f"SELECT count(*), coalesce(sum(size), 0) FROM ({_LIVING})"  # noqa: S608
        count, size = self._metadata.connection().execute(sql, (segment, segment)).fetchone()
        return count, size

    def after(self, id: SmallBlobId, limit: int) -> list[SmallBlob]:
        """The next living ones by id."""
        return [_small_blob(row) for row in self._metadata.connection().execute(_AFTER, (*id, limit))]

    def move(self, moved: Iterable[tuple[SmallBlob, SmallBlobId]]) -> None:
        """Say where they lie now, unless they were erased or moved meanwhile. Belongs into a transaction."""
        values = [(*to, *blob.id, blob.segment, blob.offset) for blob, to in moved]
        self._metadata.connection().executemany(_MOVE, values)


def _small_blob(row: tuple[int, int, int, int, int]) -> SmallBlob:
    return SmallBlob(SmallBlobId(row[0], row[1]), *row[2:])
