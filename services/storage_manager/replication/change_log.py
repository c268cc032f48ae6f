"""The log of changes of the metadata index: which rows changed, in order, by triggers in the same transaction.

It has keys of rows and no values: what a follower is told is the row as it is now. So a row that changed ten times is
sent once, and a batch may be applied twice. `small_blobs` is followed without where its records lie: each copy has
segments, and a compactor, of its own. Nothing is logged until somebody follows for the first time.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from services.storage_manager.metadata.database import MetadataDb

# In this order a new copy is filled.
FOLLOWED: dict[str, tuple[str, ...]] = {
    "small_blobs": ("segment", "offset"),
    "data_keys": ("id",),
    "configurations": ("bucket", "name"),
    "objects": ("bucket", "key"),
    "versions": ("bucket", "key", "sequence"),
    "uploads": ("id",),
    "parts": ("upload", "number"),
    "finished": ("upload",),
    "closed": ("bucket",),
    "forgotten": ("blob",),
    "events": ("id",),
}
# Each has its own: where the records lie that it holds.
_LOCAL = frozenset({"now_segment", "now_offset"})
# A follower that is further behind is filled anew.
MOST_KEPT = 500_000
Key = tuple[str | int, ...]


class ChangedRow(NamedTuple):
    """A row as it is now; None where it is gone."""

    table: str
    key: Key
    row: dict[str, object] | None


class Batch(NamedTuple):
    """Changes up to and with the one numbered `through`; `head` is the last there is."""

    epoch: str
    through: int
    head: int
    changes: list[ChangedRow]


class TooFarBehind(Exception):
    """The changes that are wanted are not kept any more."""


class AnotherHistory(Exception):
    """A copy has changes that never were here: this index was put back to an earlier state."""


class ChangeLog:
    """Of one metadata index. Blocking."""

    def __init__(self, metadata: MetadataDb) -> None:
        self._metadata = metadata
        self._enabled = False
        if self.enabled:
            self.enable()  # tables that are newer than the log are logged from now on

    @property
    def enabled(self) -> bool:
        """Whether anybody ever followed, whichever process was asked."""
        if not self._enabled:
            self._enabled = bool(self._rows("SELECT 1 FROM replication"))
        return self._enabled

    def enable(self) -> None:
        """Log from now on, in every process that has the index open."""
        with self._metadata.transaction() as db:
            if not db.execute("SELECT 1 FROM replication").fetchone():
                db.execute("INSERT INTO replication (id, epoch) VALUES (1, ?)", (secrets.token_hex(16),))
            for table, key in FOLLOWED.items():
                _create_triggers(db, table, key)
        self._enabled = True

    def epoch(self) -> str:
        """Names this index: another one's numbers mean something else. Empty while nothing is logged."""
        found = self._rows("SELECT epoch FROM replication")
        return str(found[0][0]) if found else ""

    def head(self) -> int:
        """The number of the last change."""
        return _head(self._metadata.connection())

    def batch(self, after: int, limit: int, most_bytes: int) -> Batch:
        """The rows that changed after that, of the next `limit` changes: as many as, with the records of small blobs,
        take `most_bytes`, and one at least. Raises TooFarBehind, AnotherHistory.

        At the head it is the index as it was at one moment; before, rows may be newer than their change.
        """
        db, epoch = self._metadata.connection(), self.epoch()
        db.execute("BEGIN")
        try:
            head, (oldest,) = _head(db), db.execute("SELECT min(seq) FROM changes").fetchone()
            if after > head:
                raise AnotherHistory(f"the copy has {after} changes, and there are {head}")
            if after < head and (oldest is None or oldest > after + 1):
                raise TooFarBehind(f"changes after {after} are not kept; there are those from {oldest} to {head}")
            sql = "SELECT seq, name, pk FROM changes WHERE seq>? ORDER BY seq LIMIT ?"
            found = db.execute(sql, (after, limit)).fetchall()
            changes, through = _changes(db, found, most_bytes)
        finally:
            db.execute("COMMIT")
        all_told = len(found) < limit and (not found or through == found[-1][0])
        return Batch(epoch, head if all_told else through, head, changes)

    def page(self, table: str, after: Key | None, limit: int, most_bytes: int) -> list[ChangedRow]:
        """Rows of a table by key, for a copy that is filled; none only where there are no more. Raises KeyError for
        what is not followed.
        """
        key, db = FOLLOWED[table], self._metadata.connection()
        where = f"WHERE ({','.join(key)}) > ({','.join('?' * len(key))})" if after else ""
        sql = f"SELECT * FROM {table} {where} ORDER BY {','.join(key)} LIMIT {int(limit)}"  # noqa: S608
        rows, size = list[ChangedRow](), 0
        for row in _as_dicts(db, sql, after or ()):
            change = _changed(table, row)
            size += _size(change)
            if size > most_bytes and rows:
                break
            rows.append(change)
        return rows

    def remember(self, followers: Mapping[str, int]) -> None:
        """Who keeps up, for the next start."""
        with self._metadata.transaction() as db:
            if dict(db.execute("SELECT name, applied FROM followers")) != followers:
                db.execute("DELETE FROM followers")
                db.executemany("INSERT INTO followers (name, applied) VALUES (?,?)", followers.items())

    def remembered(self) -> dict[str, int]:
        """Who kept up when that was last noted."""
        return dict(self._metadata.connection().execute("SELECT name, applied FROM followers"))

    def trim(self, applied: int | None) -> None:
        """Forget what every follower has; without any, all but the last MOST_KEPT."""
        before = self.head() - MOST_KEPT
        before = max(before, applied) if applied is not None else before
        if self._rows("SELECT 1 FROM changes WHERE seq<=? LIMIT 1", before):
            with self._metadata.transaction() as db:
                db.execute("DELETE FROM changes WHERE seq<=?", (before,))

    def _rows(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        return self._metadata.connection().execute(sql, values).fetchall()


def _create_triggers(db: sqlite3.Connection, table: str, key: tuple[str, ...]) -> None:
    def logged(side: str) -> str:
        return f"SELECT '{table}', json_array({','.join(f'{side}.{each}' for each in key)})"

    changes = {"INSERT": logged("NEW"), "DELETE": logged("OLD")}
    if table != "small_blobs":
        changes["UPDATE"] = f"{logged('OLD')} UNION {logged('NEW')}"
    for verb, rows in changes.items():
        body = f"BEGIN INSERT INTO changes (name, pk) {rows}; END"
        db.execute(f"CREATE TRIGGER IF NOT EXISTS log_{table}_{verb.lower()} AFTER {verb} ON {table} {body}")


def _head(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name='changes'").fetchone()
    return int(row[0]) if row else 0


def _changes(
    db: sqlite3.Connection, found: Sequence[tuple[int, str, str]], most_bytes: int
) -> tuple[list[ChangedRow], int]:
    """The rows of as many of those changes as fit, and the number of the last of these."""
    changes, through, size = dict[tuple[str, str], ChangedRow](), 0, 0
    for number, name, pk in found:
        if (name, pk) not in changes:
            key: Key = tuple(json.loads(pk))
            change = ChangedRow(name, key, _row(db, name, key))
            size += _size(change) + _record_size(change)
            if size > most_bytes and changes:
                break
            changes[name, pk] = change
        through = number
    return list(changes.values()), through


def _size(change: ChangedRow) -> int:
    """About how many bytes it takes to tell it."""
    return 64 + sum(len(value) for value in (change.row or {}).values() if isinstance(value, str | bytes))


def _record_size(change: ChangedRow) -> int:
    return int(str(change.row["size"])) if change.table == "small_blobs" and change.row else 0


def _row(db: sqlite3.Connection, table: str, key: Key) -> dict[str, object] | None:
    where = " AND ".join(f"{each}=?" for each in FOLLOWED[table])
    found = next(_as_dicts(db, f"SELECT * FROM {table} WHERE {where}", key), None)  # noqa: S608
    return _followed(found) if found else None


def _changed(table: str, row: dict[str, object]) -> ChangedRow:
    key: Key = tuple(row[each] for each in FOLLOWED[table])  # type: ignore[misc]
    return ChangedRow(table, key, _followed(row))


def _followed(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name not in _LOCAL}


def _as_dicts(db: sqlite3.Connection, sql: str, values: tuple[object, ...]) -> Iterator[dict[str, object]]:
    cursor = db.execute(sql, values)
    names = [each[0] for each in cursor.description]
    for row in cursor:
        yield dict(zip(names, row, strict=True))
