"""Watching: every follower has a place in the history and nothing else.

A write touches only followers that wait for its kind; those that are slow, or gone without a word, cost it
nothing. Who is further behind than the memory reaches reads pages from disk, and who is behind compaction
is told so. Each has an event of its own: a condition shared by many can lose a wake-up when waiters are
cancelled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence

import anyio

from controller.store.history import History
from controller.store.memory import EVERY_KIND, Kind, Memory
from controller.store.records import Compacted, Follower, Happening

PAGE = 500
"""Happenings in one step at most: what one slow follower holds in its hands."""
PAGE_BYTES = 2**18
"""The same in bytes of their bodies; one that is bigger comes alone."""


class Following:
    """Those who wait, by kind."""

    def __init__(self, memory: Memory, history: History) -> None:
        self.memory, self.history = memory, history
        self.waiting: dict[Kind, set[CursorFollower]] = {}
        self.followers: set[CursorFollower] = set()
        memory.wake = self._wake

    def catch_up_the_idle(self) -> None:
        """Before compaction: who has missed nothing must not be called late for standing at an old revision."""
        for follower in self.followers:
            follower.catch_up_if_idle()

    def _wake(self, kinds: set[Kind], before: int) -> None:
        for kind in kinds:
            for follower in self.waiting.pop(kind, ()):
                follower.wake(before)


class CursorFollower:
    """As `Movable`. Its own iterator: a cancelled wait ends a generator, but not this."""

    def __init__(self, shared: Following, kind: Kind, namespace: str | None, after: int) -> None:
        self._shared, self._kind, self._namespace = shared, kind, namespace
        self._cursor = after
        self._news = anyio.Event()

    @property
    def position(self) -> int:
        """Everything of this kind up to this revision was handed out."""
        memory = self._shared.memory
        return max(self._cursor, memory.revision) if self.level else self._cursor

    @property
    def level(self) -> bool:
        """Whether everything of this kind was handed out."""
        return self._shared.memory.last(self._kind) <= self._cursor

    def stand_at(self, revision: int) -> None:
        """Go on after that revision."""
        self._cursor = revision

    def __aiter__(self) -> AsyncIterator[Sequence[Happening]]:
        return self

    async def __anext__(self) -> Sequence[Happening]:
        while True:
            await self._wait_for_news()
            batch, reached = await self._read()
            self._cursor = max(self._cursor, reached)
            if batch:
                return batch

    def wake(self, before: int) -> None:
        """Something happened after revision `before`; while it waited, up to there, nothing did."""
        self._cursor = max(self._cursor, before)
        self._news.set()

    def catch_up_if_idle(self) -> None:
        """Stand at the newest revision when nothing of this kind has happened since the cursor."""
        self._cursor = self.position

    async def _wait_for_news(self) -> None:
        while self.level:
            self.catch_up_if_idle()
            self._news = anyio.Event()
            among = self._shared.waiting.setdefault(self._kind, set())
            among.add(self)
            try:
                await self._news.wait()
            finally:
                self.leave()

    async def _read(self) -> tuple[Sequence[Happening], int]:
        memory = self._shared.memory
        if not memory.recalls(self._cursor):
            return await self._shared.history.page(
                self._cursor, memory.revision, self._kind, self._namespace, PAGE, PAGE_BYTES
            )
        upto = min(memory.revision, self._cursor + PAGE)
        happenings = memory.recent(self._cursor, upto, PAGE_BYTES)
        if happenings and len(happenings) < upto - self._cursor:
            upto = happenings[-1].record.revision
        return [each for each in happenings if self._wants(each)], upto

    def _wants(self, happening: Happening) -> bool:
        key = happening.record.key
        of_kind = self._kind == EVERY_KIND or key[:2] == self._kind
        return of_kind and (self._namespace is None or key.namespace == self._namespace)

    def leave(self) -> None:
        """Wait no longer. An empty set goes too, so that kinds nobody follows leave no trace."""
        among = self._shared.waiting.get(self._kind)
        if among is not None:
            among.discard(self)
            if not among:
                del self._shared.waiting[self._kind]


def begin(shared: Following, kind: Kind, namespace: str | None, after: int) -> CursorFollower:
    """A follower from there on. Raises Compacted when that is too old."""
    if after < shared.memory.oldest:
        raise Compacted(after, shared.memory.oldest)
    follower = CursorFollower(shared, kind, namespace, after)
    shared.followers.add(follower)
    return follower


def end(shared: Following, follower: CursorFollower) -> None:
    """It will not be asked again."""
    follower.leave()
    shared.followers.discard(follower)


class ConvertedFollower:
    """`follower`, each of its happenings told as those that `convert` makes of it; batches of none are passed over.
    Its own iterator, as `CursorFollower` is.
    """

    def __init__(self, follower: Follower, convert: Callable[[Happening], Iterable[Happening]]) -> None:
        self._follower, self._convert = follower, convert
        self._batches = follower.__aiter__()

    @property
    def position(self) -> int:
        """As `Follower`."""
        return self._follower.position

    def __aiter__(self) -> AsyncIterator[Sequence[Happening]]:
        return self

    async def __anext__(self) -> Sequence[Happening]:
        while True:
            batch = await self._batches.__anext__()
            if told := [each for happening in batch for each in self._convert(happening)]:
                return told
