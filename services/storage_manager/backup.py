"""Objects in a backup: the index as it is at one moment, and the blobs and segments that it names.

Blobs never change and segments only grow, so they are read where they lie. One that was erased meanwhile (a compactor
has moved what was in it, or nobody names it any more) makes whoever backs up begin again with another copy of the
index.
A blob that is missing in the data themselves, as `DataDamaged` says, is left out and counted.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from services.sdk.backup import BackupHooks, DataSnapshot, SnapshotFile, check_database, copy_database
from services.storage_manager.blobs import Blobs, is_blob_id
from services.storage_manager.data_layout import open_data
from services.storage_manager.errors import Corrupt
from services.storage_manager.metadata.database import OWN
from services.storage_manager.metadata.records import Piece, read_pieces
from services.storage_manager.segment_format import is_small, small_blob_id
from services.storage_manager.segments import segment_path
from services.storage_manager.small_blobs import SmallBlobs

INDEX, SEGMENTS, SCRUB = "book.db", "segments", "scrub.json"
SAMPLE = 200
"""So many pieces are read and judged by their checksums when a backup is restored; all others were compared with what
was stored, chunk by chunk."""
_NAMED = "SELECT pieces FROM objects UNION ALL SELECT pieces FROM versions UNION ALL SELECT piece FROM parts"
_SEGMENTS = "SELECT DISTINCT coalesce(now_segment, segment) FROM small_blobs ORDER BY 1"


class ObjectBackup:
    """As `BackupHooks`."""

    format = OWN.oldest_reader

    def snapshot(self, data: Path, scratch: Path) -> DataSnapshot:
        index = copy_database(data, INDEX, scratch)
        if index is None:
            return DataSnapshot([], {})
        blobs, named = Blobs(data / "blobs"), _Named(scratch / INDEX)
        there = [each for each in named.blobs if blobs.path(each).exists()]
        files = [index, *(SnapshotFile(str(blobs.path(each).relative_to(data)), data) for each in there)]
        files += [SnapshotFile(str(segment_path(Path(SEGMENTS), each)), data) for each in named.segments]
        if (data / SCRUB).is_file():
            files.append(SnapshotFile(SCRUB, data))
        return DataSnapshot(files, {**named.counts, "missing": len(named.blobs) - len(there)})

    def restored(self, data: Path) -> dict[str, int]:
        if not (data / INDEX).exists():
            return {}
        check_database(data / INDEX)
        _begin_another_history(data / INDEX)
        named, blobs = _Named(data / INDEX), Blobs(data / "blobs")
        missing = sum(not blobs.path(each).exists() for each in named.blobs)
        try:
            _check_sample(data)
        except (Corrupt, OSError) as why:
            raise ValueError(f"an object cannot be read: {why}") from why
        return {**named.counts, "missing": missing}


class _Named:
    """What an index names. `blobs`: those that are files.

    Raises ValueError for names that are no blob's: they would be paths.
    """

    def __init__(self, index: Path) -> None:
        with closing(sqlite3.connect(index)) as db:
            self.blobs = sorted({each.blob for each in _pieces(db) if not is_small(each.blob)})
            if strange := next((each for each in self.blobs if not is_blob_id(each)), None):
                raise ValueError(f"the index names a blob {strange!r}, which is the name of none")
            self.segments = [row[0] for row in db.execute(_SEGMENTS)]
            count, size = db.execute("SELECT count(*), coalesce(sum(size), 0) FROM objects").fetchone()
            (versions,) = db.execute("SELECT count(*) FROM versions").fetchone()
        self.counts = {"objects": count, "bytes": size, "versions": versions}


def _pieces(db: sqlite3.Connection) -> Iterator[Piece]:
    for (text,) in db.execute(_NAMED):
        yield from read_pieces(text)


def _begin_another_history(index: Path) -> None:
    """A copy that followed what came after the backup must not go on as if it were the same: it is told so."""
    with closing(sqlite3.connect(index)) as db, db:
        db.execute("UPDATE replication SET epoch=?", (secrets.token_hex(16),))


def _check_sample(data: Path) -> None:
    """Raises Corrupt. Reads no plaintext: checksums are of what is stored."""
    metadata, blobs = open_data(data)
    small = SmallBlobs(data / SEGMENTS, metadata)
    try:
        for piece in _sampled(metadata.connection()):
            if is_small(piece.blob):
                small.whole_record(small_blob_id(piece.blob), piece.size)
            elif blobs.path(piece.blob).exists():
                for _ in blobs.check(piece.blob, piece.size):
                    pass
    finally:
        small.close()


def _sampled(db: sqlite3.Connection) -> list[Piece]:
    rows = db.execute("SELECT pieces FROM objects ORDER BY random() LIMIT ?", (SAMPLE,)).fetchall()
    return [piece for (text,) in rows for piece in read_pieces(text)]


HOOKS: BackupHooks = ObjectBackup()
