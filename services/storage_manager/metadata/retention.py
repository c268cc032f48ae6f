"""Retention in the metadata index: the end of buckets, uploads nobody completes, blobs nothing names."""

from __future__ import annotations

from collections.abc import Iterable

from services.storage_manager.metadata.records import read_pieces
from services.storage_manager.metadata.uploads import Uploads
from services.storage_manager.segment_format import is_small


class MetadataIndex(Uploads):
    """The whole metadata index."""

    def seal_bucket(self, bucket: str) -> int:
        """Refuse everything new in an empty bucket from now on. Returns the objects left; changes nothing if any."""
        with self._write() as db:
            count, _ = self.usage(bucket)
            if not count:
                db.execute("INSERT OR IGNORE INTO closed (bucket) VALUES (?)", (bucket,))
        return count

    def unseal_bucket(self, bucket: str) -> None:
        """Take `seal_bucket` back."""
        with self._write() as db:
            db.execute("DELETE FROM closed WHERE bucket=?", (bucket,))

    def drop_bucket(self, bucket: str) -> None:
        """Drop what a closed bucket still has: uploads, data keys and configuration. It stays closed: ids are
        never used again.
        """
        with self._write() as db:
            for (upload,) in db.execute("SELECT id FROM uploads WHERE bucket=?", (bucket,)).fetchall():
                self._drop(db, upload)
            for table in ("data_keys", "configurations"):
                db.execute(f"DELETE FROM {table} WHERE bucket=?", (bucket,))  # noqa: S608 - of those two

    def expire(self, before: float) -> int:
        """Abort uploads begun before then, and forget how old ones ended. How many were aborted."""
        with self._write() as db:
            old = db.execute("SELECT id FROM uploads WHERE created<?", (before,)).fetchall()
            for (upload,) in old:
                self._drop(db, upload)
            db.execute("DELETE FROM finished WHERE at<?", (before,))
        return len(old)

    def garbage_blobs(self, before: float, after: str = "", limit: int = -1) -> list[str]:
        """Return blobs that nothing has named since then, by name, from behind `after` on; -1: all of them."""
        sql = "SELECT blob FROM forgotten WHERE since<? AND blob>? ORDER BY blob LIMIT ?"
        return [row[0] for row in self._db().execute(sql, (before, after, limit))]

    def mark_deleted(self, blobs: Iterable[str]) -> None:
        """Forget blobs that are off the disk."""
        with self._write() as db:
            db.executemany("DELETE FROM forgotten WHERE blob=?", [(blob,) for blob in blobs])

    def known_blobs(self) -> set[str]:
        """Every blob that the index knows and that is a file, forgotten ones too; as of one moment."""
        db, known = self._db(), set[str]()
        db.execute("BEGIN")
        try:
            named = (
                "SELECT pieces FROM objects UNION ALL SELECT pieces FROM versions UNION ALL SELECT piece FROM parts"
            )
            for (text,) in db.execute(named):
                known.update(piece.blob for piece in read_pieces(text) if not is_small(piece.blob))
            known.update(row[0] for row in db.execute("SELECT blob FROM forgotten") if not is_small(row[0]))
        finally:
            db.execute("COMMIT")
        return known
