"""Current versions of objects in the metadata index: what a plain read, write or listing is about."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace

from services.storage_manager.blobs import new_id
from services.storage_manager.metadata.configurations import Configurations
from services.storage_manager.metadata.records import Object, pieces_text, read_json, read_pieces

COLUMNS = "key, size, etag, modified, headers, pieces, attributes, version, sequence"
LISTED = "key, size, etag, modified, headers, '[]', attributes, version, sequence"
Row = tuple[str, int, str, float, str, str, str, str, int]
# Raises S3Error where the version that is current, or None, is not as a request wants it.
Check = Callable[[Object | None], None]
VERSIONING = "versioning"


class Objects(Configurations):
    """`bucket` is always the bucket's id."""

    def find(self, bucket: str, key: str) -> Object | None:
        """The current version, None where there is none or a delete marker is."""
        sql = f"SELECT {COLUMNS} FROM objects WHERE bucket=? AND key=?"  # noqa: S608
        row = self._db().execute(sql, (bucket, key)).fetchone()
        return read_object(row) if row else None

    def page(self, bucket: str, after: str, inclusive: bool, limit: int) -> list[Object]:
        """Current versions in UTF-8 order from `after` on, without their pieces."""
        sign = ">=" if inclusive else ">"
        sql = f"SELECT {LISTED} FROM objects WHERE bucket=? AND key {sign} ? ORDER BY key LIMIT ?"  # noqa: S608
        return [read_object(row) for row in self._db().execute(sql, (bucket, after, limit))]

    def is_empty(self, bucket: str) -> bool:
        """Whether it holds nothing, no version of an object either. Cheap."""
        sql = (
            "SELECT 1 FROM (SELECT bucket FROM objects UNION ALL SELECT bucket FROM versions) WHERE bucket=? LIMIT 1"
        )
        return self._db().execute(sql, (bucket,)).fetchone() is None

    def usage(self, bucket: str) -> tuple[int, int]:
        """Objects, each version of one for itself, and plaintext bytes."""
        count = size = 0
        for table in ("objects", "versions"):
            sql = f"SELECT count(*), coalesce(sum(size),0) FROM {table} WHERE bucket=?"  # noqa: S608 - of those two
            row = self._db().execute(sql, (bucket,)).fetchone()
            count, size = count + row[0], size + row[1]
        return count, size

    def _insert(self, db: sqlite3.Connection, bucket: str, new: Object) -> None:
        text = (json.dumps(new.headers), pieces_text(new.pieces), json.dumps(new.attributes))
        values = (bucket, new.key, new.size, new.etag, new.modified, *text, new.version, new.sequence)
        sql = f"INSERT INTO objects (bucket, {COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?)"  # noqa: S608
        db.execute(sql, values)

    def _drop_current(self, db: sqlite3.Connection, bucket: str, key: str) -> None:
        db.execute("DELETE FROM objects WHERE bucket=? AND key=?", (bucket, key))

    def versioning(self, bucket: str) -> str:
        """`Enabled`, `Suspended`, or empty for a bucket that never had versions."""
        return str((self.configuration(bucket, VERSIONING) or {}).get("Status", ""))

    def had_versions(self, bucket: str) -> bool:
        """Whether it has, or had, versions, as a reader sees it (`recent`)."""
        return bool(self.recent(bucket).documents.get(VERSIONING, {}).get("Status"))

    def _numbered(self, new: Object, newest: int, *, named: bool) -> Object:
        """With a place after the newest version there is, and an id of its own if wanted.

        The id begins with its place, newest first: where a listing goes on is known even when that version is gone.
        """
        sequence = max(int(self.clock() * 1e9), newest + 1)
        return replace(new, sequence=sequence, version=version_id(sequence) if named else "")


def version_id(sequence: int) -> str:
    """A new id for the version in that place."""
    return f"{(1 << 63) - 1 - sequence:016x}{new_id()[:16]}"


def sequence_of(version: str) -> int:
    """The place that such an id names. Raises ValueError."""
    return (1 << 63) - 1 - int(version[:16], 16)


def read_object(row: Row) -> Object:
    """A row of `COLUMNS`."""
    attributes = read_json(row[6]) if row[6] != "{}" else {}
    return Object(*row[:4], read_json(row[4]), read_pieces(row[5]), attributes, row[7], row[8])
