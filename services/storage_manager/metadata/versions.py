"""All versions of objects in the metadata index: what a write, a delete, and the end of a version make of them.

`objects` has the current version of each key that is not deleted, `versions` everything older, and delete markers.
Whether a bucket has versions is read in the transaction that writes. Source: S3 user guide, "Retaining multiple
versions of objects with S3 Versioning".
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from heapq import merge
from itertools import islice
from typing import Any

from services.storage_manager.errors import S3Error
from services.storage_manager.metadata.objects import (
    COLUMNS,
    LISTED,
    Check,
    Objects,
    read_object,
    sequence_of,
)
from services.storage_manager.metadata.records import Object, pieces_text

ALL = f"{COLUMNS}, marker"
_NOTHING: Check = lambda _: None  # noqa: E731


class Versions(Objects):
    """`version` is an id, empty for the null version."""

    def put(self, bucket: str, new: Object, check: Check = _NOTHING) -> Object:
        """Make it the current version, and say how it is known. Raises as `check`, and NoSuchBucket once closed."""
        with self._write() as db:
            return self._replace(db, bucket, new, check)

    def _replace(self, db: sqlite3.Connection, bucket: str, new: Object, check: Check) -> Object:
        self._require_open(db, bucket)
        old = self.find(bucket, new.key)
        check(old)
        made = self._make_room(db, bucket, new, old)
        self._insert(db, bucket, made)
        return made

    def _make_room(self, db: sqlite3.Connection, bucket: str, new: Object, old: Object | None) -> Object:
        """Nothing is current any more; what may not stay beside the new one is gone. The new one with its place."""
        status = self.versioning(bucket)
        if old is not None:
            self._drop_current(db, bucket, old.key)
        if not status:
            self._forget(db, old)
            return self._numbered(new, 0, named=False)
        if status == "Enabled" or (old is not None and old.version):
            self._push(db, bucket, old)
        else:
            self._forget(db, old)
        newest = self._newest(bucket, new.key)
        if status == "Suspended" and (null := self.find_version(bucket, new.key, "")) is not None:
            self._drop_version(db, bucket, null)
        return self._numbered(new, newest.sequence if newest else 0, named=status == "Enabled")

    def remove(self, bucket: str, key: str, check: Check = _NOTHING) -> Object | None:
        """Delete without saying which version: where there are versions, a delete marker, which is returned."""
        with self._write() as db:
            old = self.find(bucket, key)
            check(old or self._newest(bucket, key))
            if not self.versioning(bucket):
                self._drop_current(db, bucket, key)
                self._forget(db, old)
                return None
            self._require_open(db, bucket)
            marker = Object(key, 0, "", self.clock(), {}, (), marker=True)
            made = self._make_room(db, bucket, marker, old)
            self._push(db, bucket, made)
            return made

    def remove_version(self, bucket: str, key: str, version: str, check: Check = _NOTHING) -> Object | None:
        """Delete that version for good; what is then the newest is current. None where there was none."""
        with self._write() as db:
            found = self.find_version(bucket, key, version)
            check(found)
            if found is None:
                return None
            self._drop_version(db, bucket, found)
            newest = self._newest(bucket, key)
            if newest is not None and not newest.marker and self.find(bucket, key) is None:
                self._delete_row(db, bucket, newest)
                self._insert(db, bucket, newest)
            return found

    def find_version(self, bucket: str, key: str, version: str) -> Object | None:
        """That version, which may be a delete marker."""
        sql = f"SELECT {COLUMNS} FROM objects WHERE bucket=? AND key=? AND version=?"  # noqa: S608
        row = self._db().execute(sql, (bucket, key, version)).fetchone()
        if row is not None:
            return read_object(row)
        sql = f"SELECT {ALL} FROM versions WHERE bucket=? AND key=? AND version=?"  # noqa: S608
        row = self._db().execute(sql, (bucket, key, version)).fetchone()
        return _read(row) if row else None

    def newest_marker(self, bucket: str, key: str) -> Object | None:
        """The delete marker that hides the key, if one does."""
        newest = self._newest(bucket, key)
        return newest if newest is not None and newest.marker and self.find(bucket, key) is None else None

    def change_attributes(
        self, bucket: str, key: str, version: str | None, change: Callable[[Object], dict[str, Any]]
    ) -> Object | None:
        """Keep what `change` makes of that version's attributes (None: the current one's). None where there is none.

        `change` may refuse with an S3Error.
        """
        with self._write() as db:
            found = self.find(bucket, key) if version is None else self.find_version(bucket, key, version)
            if found is None or found.marker:
                return found
            text = json.dumps(change(found))
            for table in ("objects", "versions"):
                sql = f"UPDATE {table} SET attributes=? WHERE bucket=? AND key=? AND sequence=?"  # noqa: S608
                db.execute(sql, (text, bucket, key, found.sequence))
            return found

    def version_page(self, bucket: str, after: tuple[str, str | None], inclusive: bool, limit: int) -> list[Object]:
        """Versions and markers by key, newest first, after (key, version): without a version, from that key on."""
        key, version = after
        found: list[Object] = []
        if version is not None:
            found, inclusive = self._rest_of_key(bucket, key, version, limit), False
        sign = ">=" if inclusive else ">"
        where = f"WHERE bucket=? AND key {sign} ? ORDER BY key"
        current = self._db().execute(f"SELECT {LISTED}, 0 FROM objects {where} LIMIT ?", (bucket, key, limit))  # noqa: S608
        columns = LISTED + ", marker"
        older = self._db().execute(
            f"SELECT {columns} FROM versions {where}, sequence DESC LIMIT ?",  # noqa: S608
            (bucket, key, limit),
        )
        both = merge(map(_read, current), map(_read, older), key=lambda each: (each.key.encode(), -each.sequence))
        return found + list(islice(both, limit - len(found)))

    def _rest_of_key(self, bucket: str, key: str, version: str, limit: int) -> list[Object]:
        try:
            place = sequence_of(version) if version else self._place_of_null(bucket, key)
        except ValueError:
            raise S3Error("InvalidArgument", "Invalid version id specified") from None
        columns = LISTED + ", marker"
        sql = (
            f"SELECT {columns} FROM versions WHERE bucket=? AND key=? AND sequence<? "  # noqa: S608
            "ORDER BY sequence DESC LIMIT ?"
        )
        return [_read(row) for row in self._db().execute(sql, (bucket, key, place, limit))]

    def _place_of_null(self, bucket: str, key: str) -> int:
        found = self.find_version(bucket, key, "")
        return found.sequence if found else 0

    def _newest(self, bucket: str, key: str) -> Object | None:
        """The newest that is not current, or hides what is not there."""
        sql = f"SELECT {ALL} FROM versions WHERE bucket=? AND key=? ORDER BY sequence DESC LIMIT 1"  # noqa: S608
        row = self._db().execute(sql, (bucket, key)).fetchone()
        return _read(row) if row else None

    def _push(self, db: sqlite3.Connection, bucket: str, old: Object | None) -> None:
        if old is None:
            return
        text = (json.dumps(old.headers), pieces_text(old.pieces), json.dumps(old.attributes))
        values = (bucket, old.key, old.size, old.etag, old.modified, *text, old.version, old.sequence, old.marker)
        sql = f"INSERT INTO versions (bucket, {ALL}) VALUES (?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608
        db.execute(sql, values)

    def _drop_version(self, db: sqlite3.Connection, bucket: str, found: Object) -> None:
        db.execute(
            "DELETE FROM objects WHERE bucket=? AND key=? AND version=? AND sequence=?",
            (bucket, found.key, found.version, found.sequence),
        )
        self._delete_row(db, bucket, found)
        self._forget(db, found)

    def _delete_row(self, db: sqlite3.Connection, bucket: str, found: Object) -> None:
        db.execute(
            "DELETE FROM versions WHERE bucket=? AND key=? AND sequence=?", (bucket, found.key, found.sequence)
        )

    def _forget(self, db: sqlite3.Connection, old: Object | None) -> None:
        if old is not None:
            self._mark_garbage(db, [piece.blob for piece in old.pieces])


def _read(row: tuple[Any, ...]) -> Object:
    """A row of `ALL`."""
    return replace(read_object(row[:-1]), marker=bool(row[-1]))
