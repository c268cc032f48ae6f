"""All pieces that the metadata index names, page after page: of objects, of their versions, of open uploads."""

from __future__ import annotations

from typing import NamedTuple

from services.storage_manager.metadata.database import MetadataDb
from services.storage_manager.metadata.records import Piece, read_pieces

# The first condition is for the index of the table, which knows no expressions.
_VERSIONS = """
SELECT bucket, key, {last}, pieces FROM {table}
  WHERE (bucket, key) >= (?1, ?2) AND (bucket, key, {last}) > (?1, ?2, ?3) ORDER BY bucket, key{order} LIMIT ?4
"""
_PARTS = """
SELECT bucket, uploads.key, upload || '/' || printf('%05d', number) AS part, piece
  FROM parts JOIN uploads ON uploads.id=upload
  WHERE (bucket, uploads.key, upload || '/' || printf('%05d', number)) > (?1, ?2, ?3) ORDER BY 1, 2, 3 LIMIT ?4
"""
_SOURCES = (
    _VERSIONS.format(table="objects", last="''", order=""),
    _VERSIONS.format(table="versions", last="-sequence", order=", sequence DESC"),
    _PARTS,
)
_OF_KEY = """
SELECT pieces FROM objects WHERE bucket=? AND key=? UNION ALL SELECT pieces FROM versions WHERE bucket=? AND key=?
UNION ALL SELECT piece FROM parts JOIN uploads ON uploads.id=upload WHERE uploads.bucket=? AND uploads.key=?
"""


class WalkPosition(NamedTuple):
    """How far a walk over all pieces is. Kept as JSON; the first is `BEGINNING`."""

    source: int
    bucket: str
    key: str
    last: str | int


class NamedPiece(NamedTuple):
    """A piece, and the bucket's id and the key of what it is of."""

    bucket: str
    key: str
    piece: Piece


BEGINNING = WalkPosition(0, "", "", "")


def named_pieces(
    metadata: MetadataDb, after: WalkPosition, limit: int
) -> tuple[list[NamedPiece], WalkPosition | None]:
    """The pieces of the next `limit` rows, and where the walk goes on; None when it is over."""
    place = after.bucket, after.key, after.last
    rows = metadata.connection().execute(_SOURCES[after.source], (*place, limit)).fetchall()
    found = [NamedPiece(row[0], row[1], piece) for row in rows for piece in read_pieces(row[3])]
    if len(rows) == limit:
        return found, WalkPosition(after.source, *rows[-1][:3])
    following = after.source + 1
    return found, WalkPosition(following, "", "", _least(following)) if following < len(_SOURCES) else None


def blobs_of(metadata: MetadataDb, bucket: str, key: str) -> set[str]:
    """The blobs that anything of that key is made of now."""
    return {piece.blob for piece in pieces_of(metadata, bucket, key)}


def pieces_of(metadata: MetadataDb, bucket: str, key: str) -> list[Piece]:
    """The pieces that anything of that key is made of now."""
    rows = metadata.connection().execute(_OF_KEY, (bucket, key) * 3)
    return [piece for row in rows for piece in read_pieces(row[0])]


def _least(source: int) -> str | int:
    return -(1 << 62) if source == 1 else ""
