"""The SQL behind the store: appending, the heads, what others wrote. Blocking; called on the blocking executor.

One connection is kept for writing and used by one thread at a time (the caller holds `disk_lock`); a failed
write throws it away and the next write opens a fresh one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, bindparam, create_engine, insert, select
from sqlalchemy.exc import SQLAlchemyError

from controller.store import postgresql, sqlite, tables
from controller.store.appending import Appending
from controller.store.records import NotLeading, Record, StoreBroken, StoreError, StoreFull
from controller.store.schema import upgrade
from controller.store.sealing import Sealing, is_sealed
from controller.store.sharing import Sharing
from controller.store.tables import ClockRow, clock, heads, records
from controller.store.upgrading import Upgrading
from crds.formats import NewerFormat
from crds.meta import ObjectKey

_ROOM = "Free some space there; nothing was changed, and what waits goes on by itself."
_NO_ROOM_BYTES = 64 * 1024
_KEY = ("api_group", "plural", "namespace", "name")
_READ_CLOCK_ROW = select(clock.c.revision, clock.c.compacted, clock.c.compacted_at)
_SINCE = select(records).where(records.c.revision > bindparam("known")).order_by(records.c.revision)
_LIVING = select(records).join(heads, heads.c.revision == records.c.revision).where(heads.c.living)
_TOMBSTONES = select(*(heads.c[name] for name in _KEY), heads.c.revision).where(~heads.c.living)


class SqlBackend:
    """One database. `name` is what people call it: the file, or the URL without its password. `sharing`: how this
    process writes to a database that others write to; None for a file. Nothing is connected to yet.

    Raises StoreBroken for a URL that is none.
    """

    def __init__(self, url: str, sealing: Sealing | None = None, upgrading: Upgrading | None = None) -> None:
        self.engine, self.name = _connecting(url)
        self._sealing, self._upgrading = sealing, upgrading or Upgrading({})
        self._writer: Connection | None = None
        self._closed = False
        self._appending = Appending(self.engine, sealing, self._upgrading)
        on_postgresql = self.engine.dialect.name == "postgresql"
        self.sharing = Sharing(self._appending, self.writer, self.drop_writer) if on_postgresql else None
        dbapi: Any = self.engine.dialect.dbapi
        self.errors: tuple[type[Exception], ...] = (SQLAlchemyError, dbapi.Error, OSError, StoreBroken, NotLeading)
        """What may come out of any call here."""

    def create(self) -> None:
        """Make the tables and the clock row, if they are not there, and bring older ones up to date.

        Raises StoreBroken for a database of a newer version that this one cannot read.
        """
        with self.engine.begin() as connection:
            if self.sharing is not None:
                postgresql.check_server(connection, self.name)
                postgresql.lock_schema(connection)
                self.sharing.register(connection)
            try:
                upgrade(connection, self.name)
            except NewerFormat as newer:
                raise StoreBroken(str(newer)) from newer
            if connection.execute(_READ_CLOCK_ROW).first() is None:
                connection.execute(insert(clock).values(id=1, revision=0, compacted=0, compacted_at=0))

    def append(self, base: int, new: Sequence[Record], locks: Sequence[int]) -> bool:
        """Records base+1, base+2, ... on disk when it returns True. False, and nothing written, when
        somebody else has moved the clock. Raises what the driver raises."""
        if self.sharing is not None:
            return self.sharing.append(base, new, locks)
        try:
            return self._appending.append(self.writer().connection, base, new, locks)
        except BaseException:
            self.drop_writer()
            raise

    def writer(self) -> Connection:
        """The connection for writing. Raises StoreBroken after `close`: compaction may still be at work."""
        if self._closed:
            raise StoreBroken(f"{self.name} is closed; open the store again")
        if self._writer is None:
            taken = self.engine.connect()
            self._writer = taken if self.sharing is None else postgresql.for_writing(taken)
        return self._writer

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection whose statements all see one moment."""
        with self.engine.connect() as connection:
            yield connection if self.sharing is None else postgresql.for_reading(connection)

    def drop_writer(self) -> None:
        """Drop the writing connection: its state is unknown after a failure; the next write gets a new one."""
        connection, self._writer = self._writer, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def clock_row(self) -> ClockRow:
        """What the clock row shows now."""
        with self.reading() as connection:
            return read_clock_row(connection)

    def records_since(self, known: int) -> tuple[list[Record], ClockRow]:
        """Every record after that revision."""
        with self.reading() as connection:
            clock_row = read_clock_row(connection)
            return [self.to_record(row) for row in connection.execute(_SINCE, {"known": known})], clock_row

    def heads(self) -> tuple[list[Record], dict[ObjectKey, int], ClockRow]:
        """Newest records of living keys, and when the dead ones died."""
        with self.reading() as connection:
            clock_row = read_clock_row(connection)
            living = [self._whole(self.to_record(row)) for row in connection.execute(_LIVING)]
            tombstones = {ObjectKey(*row[:4]): row[4] for row in connection.execute(_TOMBSTONES)}
            return living, tombstones, clock_row

    def to_record(self, row: Any) -> Record:
        """A row of `records`, all columns in order, its body opened and up to date. Raises StoreBroken when it does
        not open."""
        record = tables.to_record(row)
        if is_sealed(record.body):
            if self._sealing is None:
                raise StoreBroken(f"{record.key} is sealed: {self.name} opens only with its key, secrets/store-key")
            record.body = self._sealing.open(record.key, record.revision, record.body)
        self._upgrading.apply(record, row.format)
        return record

    def _whole(self, record: Record) -> Record:
        """Raises StoreBroken for a body that is no JSON any more: found now, not by whoever reads it first."""
        try:
            orjson.loads(record.body)
        except orjson.JSONDecodeError as error:
            what = f"the body of {record.key} at revision {record.revision} is malformed"
            raise StoreBroken(f"cannot open {self.name}: {what}. {_fix(what)}") from error
        return record

    def broken(self, doing: str, error: Exception) -> StoreError:
        """The same trouble in words: which file, why, what to do. StoreFull when it passes with more room, StoreAway
        when the database is asked again.
        """
        if isinstance(error, StoreError):
            return error
        if self.sharing is not None:
            return postgresql.in_words(doing, self.name, error)
        cause = str(getattr(error, "orig", None) or error)
        if "is full" in cause or ("I/O error" in cause and self._has_no_room()):
            return StoreFull(f"cannot {doing} {self.name}: no space left on its disk ({cause}). {_ROOM}")
        return StoreBroken(f"cannot {doing} {self.name}: {cause}. {_fix(cause)}")

    def _has_no_room(self) -> bool:
        """SQLite calls some of it an I/O error: a quota, the index of its journal."""
        try:
            return shutil.disk_usage(Path(self.name).parent).free < _NO_ROOM_BYTES
        except OSError:
            return False

    def close(self) -> None:
        """Let go of every connection and file."""
        self._closed = True
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self.engine.dispose()


def _connecting(url: str) -> tuple[Engine, str]:
    """Connections to that database, and what people call it."""
    if postgresql.is_postgresql(url):
        return postgresql.make_engine(url), postgresql.shown(url)
    if not url.startswith("sqlite:"):
        known = "sqlite:////path/records.db or postgresql://user@host/database"
        raise StoreBroken(f"{url.partition(':')[0]!r} is no store that is known: {known}")
    # No limit of its own: the blocking executor already bounds how many read at once.
    engine = create_engine(url, max_overflow=-1)
    sqlite.prepare(engine)
    return engine, engine.url.database or url


def read_clock_row(connection: Connection) -> ClockRow:
    """The clock row within that transaction. Raises StoreBroken when it is missing."""
    row = connection.execute(_READ_CLOCK_ROW).first()
    if row is None:
        raise StoreBroken(f"{connection.engine.url.database} has no clock row: restore it from a backup")
    return ClockRow(*row)


def _fix(cause: str) -> str:
    words = cause.lower()
    if "malformed" in words or "not a database" in words:
        return "The file is damaged: move it away and put a backup in its place."
    if "readonly" in words or "unable to open" in words or "permission" in words:
        return "Make sure its folder exists and this user may write there."
    if "locked" in words:
        return "Another process holds it: stop that one, then try again."
    return "Check the disk and the file, then try again."
