"""The blocking half of the store: SQL behind the thread door. SQLite and PostgreSQL run the same statements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    and_,
    bindparam,
    create_engine,
    delete,
    event,
    func,
    insert,
    make_url,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from controller.store.records import Record, StoreBroken, Verb
from controller.store.tables import clock, heads, metadata, records
from crds.meta import ObjectKey

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEY = ("api_group", "plural", "namespace", "name")
_INSERT = insert(records)
_NEW_HEAD = insert(heads)
_HEAD_IS = and_(*(heads.c[name] == bindparam(f"k_{name}") for name in _KEY))
_MOVE_HEAD = update(heads).where(_HEAD_IS).values(revision=bindparam("newest"))
_DROP_HEAD = delete(heads).where(_HEAD_IS)
COMPACTION_BATCH = 500


class Moved(Exception):
    """Another process has written since: catch up and decide again."""


class Database:
    """One connection writes, others read. Every method blocks; every fault is StoreBroken."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._engine = _engine(url)
        try:
            with self._engine.begin() as connection:
                metadata.create_all(connection)
                if connection.execute(select(clock.c.id)).first() is None:
                    connection.execute(insert(clock).values(id=1, revision=0, compacted=0))
            self._writer = self._engine.connect()
        except SQLAlchemyError as error:
            raise self._broken("open", error) from error

    def close(self) -> None:
        self._writer.close()
        self._engine.dispose()

    def position(self) -> tuple[int, int]:
        """(newest revision, compacted up to)."""
        with self._reading() as connection:
            row = connection.execute(select(clock.c.revision, clock.c.compacted)).one()
            return row.revision, row.compacted

    def living(self) -> list[Record]:
        """The newest record of every living key, by revision."""
        query = select(records).join(heads, heads.c.revision == records.c.revision).order_by(records.c.revision)
        with self._reading() as connection:
            return [_record(row) for row in connection.execute(query)]

    def deletions(self) -> dict[ObjectKey, int]:
        """The last kept deletion of every key that ever had one."""
        columns = [records.c[name] for name in _KEY]
        query = select(*columns, func.max(records.c.revision)).where(records.c.verb == "deleted").group_by(*columns)
        with self._reading() as connection:
            return {ObjectKey(*row[:4]): row[4] for row in connection.execute(query)}

    def append(self, new: Sequence[Record]) -> None:
        """All of them in one transaction, on disk when this returns.

        Raises Moved when the first is not the next revision, StoreBroken when the disk refuses.
        """
        try:
            with self._writer.begin():
                allocate = update(clock).values(revision=clock.c.revision + len(new)).returning(clock.c.revision)
                last = self._writer.execute(allocate).scalar_one()
                if last != new[-1].revision:
                    raise Moved
                self._writer.execute(_INSERT, [_row(record) for record in new])
                self._move_heads(new)
        except SQLAlchemyError as error:
            raise self._broken("write", error) from error

    def _move_heads(self, new: Sequence[Record]) -> None:
        first: dict[ObjectKey, Record] = {}
        last: dict[ObjectKey, Record] = {}
        for record in new:
            first.setdefault(record.key, record)
            last[record.key] = record
        made: list[dict[str, Any]] = []
        moved: list[dict[str, Any]] = []
        dropped: list[dict[str, Any]] = []
        for key, record in last.items():
            existed, exists = first[key].verb != "created", record.verb != "deleted"
            if exists and not existed:
                made.append({**dict(zip(_KEY, key, strict=True)), "revision": record.revision})
            elif existed:
                named = {f"k_{name}": value for name, value in zip(_KEY, key, strict=True)}
                (moved if exists else dropped).append({**named, "newest": record.revision} if exists else named)
        for statement, rows in ((_NEW_HEAD, made), (_MOVE_HEAD, moved), (_DROP_HEAD, dropped)):
            if rows:
                self._writer.execute(statement, rows)

    def between(self, after: int, limit: int) -> list[Record]:
        """Records with a revision above `after`, oldest first, at most `limit`."""
        query = select(records).where(records.c.revision > after).order_by(records.c.revision).limit(limit)
        with self._reading() as connection:
            return [_record(row) for row in connection.execute(query)]

    def at(self, revisions: Sequence[int]) -> dict[int, Record]:
        """Those records that are kept."""
        query = select(records).where(records.c.revision.in_(revisions))
        with self._reading() as connection:
            return {row.revision: _record(row) for row in connection.execute(query)}

    def history(self, key: ObjectKey) -> list[Record]:
        """Every kept record of that key, oldest first."""
        query = select(records).where(_is(key)).order_by(records.c.revision)
        with self._reading() as connection:
            return [_record(row) for row in connection.execute(query)]

    def newest_at(self, key: ObjectKey, revision: int) -> Record | None:
        """The record of that key that stood at `revision` (perhaps a deletion)."""
        query = select(records).where(_is(key), records.c.revision <= revision)
        with self._reading() as connection:
            row = connection.execute(query.order_by(records.c.revision.desc()).limit(1)).first()
            return _record(row) if row else None

    def list_at(self, group: str, plural: str, namespace: str | None, revision: int) -> list[Record]:
        """The living resources of one kind at `revision`, ordered by (namespace, name)."""
        wanted = [records.c.api_group == group, records.c.plural == plural, records.c.revision <= revision]
        if namespace is not None:
            wanted.append(records.c.namespace == namespace)
        newest = select(func.max(records.c.revision)).where(*wanted).group_by(records.c.namespace, records.c.name)
        query = select(records).where(records.c.revision.in_(newest), records.c.verb != "deleted")
        with self._reading() as connection:
            found = [_record(row) for row in connection.execute(query)]
        return sorted(found, key=lambda record: (record.key.namespace, record.key.name))

    def revision_at(self, moment: datetime) -> int:
        """The newest kept revision written at or before `moment`; 0 when there is none."""
        query = select(func.max(records.c.revision)).where(records.c.written_at <= _micros(moment))
        with self._reading() as connection:
            return connection.execute(query).scalar_one() or 0

    def begin_compaction(self, keep_after: int) -> None:
        """From now on nothing below `keep_after` is promised."""
        with self._writer.begin():
            self._writer.execute(update(clock).values(compacted=keep_after))

    def forget_some(self, keep_after: int, start: int) -> tuple[int, int]:
        """One small batch of superseded records above `start`: (how many went, where to go on; 0 at the end)."""
        successor = records.alias()
        newer = (
            select(successor.c.revision)
            .where(
                *(successor.c[name] == records.c[name] for name in _KEY),
                successor.c.previous == records.c.revision,
                successor.c.revision <= keep_after,
            )
            .exists()
        )
        window = (
            select(records.c.revision, records.c.verb, newer.label("superseded"))
            .where(records.c.revision > start, records.c.revision <= keep_after)
            .order_by(records.c.revision)
            .limit(COMPACTION_BATCH)
        )
        try:
            with self._writer.begin():
                rows = self._writer.execute(window).all()
                old = [row.revision for row in rows if row.superseded or row.verb == "deleted"]
                if old:
                    self._writer.execute(delete(records).where(records.c.revision.in_(old)))
        except SQLAlchemyError as error:
            raise self._broken("compact", error) from error
        return len(old), rows[-1].revision if len(rows) == COMPACTION_BATCH else 0

    def _reading(self) -> Connection:
        try:
            return self._engine.connect()
        except SQLAlchemyError as error:
            raise self._broken("read", error) from error

    def _broken(self, what: str, error: SQLAlchemyError) -> StoreBroken:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
        where = self._url.database if self._url.get_backend_name() == "sqlite" else self._url.render_as_string()
        return StoreBroken(
            f"the store cannot {what} {where}: {cause}; check that its disk has room, that its folder may be "
            "written, and that the file is whole (a backup can be put in its place while the cloud is down)"
        )


def _engine(url: str) -> Engine:
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _durable)
    return engine


def _durable(connection: Any, _: Any) -> None:
    """WAL, so that readers and the writer do not wait for each other; FULL, so that a commit is on disk."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _is(key: ObjectKey) -> Any:
    return and_(*(records.c[name] == value for name, value in zip(_KEY, key, strict=True)))


def _row(record: Record) -> dict[str, Any]:
    return {
        "revision": record.revision,
        **dict(zip(_KEY, record.key, strict=True)),
        "uid": record.uid,
        "verb": record.verb,
        "generation": record.generation,
        "body": record.body,
        "previous": record.previous,
        "written_at": _micros(record.written_at),
        "written_by": record.written_by,
    }


def _record(row: Row[Any]) -> Record:
    verb: Verb = row.verb
    return Record(
        revision=row.revision,
        key=ObjectKey(row.api_group, row.plural, row.namespace, row.name),
        uid=row.uid,
        verb=verb,
        generation=row.generation,
        body=row.body,
        previous=row.previous,
        written_at=_EPOCH + timedelta(microseconds=row.written_at),
        written_by=row.written_by,
    )


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
