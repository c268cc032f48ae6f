"""Forgetting: records that were superseded long enough ago, in batches small enough for nobody to notice.

What is superseded at or before `keep_after` goes, and so do deletions up to there. The clock row learns
`compacted` before the first record goes: whoever reads a gap has been told. Oldest first, so that a crash
between two batches leaves no key with its middle missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, delete, exists, select, update

from controller.kit.threads import BlockingExecutor
from controller.store.backend import SqlBackend, read_clock_row
from controller.store.group_commit import GroupCommitter
from controller.store.memory_index import MemoryIndex
from controller.store.tables import clock, heads, records

BATCH = 500
"""Records forgotten in one commit: a few milliseconds during which writers wait."""


class Compactor:
    """As `Store.compact`."""

    def __init__(
        self, disk: SqlBackend, memory: MemoryIndex, writing: GroupCommitter, threads: BlockingExecutor
    ) -> None:
        self._disk, self._memory, self._writing, self._threads = disk, memory, writing, threads

    async def run(self, keep_after: int) -> int:
        """How many records went. Raises StoreFull or StoreBroken; what went before stays gone, to be run again."""
        keep_after = min(keep_after, self._memory.revision)
        if keep_after <= 0:
            return 0
        try:
            return await self._run(keep_after)
        except self._disk.errors as error:
            raise self._disk.broken("compact", error) from error

    async def _run(self, keep_after: int) -> int:
        async with self._writing.disk_lock:
            oldest = await self._threads.run(lambda: self._announce(keep_after))
        self._memory.oldest = max(self._memory.oldest, oldest)
        gone, cursor = 0, 0
        while found := await self._threads.run(lambda: self._find(cursor, keep_after)):  # noqa: B023
            async with self._writing.disk_lock:
                await self._threads.run(lambda: self._forget(found))
            gone, cursor = gone + len(found), found[-1]
        self._memory.forget_tombstones(keep_after)
        return gone

    def _announce(self, keep_after: int) -> int:
        with self._transaction():
            clock_row = read_clock_row(self._writer())
            if clock_row.compacted >= keep_after:
                return clock_row.compacted
            written_at = select(records.c.written_at).where(records.c.revision <= keep_after)
            newest = self._writer().execute(written_at.order_by(records.c.revision.desc()).limit(1)).scalar()
            values = {"compacted": keep_after, "compacted_at": newest or clock_row.compacted_at}
            self._writer().execute(update(clock).where(clock.c.compacted < keep_after).values(values))
            return keep_after

    def _find(self, after: int, keep_after: int) -> list[int]:
        # On a reader's connection: looking for them may take long, and must hold up nobody.
        later = records.alias()
        columns = ("api_group", "plural", "namespace", "name")
        same = [later.c[name] == records.c[name] for name in columns]
        superseded = exists().where(*same, later.c.previous == records.c.revision, later.c.revision <= keep_after)
        query = select(records.c.revision).where(records.c.revision > after, records.c.revision <= keep_after)
        query = query.where((records.c.verb == "deleted") | superseded).order_by(records.c.revision).limit(BATCH)
        with self._disk.reading() as connection:
            return list(connection.execute(query).scalars())

    def _forget(self, revisions: list[int]) -> None:
        with self._transaction():
            self._writer().execute(delete(records).where(records.c.revision.in_(revisions)))
            self._writer().execute(delete(heads).where(~heads.c.living, heads.c.revision.in_(revisions)))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with self._writer().begin():
                if self._disk.sharing is not None:
                    self._disk.sharing.hold_to_lead(self._writer())
                yield
        except BaseException:
            self._disk.drop_writer()
            raise

    def _writer(self) -> Connection:
        return self._disk.writer()
