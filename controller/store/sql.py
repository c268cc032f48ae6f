"""The store on SQL: memory for reading, group commit for writing.

Writers queue up; one task takes what has gathered, decides on it against memory, and commits it all with one fsync
while the next batch gathers. Memory and followers learn of a batch after the database has it, writers after that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import anyio
import orjson

from controller.kit.clock import Clock
from controller.kit.threads import ThreadDoor
from controller.store.database import Database, Moved
from controller.store.following import Following, KindFollower
from controller.store.memory import Memory
from controller.store.records import Change, Compacted, Happening, Record, Snapshot, Stale, StoreBroken, Verb
from crds.meta import ObjectKey

BATCH = 256
PAGE = 500


@dataclass(slots=True)
class _Write:
    """One call of `write`, waiting for its batch."""

    changes: Sequence[Change]
    by: str
    settled: anyio.Event = field(default_factory=anyio.Event)
    records: list[Record] = field(default_factory=list)
    error: Exception | None = None

    def refuse(self, error: Exception) -> None:
        self.error = error
        self.settled.set()


# `SqlStore.list` hides the built-in name inside the class.
_Writes = list[_Write]
_Records = list[Record]
_Newest = dict[ObjectKey, tuple[int, Record | None]]


@asynccontextmanager
async def open_store(url: str, *, threads: ThreadDoor, clock: Clock) -> AsyncIterator[SqlStore]:
    """The store behind a SQLAlchemy URL, made if it is not there. Leaving the block finishes pending writes.

    Raises StoreBroken naming the file when it cannot be opened.
    """
    database = await threads.run(lambda: Database(url))
    try:
        position, compacted = await threads.run(database.position)
        living, deletions = await threads.run(database.living), await threads.run(database.deletions)
        store = SqlStore(database, Memory(position, living, deletions), compacted, threads, clock)
        async with anyio.create_task_group() as group:
            group.start_soon(store.commit_for_ever)
            yield store
            with anyio.CancelScope(shield=True):
                await store.close()
            group.cancel_scope.cancel()
    finally:
        database.close()


class SqlStore:
    """Implements `controller.store.records.Store`."""

    def __init__(self, database: Database, memory: Memory, compacted: int, threads: ThreadDoor, clock: Clock) -> None:
        self._database, self._memory, self._compacted = database, memory, compacted
        self._threads, self._clock = threads, clock
        self._following = Following(memory, self._read_back, lambda: self._compacted)
        self._queue: _Writes = []
        self._work, self._idle = anyio.Event(), anyio.Event()
        self._turn = anyio.Lock()
        self._closed = False

    @property
    def revision(self) -> int:
        return self._memory.revision

    @property
    def oldest(self) -> int:
        return self._compacted

    def get(self, key: ObjectKey) -> Record | None:
        return self._memory.get(key)

    def list(self, group: str, plural: str, namespace: str | None = None) -> Snapshot:
        return self._memory.list(group, plural, namespace)

    async def write(self, changes: Sequence[Change], *, by: str) -> Sequence[Record]:
        if self._closed:
            raise StoreBroken("the store is closed; nothing was written")
        write = _Write(changes, by)
        self._queue.append(write)
        self._work.set()
        await write.settled.wait()
        if write.error is not None:
            raise write.error
        return write.records

    @asynccontextmanager
    async def follow(
        self, group: str, plural: str, *, after: int, namespace: str | None = None
    ) -> AsyncIterator[KindFollower]:
        if after < self._compacted:
            raise Compacted(after, self._compacted)
        follower = KindFollower(self._following, (group, plural), namespace, after)
        self._following.join(follower)
        try:
            yield follower
        finally:
            self._following.leave(follower)

    async def get_at(self, key: ObjectKey, revision: int) -> Record | None:
        self._check_kept(revision)
        record = await self._threads.run(lambda: self._database.newest_at(key, revision))
        self._check_kept(revision)
        return None if record is None or record.verb == "deleted" else record

    async def list_at(self, group: str, plural: str, namespace: str | None, revision: int) -> Snapshot:
        self._check_kept(revision)
        found = await self._threads.run(lambda: self._database.list_at(group, plural, namespace, revision))
        # Compaction may have run while we read: then what we read may have holes.
        self._check_kept(revision)
        return Snapshot(revision, tuple(found))

    async def history(self, key: ObjectKey) -> Sequence[Record]:
        return await self._threads.run(lambda: self._database.history(key))

    async def revision_at(self, moment: datetime) -> int:
        return await self._threads.run(lambda: self._database.revision_at(moment))

    async def compact(self, *, keep_after: int) -> int:
        keep_after = min(keep_after, self._memory.revision)
        if keep_after <= self._compacted:
            return 0
        async with self._turn:
            await self._threads.run(lambda: self._database.begin_compaction(keep_after))
        self._compacted = keep_after
        gone, start = 0, 0
        while True:
            async with self._turn:
                place = start
                some, start = await self._threads.run(lambda: self._database.forget_some(keep_after, place))  # noqa: B023
            gone += some
            if not start:
                return gone

    async def close(self) -> None:
        """Writes that were queued are committed; later ones are refused."""
        self._closed = True
        while self._queue:
            self._work.set()
            await self._queue[-1].settled.wait()
        async with self._turn:
            return

    async def commit_for_ever(self) -> None:
        """The one task that writes. Cancelling it never breaks a batch in half."""
        while True:
            await self._work.wait()
            self._work = anyio.Event()
            while self._queue:
                batch, self._queue = self._queue[:BATCH], self._queue[BATCH:]
                with anyio.CancelScope(shield=True):
                    async with self._turn:
                        await self._commit(batch)

    async def _commit(self, batch: Sequence[_Write]) -> None:
        while True:
            accepted, new = self._decided(batch)
            if not new:
                break
            try:
                await self._threads.run(lambda: self._database.append(new))  # noqa: B023
            except Moved:
                await self._catch_up()
                continue
            except StoreBroken as broken:
                for write in accepted:
                    write.refuse(broken)
                return
            self._following.wake(self._memory.apply(new))
            break
        for write in accepted:
            write.settled.set()

    def _decided(self, batch: Sequence[_Write]) -> tuple[_Writes, _Records]:
        """Which writes hold against memory and those before them in the batch, and the records they become."""
        now = self._clock.now()
        newest: _Newest = {}
        accepted: _Writes = []
        new: _Records = []
        for write in batch:
            if write.settled.is_set():
                continue
            try:
                made, seen = self._records(write, self._memory.revision + len(new), newest, now)
            except Stale as stale:
                write.refuse(stale)
                continue
            newest |= seen
            write.records = made
            new += made
            accepted.append(write)
        return accepted, new

    def _records(
        self,
        write: _Write,
        revision: int,
        newest: _Newest,
        now: datetime,
    ) -> tuple[_Records, _Newest]:
        made: _Records = []
        seen: _Newest = {}
        for change in write.changes:
            key = change.key
            previous, head = seen.get(key) or newest.get(key) or (self._memory.newest(key), self._memory.get(key))
            found = head.revision if head else 0
            if found != change.expect or (head is None and change.body is None):
                raise Stale(key, change.expect, found)
            revision += 1
            record = _made(change, head, revision, previous, now, write.by)
            made.append(record)
            seen[key] = (revision, None if record.verb == "deleted" else record)
        return made, seen

    async def _catch_up(self) -> None:
        """Take in what another process has written."""
        while True:
            after = self._memory.revision
            page = await self._threads.run(lambda: self._database.between(after, PAGE))  # noqa: B023
            if not page:
                return
            self._following.wake(self._memory.apply(page))

    async def _read_back(self, after: int) -> Sequence[Happening]:
        def read() -> Sequence[Happening]:
            page = self._database.between(after, PAGE)
            before = self._database.at([record.previous for record in page if record.verb != "created"])
            return [Happening(record, before.get(record.previous)) for record in page]

        return await self._threads.run(read)

    def _check_kept(self, revision: int) -> None:
        if revision < self._compacted:
            raise Compacted(revision, self._compacted)


def _made(change: Change, head: Record | None, revision: int, previous: int, now: datetime, by: str) -> Record:
    """The record this change becomes. A deletion keeps the last state, at its own revision."""
    verb: Verb = "deleted" if change.body is None else "updated" if head else "created"
    body = change.body
    if body is None:
        assert head is not None
        body = head.object
    meta = {**body["metadata"], "resourceVersion": str(revision)}
    whole = {**body, "metadata": meta}
    return Record(
        revision=revision,
        key=change.key,
        uid=meta.get("uid", ""),
        verb=verb,
        generation=meta.get("generation", 0),
        body=orjson.dumps(whole),
        previous=previous,
        written_at=now,
        written_by=by,
        _object=whole,
    )
