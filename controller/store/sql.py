"""The store on a SQL database. The front door of this room: `await open_store("sqlite:////path/records.db", ...)`, or
with a URL of PostgreSQL.

How the rooms behind it share the work: `writing` brings changes to `disk` in batches, then tells `memory`;
reads ask `memory`, `following` wakes those who watch, `history` and `compacting` deal with the past.

Several processes may open the same database: revisions stay gapless and nothing stale is written, because the
clock row is moved only from where the writer believes it stands. On PostgreSQL each hears of what others wrote, a
moment later (`listening`). Of a file, a process sees what others wrote only when it writes itself: there, the
conductor is meant to be alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from datetime import datetime

import anyio.lowlevel

from controller.kit.clock import Clock
from controller.kit.threads import BlockingExecutor
from controller.store import followers, postgresql
from controller.store.backend import SqlBackend
from controller.store.compaction import Compactor
from controller.store.group_commit import GroupCommitter
from controller.store.history import History
from controller.store.listening import Listener
from controller.store.memory_index import RECENT, MemoryIndex
from controller.store.metrics import StoreMetrics
from controller.store.records import (
    Change,
    Follower,
    FollowingStore,
    Record,
    Snapshot,
    Store,
    StoreBroken,
    StoreError,
)
from controller.store.resealing import reseal
from controller.store.sealing import Sealing
from controller.store.sharing import NOBODYS
from controller.store.upgrading import KindUpgrades, Upgrading
from crds.meta import ObjectKey


async def open_store(
    url: str,
    *,
    threads: BlockingExecutor,
    clock: Clock,
    recent: int = RECENT,
    sealing: Sealing | None = None,
    upgrades: KindUpgrades | None = None,
    epoch: int = 0,
) -> Store:
    """Open it, made new if it is not there. `recent`: how many events followers find in memory. `sealing`: what
    of it is unreadable on disk. `upgrades`: what brings older bodies up to date as they are read. `epoch`: of the
    lead (`leading.Lead`) that all writes are held to; 0 for a store without one.

    Raises StoreBroken, naming the file and the fix, when it is damaged or may not be written, StoreFull when there is
    no room for it, StoreAway when its server does not answer.
    """
    store = SqlStore(url, threads, clock, recent, sealing, Upgrading(upgrades or {}))
    store.lead(epoch)
    await store.start()
    return store


async def follow_store(
    url: str,
    *,
    threads: BlockingExecutor,
    clock: Clock,
    sealing: Sealing | None = None,
    upgrades: KindUpgrades | None = None,
) -> FollowingStore:
    """Open a store in PostgreSQL to be read and watched while another process leads. Its tables are there
    (`prepare`), and nothing is changed in it. Raises as `open_store`.
    """
    store = SqlStore(url, threads, clock, RECENT, sealing, Upgrading(upgrades or {}))
    store.lead(NOBODYS)
    await store.fill()
    return store


def prepare(url: str) -> None:
    """Make what is missing in that database, as opening it does. Blocking. Raises as `open_store`."""
    with closing(SqlBackend(url)) as disk:
        try:
            disk.create()
        except disk.errors as error:
            raise disk.broken("open", error) from error


class SqlStore:
    """As `Store`."""

    def __init__(
        self,
        url: str,
        threads: BlockingExecutor,
        clock: Clock,
        recent: int,
        sealing: Sealing | None,
        upgrading: Upgrading,
    ) -> None:
        if url in ("sqlite://", "sqlite:///:memory:"):
            raise StoreBroken(f"{url} forgets everything; name a file, as in sqlite:////path/records.db")
        self._threads, self._sealing, self._url = threads, sealing, url
        self._disk = SqlBackend(url, sealing, upgrading)
        self._memory = MemoryIndex(recent)
        self._history = History(self._disk, threads)
        self._writing = GroupCommitter(self._disk, self._memory, threads, clock)
        self._compacting = Compactor(self._disk, self._memory, self._writing, threads)
        self._following = followers.FollowerSet(self._memory, self._history)
        self._listener: Listener | None = None

    async def start(self) -> None:
        """Make what is missing and fill the memory. Raises StoreBroken or StoreFull."""
        await self._open(self._make)

    async def fill(self) -> None:
        """Fill the memory, and change nothing. Raises as `start`."""
        await self._open(anyio.lowlevel.checkpoint)

    async def _make(self) -> None:
        await self._threads.run(self._disk.create)
        if (sealing := self._sealing) is not None:
            await self._threads.run(lambda: reseal(self._disk, sealing))

    async def _open(self, before: Callable[[], Awaitable[None]]) -> None:
        try:
            await before()
            await self._writing.rebuild()
            if self._disk.sharing is not None:
                self._listener = Listener(postgresql.connector(self._url), self._disk, self._memory, self._writing)
                self._listener.start()
        except StoreError:
            await self._threads.run(self._disk.close)
            raise
        except self._disk.errors as error:
            await self._threads.run(self._disk.close)
            raise self._disk.broken("open", error) from error

    def lead(self, epoch: int) -> None:
        """All writes are held to that epoch from now on."""
        if self._disk.sharing is not None:
            self._disk.sharing.epoch = epoch

    async def catch_up(self) -> None:
        """As `FollowingStore.catch_up`."""
        try:
            await self._writing.catch_up()
        except self._disk.errors as error:
            raise self._disk.broken("read", error) from error

    @property
    def revision(self) -> int:
        return self._memory.revision

    @property
    def oldest(self) -> int:
        return self._memory.oldest

    @property
    def trouble(self) -> StoreError | None:
        return self._writing.trouble

    @property
    def metrics(self) -> StoreMetrics:
        return self._writing.metrics

    def last(self, group: str, plural: str) -> int:
        return self._memory.last((group, plural))

    def get(self, key: ObjectKey) -> Record | None:
        return self._memory.get(key)

    def list(self, group: str, plural: str, namespace: str | None = None) -> Snapshot:
        return Snapshot(self._memory.revision, self._memory.list((group, plural), namespace))

    async def write(self, changes: Sequence[Change], *, by: str) -> Sequence[Record]:
        """As `Store.write`. Raises ValueError for a deletion that expects nothing to be there."""
        for change in changes:
            if change.body is None and change.expect == 0:
                raise ValueError("a deletion must expect the revision it deletes")
        return await self._writing.write(changes, by) if changes else ()

    def follow(
        self, group: str, plural: str, *, after: int, namespace: str | None = None
    ) -> AbstractAsyncContextManager[Follower]:
        return self._follow((group, plural), namespace, after)

    @asynccontextmanager
    async def _follow(self, kind: tuple[str, str], namespace: str | None, after: int) -> AsyncIterator[Follower]:
        follower = followers.begin(self._following, kind, namespace, after)
        try:
            yield follower
        finally:
            followers.end(self._following, follower)

    async def get_at(self, key: ObjectKey, revision: int) -> Record | None:
        return await self._history.get_at(key, min(revision, self.revision))

    async def list_at(self, group: str, plural: str, namespace: str | None, revision: int) -> Snapshot:
        """As `Store.list_at`; a revision that is still to come means the newest."""
        asked = min(revision, self.revision)
        return Snapshot(asked, await self._history.list_at((group, plural), namespace, asked))

    async def history(self, key: ObjectKey, *, most_bytes: int | None = None) -> Sequence[Record]:
        return await self._history.of(key, most_bytes)

    async def revision_at(self, moment: datetime) -> int:
        return min(await self._history.revision_at(moment), self.revision)

    async def compact(self, *, keep_after: int) -> int:
        self._following.catch_up_idle()
        return await self._compacting.run(keep_after)

    async def close(self) -> None:
        """As `Store.close`. Compaction ends at its next batch with StoreBroken."""
        await self._writing.close()
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop()
            await self._threads.run(listener.join)
        async with self._writing.disk_lock:
            await self._threads.run(self._disk.close)
