"""The hot path: one transaction that appends a batch.

SQLAlchemy writes the SQL, once; the driver runs it. For a lone writer SQLAlchemy's own bookkeeping of each
statement would cost as much as the disk does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from sqlalchemy import Engine, bindparam, insert, update
from sqlalchemy.dialects import postgresql, sqlite

from controller.store import tables
from controller.store.records import Record
from controller.store.sealing import Sealing
from controller.store.sqlite import BEGIN_WRITING
from controller.store.tables import clock, heads, records
from controller.store.upgrading import Upgrading

Row = tuple[Any, ...]
Mark = Callable[[Any], None]
"""Is given the driver's cursor. What it raises ends the transaction."""
_KEY = ("api_group", "plural", "namespace", "name")
_MOVE_CLOCK = (
    update(clock)
    .where(clock.c.id == bindparam("row"), clock.c.revision == bindparam("expected"))
    .values(revision=bindparam("moved_to"))
)


class Appending:
    """The statements of that transaction, prepared for one database."""

    def __init__(self, engine: Engine, sealing: Sealing | None, upgrading: Upgrading) -> None:
        dialect, self._sealing, self._upgrading = engine.dialect, sealing, upgrading
        # Other drivers begin by themselves before the first statement.
        self._begin = BEGIN_WRITING if dialect.name == "sqlite" else None
        self._move_clock, self._clock_row = _prepared(_MOVE_CLOCK, dialect, ("row", "expected", "moved_to"))
        self._insert, self._record_row = _prepared(insert(records), dialect, records.c.keys())
        self._upsert, self._head_row = _prepared(_upsert_heads(dialect.name), dialect, heads.c.keys())

    def append(
        self, connection: Any, base: int, new: Sequence[Record], locks: Sequence[int], mark: Mark | None = None
    ) -> bool:
        """Whether it is on disk; False when the clock does not stand at `base`. Raises the driver's errors. `mark`:
        what else is done in the transaction, once it holds the clock.
        """
        # SQLite keeps the files of a closed connection open as long as one of its cursors lives, and the error that
        # is on its way to the writer holds this one.
        with closing(connection.cursor()) as cursor:
            return self._append(connection, cursor, base, new, locks, mark)

    def _append(
        self, connection: Any, cursor: Any, base: int, new: Sequence[Record], locks: Sequence[int], mark: Mark | None
    ) -> bool:
        if self._begin is not None:
            cursor.execute(self._begin)
        cursor.execute(self._move_clock, self._clock_row((1, base, base + len(new))))
        if cursor.rowcount != 1:
            connection.rollback()
            return False
        if mark is not None:
            mark(cursor)
        cursor.executemany(self._insert, [self._record_row(self._row(r, n)) for r, n in zip(new, locks, strict=True)])
        newest = {record.key: record for record in new}
        cursor.executemany(self._upsert, [self._head_row(_head(record)) for record in newest.values()])
        connection.commit()
        return True

    def _row(self, record: Record, lock: int) -> Row:
        """In the order of the columns of `records`."""
        sealing = self._sealing
        return (
            record.revision,
            *record.key,
            record.uid,
            record.verb,
            record.generation,
            lock,
            tables.to_microseconds(record.written_at),
            record.written_by,
            record.body if sealing is None else sealing.seal(record.key, record.revision, record.body),
            self._upgrading.format_of(record.key),
        )


def _prepared(statement: Any, dialect: Any, names: Sequence[str]) -> tuple[str, Callable[[Row], Any]]:
    """Its SQL, and what makes the driver's parameters of values that come in the order of `names`."""
    compiled = statement.compile(dialect=dialect)
    order = compiled.positiontup
    if order is None:
        return str(compiled), lambda row: dict(zip(names, row, strict=True))
    if list(order) == list(names):
        return str(compiled), lambda row: row
    places = [list(names).index(name) for name in order]
    return str(compiled), lambda row: tuple(row[place] for place in places)


def _upsert_heads(dialect: str) -> Any:
    new = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(heads)
    values = {"revision": new.excluded.revision, "living": new.excluded.living}
    return new.on_conflict_do_update(index_elements=list(_KEY), set_=values)


def _head(record: Record) -> Row:
    return (*record.key, record.revision, record.verb != "deleted")
