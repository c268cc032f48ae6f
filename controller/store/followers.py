"""Watching: every follower has a position in the history and nothing else.

A write touches only followers that wait for its kind; those that are slow, or gone without a word, cost it
nothing. Who is further behind than the memory reaches reads pages from disk, and who is behind compaction
is told so. Each has an event of its own: a condition shared by many can lose a wake-up when waiters are
cancelled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress

import anyio

from controller.store.history import History
from controller.store.memory_index import EVERY_KIND, KindKey, MemoryIndex
from controller.store.records import Compacted, Follower, StoreAway, StoreEvent

PAGE = 500
"""Events in one step at most: what one slow follower holds in its hands."""
PAGE_BYTES = 2**18
"""The same in bytes of their bodies; one that is bigger comes alone."""
AWAY_SECONDS = 0.5
"""Between two times that a database that is away is asked for a page."""


class FollowerSet:
    """Registry of all followers, and of those that wait, by kind."""

    def __init__(self, memory: MemoryIndex, history: History) -> None:
        self.memory, self.history = memory, history
        self.waiting: dict[KindKey, set[CursorFollower]] = {}
        self.followers: set[CursorFollower] = set()
        memory.wake = self._wake

    def catch_up_idle(self) -> None:
        """Before compaction: one that has missed nothing must not be called late for standing at an old revision."""
        for follower in self.followers:
            follower.catch_up_if_idle()

    def _wake(self, kinds: set[KindKey], before: int) -> None:
        for kind in kinds:
            for follower in self.waiting.pop(kind, ()):
                follower.wake(before)


class CursorFollower:
    """As `SeekableFollower`. Its own iterator: a cancelled wait ends a generator, but not this."""

    def __init__(self, shared: FollowerSet, kind: KindKey, namespace: str | None, after: int) -> None:
        self._shared, self._kind, self._namespace = shared, kind, namespace
        self._cursor = after
        self._woken = anyio.Event()

    @property
    def position(self) -> int:
        """Everything of this kind up to this revision was handed out."""
        memory = self._shared.memory
        return max(self._cursor, memory.revision) if self.caught_up else self._cursor

    @property
    def caught_up(self) -> bool:
        """Whether everything of this kind was handed out."""
        return self._shared.memory.last(self._kind) <= self._cursor

    def seek(self, revision: int) -> None:
        """Go on after that revision."""
        self._cursor = revision

    def __aiter__(self) -> AsyncIterator[Sequence[StoreEvent]]:
        return self

    async def __anext__(self) -> Sequence[StoreEvent]:
        while True:
            await self._wait_for_events()
            batch, reached = await self._read()
            self._cursor = max(self._cursor, reached)
            if batch:
                return batch

    def wake(self, before: int) -> None:
        """Wake it: something happened after revision `before`; while it waited, up to there, nothing did."""
        self._cursor = max(self._cursor, before)
        self._woken.set()

    def catch_up_if_idle(self) -> None:
        """Stand at the newest revision when nothing of this kind has happened since the cursor."""
        self._cursor = self.position

    async def _wait_for_events(self) -> None:
        while self.caught_up:
            self.catch_up_if_idle()
            self._woken = anyio.Event()
            among = self._shared.waiting.setdefault(self._kind, set())
            among.add(self)
            try:
                await self._woken.wait()
            finally:
                self.leave()

    async def _read(self) -> tuple[Sequence[StoreEvent], int]:
        memory = self._shared.memory
        if not memory.covers(self._cursor):
            return await self._page()
        upto = min(memory.revision, self._cursor + PAGE)
        events = memory.recent(self._cursor, upto, PAGE_BYTES)
        if events and len(events) < upto - self._cursor:
            upto = events[-1].record.revision
        return [each for each in events if self._wants(each)], upto

    async def _page(self) -> tuple[Sequence[StoreEvent], int]:
        """From disk. While the database is away, whoever watches waits as for any event: nothing can happen in it."""
        while True:
            newest = self._shared.memory.revision
            with suppress(StoreAway):
                return await self._shared.history.page(
                    self._cursor, newest, self._kind, self._namespace, PAGE, PAGE_BYTES
                )
            await anyio.sleep(AWAY_SECONDS)

    def _wants(self, event: StoreEvent) -> bool:
        key = event.record.key
        of_kind = self._kind == EVERY_KIND or key[:2] == self._kind
        return of_kind and (self._namespace is None or key.namespace == self._namespace)

    def leave(self) -> None:
        """Wait no longer. An empty set goes too, so that kinds nobody follows leave no trace."""
        among = self._shared.waiting.get(self._kind)
        if among is not None:
            among.discard(self)
            if not among:
                del self._shared.waiting[self._kind]


def begin(shared: FollowerSet, kind: KindKey, namespace: str | None, after: int) -> CursorFollower:
    """A follower from there on. Raises Compacted when that is too old."""
    if after < shared.memory.oldest:
        raise Compacted(after, shared.memory.oldest)
    follower = CursorFollower(shared, kind, namespace, after)
    shared.followers.add(follower)
    return follower


def end(shared: FollowerSet, follower: CursorFollower) -> None:
    """Drop a follower that will not be asked again."""
    follower.leave()
    shared.followers.discard(follower)


class ConvertedFollower:
    """`follower`, each of its events replaced by those that `convert` makes of it; batches of none are passed over.
    Its own iterator, as `CursorFollower` is.
    """

    def __init__(self, follower: Follower, convert: Callable[[StoreEvent], Iterable[StoreEvent]]) -> None:
        self._follower, self._convert = follower, convert
        self._batches = follower.__aiter__()

    @property
    def position(self) -> int:
        """As `Follower`."""
        return self._follower.position

    def __aiter__(self) -> AsyncIterator[Sequence[StoreEvent]]:
        return self

    async def __anext__(self) -> Sequence[StoreEvent]:
        while True:
            batch = await self._batches.__anext__()
            if converted := [each for event in batch for each in self._convert(event)]:
                return converted
