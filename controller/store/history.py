"""The time machine: what stood at a revision, what happened after it. Reads from disk, in one snapshot each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, func, select

from controller.kit.threads import BlockingExecutor
from controller.store import tables
from controller.store.backend import SqlBackend, read_clock_row
from controller.store.memory_index import EVERY_KIND, KindKey
from controller.store.records import Compacted, Record, StoreEvent
from controller.store.tables import records
from crds.meta import ObjectKey

T = TypeVar("T")


class History:
    """Every question about the past that memory can not answer."""

    def __init__(self, disk: SqlBackend, threads: BlockingExecutor) -> None:
        self._disk, self._threads = disk, threads

    async def get_at(self, key: ObjectKey, revision: int) -> Record | None:
        """The resource as it stood then. Raises Compacted."""
        newest = _of_key(key).where(records.c.revision <= revision).order_by(records.c.previous.desc()).limit(1)

        def look(connection: Connection) -> Record | None:
            _refuse_forgotten(connection, revision)
            row = connection.execute(newest).first()
            return None if row is None or row.verb == "deleted" else self._disk.to_record(row)

        return await self._read(look)

    async def list_at(self, kind: KindKey, namespace: str | None, revision: int) -> Sequence[Record]:
        """The kind as it stood then, ordered by (namespace, name). Raises Compacted."""
        wanted = [*_of_kind(kind, namespace), records.c.revision <= revision]
        newest = select(func.max(records.c.revision)).where(*wanted).group_by(*_key_columns())
        query = select(records).where(records.c.revision.in_(newest), records.c.verb != "deleted")

        def look(connection: Connection) -> Sequence[Record]:
            _refuse_forgotten(connection, revision)
            found = [self._disk.to_record(row) for row in connection.execute(query)]
            # Here and not in SQL: databases disagree about the order of letters.
            return tuple(sorted(found, key=lambda record: record.key))

        return await self._read(look)

    async def of(self, key: ObjectKey, most_bytes: int | None) -> Sequence[Record]:
        """Every kept record of that key, oldest first; with `most_bytes` the newest, of so many bytes together."""
        query = _of_key(key).order_by(records.c.previous)
        sizes = _of_key(key).with_only_columns(records.c.revision, func.length(records.c.body))
        sizes = sizes.order_by(records.c.previous.desc())

        def look(connection: Connection) -> Sequence[Record]:
            wanted = query
            if most_bytes is not None:
                chosen = _within(connection.execute(sizes).all(), most_bytes)
                wanted = query.where(records.c.revision >= min(chosen, default=0))
            return [self._disk.to_record(row) for row in connection.execute(wanted)]

        return await self._read(look)

    async def revision_at(self, moment: datetime) -> int:
        """The newest revision written at or before that moment; 0 when its state is no longer kept."""
        asked = tables.to_microseconds(moment)
        # Newest first: people ask about the last hours. No index then, which every write would pay for.
        newest = select(records.c.revision).where(records.c.written_at <= asked)
        newest = newest.order_by(records.c.revision.desc()).limit(1)

        def look(connection: Connection) -> int:
            clock_row = read_clock_row(connection)
            if asked < clock_row.compacted_at:  # before a search through all there is
                return 0
            found: int = connection.execute(newest).scalar() or 0
            return max(found, clock_row.compacted)

        return await self._read(look)

    async def page(
        self, after: int, upto: int, kind: KindKey, namespace: str | None, limit: int, most_bytes: int = 2**24
    ) -> tuple[Sequence[StoreEvent], int]:
        """The first events in (after, upto], and the revision up to which they tell everything.

        At most `limit`, and of `most_bytes` together, but for a first that is bigger.
        """
        span = [*_of_kind(kind, namespace), records.c.revision > after, records.c.revision <= upto]
        sizes = select(records.c.revision, func.length(records.c.body)).where(*span)
        sizes = sizes.order_by(records.c.revision).limit(limit)

        def look(connection: Connection) -> tuple[Sequence[StoreEvent], int]:
            _refuse_forgotten(connection, after)
            listed = connection.execute(sizes).all()
            chosen = _within(listed, most_bytes)
            query = select(records).where(records.c.revision.in_(chosen)).order_by(records.c.revision)
            found = [self._disk.to_record(row) for row in connection.execute(query)]
            whole = len(chosen) == len(listed) < limit
            before = self._by_revision(connection, [each.previous for each in found if each.previous])
            events = [StoreEvent(each, before.get(each.previous)) for each in found]
            return events, upto if whole else found[-1].revision

        return await self._read(look)

    def _by_revision(self, connection: Connection, revisions: Sequence[int]) -> dict[int, Record]:
        rows = connection.execute(select(records).where(records.c.revision.in_(revisions)))
        return {row.revision: self._disk.to_record(row) for row in rows}

    async def _read(self, look: Callable[[Connection], T]) -> T:
        def work() -> T:
            try:
                with self._disk.reading() as connection:
                    return look(connection)
            except self._disk.errors as error:
                raise self._disk.broken("read", error) from error

        return await self._threads.run(work)


def _refuse_forgotten(connection: Connection, revision: int) -> None:
    oldest = read_clock_row(connection).compacted
    if revision < oldest:
        raise Compacted(revision, oldest)


def _within(listed: Sequence[Any], most_bytes: int) -> list[int]:
    """The first revisions whose bodies are of so many bytes together; always one, if there is any."""
    chosen, weight = list[int](), 0
    for revision, size in listed:
        weight += size
        if chosen and weight > most_bytes:
            break
        chosen.append(revision)
    return chosen


def _key_columns() -> list[ColumnElement[Any]]:
    return [records.c.api_group, records.c.plural, records.c.namespace, records.c.name]


def _of_key(key: ObjectKey) -> Select[Any]:
    return select(records).where(*(column == part for column, part in zip(_key_columns(), key, strict=True)))


def _of_kind(kind: KindKey, namespace: str | None) -> list[ColumnElement[bool]]:
    wanted = [] if kind == EVERY_KIND else [records.c.api_group == kind[0], records.c.plural == kind[1]]
    return wanted if namespace is None else [*wanted, records.c.namespace == namespace]
