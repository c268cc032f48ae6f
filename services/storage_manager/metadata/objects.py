"""Objects and data keys in the metadata index."""

from __future__ import annotations

import json
import sqlite3

from services.storage_manager.errors import S3Error
from services.storage_manager.metadata.configurations import Configurations
from services.storage_manager.metadata.records import Object, pieces_text, read_pieces

COLUMNS = "key, size, etag, modified, headers, pieces"
USED_KEYS = """
SELECT json_extract(piece.value, '$[2]') FROM objects, json_each(objects.pieces) AS piece WHERE objects.bucket=?
UNION SELECT json_extract(parts.piece, '$[0][2]') FROM parts, uploads
  WHERE parts.upload=uploads.id AND uploads.bucket=?
"""
Row = tuple[str, int, str, float, str, str]


class Objects(Configurations):
    """`bucket` is always the bucket's id."""

    def find(self, bucket: str, key: str) -> Object | None:
        """The object, or None."""
        sql = f"SELECT {COLUMNS} FROM objects WHERE bucket=? AND key=?"  # noqa: S608
        row = self._db().execute(sql, (bucket, key)).fetchone()
        return _object(row) if row else None

    def put(self, bucket: str, new: Object, *, only_new: bool = False, only_over: str = "") -> None:
        """Put the object in place of its predecessor.

        Raises PreconditionFailed when there is one and `only_new`, or when its ETag is not `only_over`;
        NoSuchBucket once the bucket is closed.
        """
        with self._write() as db:
            self._replace(db, bucket, new, only_new, only_over)

    def _replace(self, db: sqlite3.Connection, bucket: str, new: Object, only_new: bool, only_over: str) -> None:
        self._require_open(db, bucket)
        old = self.find(bucket, new.key)
        if old and only_new:
            raise S3Error("PreconditionFailed", "the key already exists")
        if only_over and (old is None or only_over != old.etag):
            raise S3Error("PreconditionFailed" if old else "NoSuchKey", "the object is not the one that was named")
        text = (json.dumps(new.headers), pieces_text(new.pieces))
        values = (bucket, new.key, new.size, new.etag, new.modified, *text)
        columns = "bucket, key, size, etag, modified, headers, pieces"
        db.execute(f"INSERT OR REPLACE INTO objects ({columns}) VALUES (?,?,?,?,?,?,?)", values)  # noqa: S608
        if old:
            self._mark_garbage(db, [p.blob for p in old.pieces])

    def remove(self, bucket: str, key: str, *, only_over: str = "") -> None:
        """Forget the object. Absent is fine, but where its ETag must be `only_over`, or any for `*`.

        Raises PreconditionFailed, NoSuchKey.
        """
        with self._write() as db:
            old = self.find(bucket, key)
            if only_over and (old is None or only_over not in ("*", old.etag)):
                raise S3Error(
                    "PreconditionFailed" if old else "NoSuchKey", "the object is not the one that was named"
                )
            db.execute("DELETE FROM objects WHERE bucket=? AND key=?", (bucket, key))
            self._mark_garbage(db, [p.blob for p in old.pieces] if old else [])

    def page(self, bucket: str, after: str, inclusive: bool, limit: int) -> list[Object]:
        """Objects in UTF-8 order from `after` on."""
        sign = ">=" if inclusive else ">"
        sql = f"SELECT {COLUMNS} FROM objects WHERE bucket=? AND key {sign} ? ORDER BY key LIMIT ?"  # noqa: S608
        return [_object(row) for row in self._db().execute(sql, (bucket, after, limit))]

    def is_empty(self, bucket: str) -> bool:
        """Whether it holds no object. Cheap."""
        return self._db().execute("SELECT 1 FROM objects WHERE bucket=? LIMIT 1", (bucket,)).fetchone() is None

    def usage(self, bucket: str) -> tuple[int, int]:
        """Objects and plaintext bytes."""
        sql = "SELECT count(*), coalesce(sum(size),0) FROM objects WHERE bucket=?"
        count, size = self._db().execute(sql, (bucket,)).fetchone()
        return count, size

    def newest_key(self, bucket: str, master: str) -> tuple[str, float] | None:
        """The bucket's newest data key under that KMS key (empty: the default): id, created."""
        sql = "SELECT id, created FROM data_keys WHERE bucket=? AND master=? ORDER BY created DESC LIMIT 1"
        row: tuple[str, float] | None = self._db().execute(sql, (bucket, master)).fetchone()
        return row

    def wrapped_key(self, id: str) -> tuple[bytes, str]:
        """The wrapped data key, and the KMS key that wrapped it (empty: the default). Raises LookupError."""
        row = self._db().execute("SELECT wrapped, master FROM data_keys WHERE id=?", (id,)).fetchone()
        if row is None:
            raise LookupError(f"data key {id} is not in the metadata index")
        return bytes(row[0]), str(row[1])

    def add_key(self, id: str, bucket: str, master: str, wrapped: bytes, created: float, arn: str = "") -> None:
        """Keep a wrapped data key, before anything is sealed with it. `arn`: of the KMS key that wraps it."""
        with self._write() as db:
            columns = "id, bucket, master, wrapped, created, arn"
            values = (id, bucket, master, wrapped, created, arn)
            db.execute(f"INSERT INTO data_keys ({columns}) VALUES (?,?,?,?,?,?)", values)  # noqa: S608

    def sealed_by(self, bucket: str) -> set[str]:
        """The KMS keys without which something in it could not be read: their ARNs, or how they were named before
        ARNs were kept. Looks at every object only where there is more than one key.
        """
        db = self._db()
        there = db.execute("SELECT id, coalesce(nullif(arn, ''), master) FROM data_keys WHERE bucket=?", (bucket,))
        named = {id: name for id, name in there if name}
        parts = "SELECT 1 FROM parts, uploads WHERE upload=uploads.id AND uploads.bucket=? LIMIT 1"
        if self.is_empty(bucket) and not db.execute(parts, (bucket,)).fetchone():
            return set()
        if len(set(named.values())) <= 1:
            return set(named.values())
        used = {row[0] for row in db.execute(USED_KEYS, (bucket, bucket))}
        return {name for id, name in named.items() if id in used}

    def wrapped_by(self, bucket: str) -> dict[str, tuple[bytes, str]]:
        """The newest data key that each of those keys wraps, and the KMS key that was asked (empty: the default)."""
        sql = (
            "SELECT coalesce(nullif(arn, ''), master), wrapped, master FROM data_keys WHERE bucket=? ORDER BY created"
        )
        return {name: (bytes(wrapped), str(master)) for name, wrapped, master in self._db().execute(sql, (bucket,))}


def _object(row: Row) -> Object:
    return Object(*row[:4], json.loads(row[4]), read_pieces(row[5]))
