"""Followers: each has a number (how far it has read) and an event (wake me). Nothing else is kept for one,

so a follower that never reads again costs a writer nothing. No lock is shared between them: a cancelled wait on a
shared condition can keep everybody else waiting for ever.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import anyio

from controller.store.memory import KindPlace, Memory
from controller.store.records import Compacted, Happening
from crds.meta import ObjectKey

EVERYTHING: KindPlace = ("", "*")
ReadBack = Callable[[int], Awaitable[Sequence[Happening]]]


class Following:
    """All followers of one store."""

    def __init__(self, memory: Memory, read_back: ReadBack, oldest: Callable[[], int]) -> None:
        self.memory, self.read_back, self.oldest = memory, read_back, oldest
        self._by_kind: dict[KindPlace, set[KindFollower]] = {}

    def join(self, follower: KindFollower) -> None:
        self._by_kind.setdefault(follower.place, set()).add(follower)

    def leave(self, follower: KindFollower) -> None:
        self._by_kind[follower.place].discard(follower)

    def wake(self, kinds: set[KindPlace]) -> None:
        """Something of these kinds happened."""
        for place in (*kinds, EVERYTHING):
            for follower in self._by_kind.get(place, ()):
                follower.wake()


class KindFollower:
    """Hands out what happened to one kind, in order, from a revision on."""

    def __init__(self, house: Following, place: KindPlace, namespace: str | None, after: int) -> None:
        self.place = place
        self._house, self._namespace, self._cursor = house, namespace, after
        self._woken = anyio.Event()

    @property
    def position(self) -> int:
        """Everything of this kind up to this revision was handed out."""
        memory = self._house.memory
        if self._cursor >= memory.ring_starts_after and not any(map(self._is_ours, memory.since(self._cursor))):
            self._cursor = max(self._cursor, memory.revision)
        return self._cursor

    def wake(self) -> None:
        self._woken.set()

    def __aiter__(self) -> AsyncIterator[Sequence[Happening]]:
        return self

    async def __anext__(self) -> Sequence[Happening]:
        while True:
            self._woken = anyio.Event()
            if batch := await self._next():
                return batch
            if self._cursor >= self._house.memory.revision:
                await self._woken.wait()

    async def _next(self) -> Sequence[Happening]:
        """The next batch, perhaps empty; moves the cursor only when it has it in hand."""
        memory = self._house.memory
        if self._cursor >= memory.revision:
            return ()
        if self._cursor >= memory.ring_starts_after:
            batch = [each for each in memory.since(self._cursor) if self._is_ours(each)]
            self._cursor = memory.revision
            return batch
        if self._cursor < self._house.oldest():
            raise Compacted(self._cursor, self._house.oldest())
        page = await self._house.read_back(self._cursor)
        if page:
            self._cursor = page[-1].record.revision
        return [each for each in page if self._is_ours(each)]

    def _is_ours(self, happening: Happening) -> bool:
        key: ObjectKey = happening.record.key
        if self.place != EVERYTHING and key[:2] != self.place:
            return False
        return self._namespace is None or key.namespace == self._namespace
