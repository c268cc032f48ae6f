"""Wrapped data keys in the metadata index."""

from __future__ import annotations

from typing import NamedTuple

from services.storage_manager.metadata.versions import Versions

USED_KEYS = """
SELECT json_extract(piece.value, '$[2]') FROM objects, json_each(objects.pieces) AS piece WHERE objects.bucket=?1
UNION SELECT json_extract(piece.value, '$[2]') FROM versions, json_each(versions.pieces) AS piece
  WHERE versions.bucket=?1
UNION SELECT json_extract(parts.piece, '$[0][2]') FROM parts, uploads
  WHERE parts.upload=uploads.id AND uploads.bucket=?1
"""


class Wrapping(NamedTuple):
    """A wrapped data key. `master`: the KMS key that was asked, empty for the default; `arn`: the one it was."""

    wrapped: bytes
    master: str
    arn: str
    at: float


class WrappedKeys(Versions):
    """`bucket` is always the bucket's id."""

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

    def keys_wrapped_before(self, bucket: str, before: float, limit: int) -> list[tuple[str, str]]:
        """The bucket's data keys that were wrapped before then, oldest first: id, and the KMS key that was asked."""
        sql = (
            "SELECT id, master FROM data_keys WHERE bucket=? AND coalesce(wrapped_at, created)<?"
            " ORDER BY coalesce(wrapped_at, created) LIMIT ?"
        )
        return [(str(id), str(master)) for id, master in self._db().execute(sql, (bucket, before, limit))]

    def wrapping(self, id: str) -> Wrapping | None:
        """How that data key is wrapped; None where there is none."""
        sql = "SELECT wrapped, master, arn, coalesce(wrapped_at, created) FROM data_keys WHERE id=?"
        row = self._db().execute(sql, (id,)).fetchone()
        return Wrapping(bytes(row[0]), str(row[1]), str(row[2]), float(row[3])) if row else None

    def replace_wrapping(self, id: str, old: bytes, new: bytes, at: float) -> None:
        """Keep the new one, unless the old one was replaced already."""
        with self._write() as db:
            db.execute("UPDATE data_keys SET wrapped=?, wrapped_at=? WHERE id=? AND wrapped=?", (new, at, id, old))

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
        used = {row[0] for row in db.execute(USED_KEYS, (bucket,))}
        return {name for id, name in named.items() if id in used}

    def wrapped_by(self, bucket: str) -> dict[str, tuple[bytes, str]]:
        """The newest data key that each of those keys wraps, and the KMS key that was asked (empty: the default)."""
        sql = (
            "SELECT coalesce(nullif(arn, ''), master), wrapped, master FROM data_keys WHERE bucket=? ORDER BY created"
        )
        return {name: (bytes(wrapped), str(master)) for name, wrapped, master in self._db().execute(sql, (bucket,))}
