"""Multipart uploads in the metadata index."""

from __future__ import annotations

import json
import sqlite3

from services.storage_manager.errors import S3Error
from services.storage_manager.metadata.data_keys import WrappedKeys
from services.storage_manager.metadata.objects import Check
from services.storage_manager.metadata.records import Object, Part, Upload, pieces_text, read_pieces

COLUMNS = "id, bucket, key, created, headers, attributes"
MOST_UPLOADS = 10_000


class Uploads(WrappedKeys):
    """An upload is a row and its parts' rows until it is completed or aborted."""

    def begin(self, upload: Upload) -> None:
        """Remember a new multipart upload. Raises NoSuchBucket, QuotaExceeded."""
        with self._write() as db:
            self._require_open(db, upload.bucket)
            (count,) = db.execute("SELECT count(*) FROM uploads WHERE bucket=?", (upload.bucket,)).fetchone()
            if count >= MOST_UPLOADS:
                why = f"{count} uploads of this bucket are neither completed nor aborted; more are not begun"
                raise S3Error("QuotaExceeded", why)
            text = (json.dumps(upload.headers), json.dumps(upload.attributes))
            values = (upload.id, upload.bucket, upload.key, upload.created, *text)
            db.execute(f"INSERT INTO uploads ({COLUMNS}) VALUES (?,?,?,?,?,?)", values)  # noqa: S608

    def upload(self, bucket: str, key: str, id: str) -> Upload:
        """Raises NoSuchUpload."""
        sql = f"SELECT {COLUMNS} FROM uploads WHERE id=? AND bucket=? AND key=?"  # noqa: S608
        row = self._db().execute(sql, (id, bucket, key)).fetchone()
        if row is None:
            raise S3Error("NoSuchUpload", f"no upload {id} of {key}")
        return _upload(row)

    def uploads(self, bucket: str, prefix: str) -> list[Upload]:
        """Uploads under way."""
        sql = f"SELECT {COLUMNS} FROM uploads WHERE bucket=? ORDER BY key, created"  # noqa: S608
        return [_upload(row) for row in self._db().execute(sql, (bucket,)) if row[2].startswith(prefix)]

    def parts(self, upload: str) -> list[Part]:
        """The parts so far, by number."""
        sql = "SELECT number, size, etag, modified, piece, sums FROM parts WHERE upload=? ORDER BY number"
        rows = self._db().execute(sql, (upload,))
        return [_part(row) for row in rows]

    def put_part(self, upload: Upload, part: Part) -> None:
        """Put the part in place of its predecessor. Raises NoSuchUpload."""
        with self._write() as db:
            self.upload(upload.bucket, upload.key, upload.id)
            old = [p.piece.blob for p in self.parts(upload.id) if p.number == part.number]
            text = (pieces_text((part.piece,)), json.dumps(part.sums))
            values = (upload.id, part.number, part.size, part.etag, part.modified, *text)
            columns = "upload, number, size, etag, modified, piece, sums"
            db.execute(f"INSERT OR REPLACE INTO parts ({columns}) VALUES (?,?,?,?,?,?,?)", values)  # noqa: S608
            self._mark_garbage(db, old)

    def complete(self, upload: Upload, new: Object, check: Check) -> Object:
        """The chosen parts become the object; the upload is gone. Raises as `put`, and NoSuchUpload, InvalidPart."""
        with self._write() as db:
            self.upload(upload.bucket, upload.key, upload.id)
            chosen, there = {p.blob for p in new.pieces}, {p.piece.blob for p in self.parts(upload.id)}
            if not chosen <= there:
                raise S3Error("InvalidPart", "a part was replaced meanwhile")
            made = self._replace(db, upload.bucket, new, check)
            self._end(db, upload.id)
            self._mark_garbage(db, there - chosen)
            finished = (upload.id, upload.bucket, upload.key, new.etag, self.clock(), made.version)
            db.execute("INSERT INTO finished (upload, bucket, key, etag, at, version) VALUES (?,?,?,?,?,?)", finished)
            return made

    def pending(self, bucket: str) -> int:
        """Bytes of parts that are no object yet."""
        sql = "SELECT coalesce(sum(size), 0) FROM parts, uploads WHERE upload=uploads.id AND uploads.bucket=?"
        return int(self._db().execute(sql, (bucket,)).fetchone()[0])

    def finished(self, bucket: str, key: str, id: str) -> tuple[str, str] | None:
        """ETag and version that upload was completed with: a client that lost the answer asks again."""
        sql = "SELECT etag, version FROM finished WHERE upload=? AND bucket=? AND key=?"
        row: tuple[str, str] | None = self._db().execute(sql, (id, bucket, key)).fetchone()
        return row

    def abort(self, upload: Upload) -> None:
        """Forget the upload and its parts."""
        with self._write() as db:
            self._drop(db, upload.id)

    def _drop(self, db: sqlite3.Connection, upload: str) -> None:
        self._mark_garbage(db, [p.piece.blob for p in self.parts(upload)])
        self._end(db, upload)

    def _end(self, db: sqlite3.Connection, upload: str) -> None:
        db.execute("DELETE FROM parts WHERE upload=?", (upload,))
        db.execute("DELETE FROM uploads WHERE id=?", (upload,))


def _upload(row: tuple[str, str, str, float, str, str]) -> Upload:
    return Upload(*row[:4], json.loads(row[4]), json.loads(row[5]))


def _part(row: tuple[int, int, str, float, str, str | None]) -> Part:
    return Part(*row[:4], read_pieces(row[4])[0], json.loads(row[5] or "{}"))
