"""A queue of keys to work on, with the time before which each is not handed out.

Knows nothing about kinds. Kind controllers put keys in and take them out. Bounded by nature: it holds each distinct
key at most once, however often it is added.

Promises: a key is never handed out twice at once; what is added while in work is handed out once more afterwards;
an addition cancels the key's delay, and a new delay replaces the old one.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio
import anyio.lowlevel

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class QueueState:
    """A work queue at one moment. `depth`: keys that wait for a worker; `delayed`: those whose time has not come;
    `working`: those in work; `oldest_seconds`: how long the first of those that wait has done so."""

    depth: int
    delayed: int
    working: int
    oldest_seconds: float


class WorkQueue(Generic[K]):
    """One event loop uses it; any number of workers wait on it."""

    def __init__(self) -> None:
        # With the time since which each waits.
        self._ready: dict[K, float] = {}
        self._once_more: dict[K, float] = {}
        self._working: set[K] = set()
        self._due: dict[K, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()
        self._changed = anyio.Event()

    def __len__(self) -> int:
        """Distinct keys that wait, with or without a delay."""
        return len(self._ready) + len(self._once_more.keys() | self._due.keys())

    def state(self) -> QueueState:
        """A snapshot: how much waits, and for how long."""
        since = [*self._ready.values(), *self._once_more.values()]
        oldest = anyio.current_time() - min(since) if since else 0.0
        return QueueState(len(since), len(self._due), len(self._working), max(oldest, 0.0))

    def holds(self, key: K) -> bool:
        """Whether the key waits, is delayed or is in work: it needs no reminder."""
        return key in self._ready or key in self._working or key in self._due

    def add(self, key: K) -> None:
        """Hand out `key` as soon as a worker is free."""
        self._due.pop(key, None)
        self._push(key, anyio.current_time())

    def add_after(self, key: K, seconds: float) -> None:
        """Hand out `key` in that many seconds, unless it is due sooner anyway."""
        if key in self._ready or key in self._once_more:
            return
        entry = (anyio.current_time() + max(seconds, 0.0), next(self._order))
        self._due[key] = entry
        heapq.heappush(self._heap, (*entry, key))
        self._sweep()
        self._wake()

    async def get(self) -> K:
        """The next key, now in work until `done`. Waits for ever when nothing is added."""
        # Before anything is taken: a cancelled worker must not walk away with a key.
        await anyio.lowlevel.checkpoint()
        while True:
            self._promote()
            if self._ready:
                return self._take()
            changed = self._changed
            with anyio.CancelScope(deadline=self._next_due()):
                await changed.wait()

    def done(self, key: K) -> None:
        """The work on `key` has ended. Raises KeyError when it was not in work."""
        self._working.remove(key)
        since = self._once_more.pop(key, None)
        if since is not None:
            self._push(key, since)
        elif not self._ready and not self._working:
            self._wake()

    async def idle(self) -> None:
        """Wait until nothing is ready or in work; delayed keys do not count."""
        while self._ready or self._working:
            changed = self._changed
            await changed.wait()

    def _push(self, key: K, since: float) -> None:
        if key in self._working:
            self._once_more.setdefault(key, since)
            return
        self._ready.setdefault(key, since)
        self._wake()

    def _take(self) -> K:
        key = next(iter(self._ready))
        del self._ready[key]
        self._working.add(key)
        return key

    def _promote(self) -> None:
        """Delays that are over become ready (or once more, when the key is in work)."""
        now = anyio.current_time()
        while self._heap and (self._heap[0][0] <= now or self._stale(self._heap[0])):
            entry = heapq.heappop(self._heap)
            if not self._stale(entry):
                del self._due[entry[2]]
                self._push(entry[2], entry[0])

    def _next_due(self) -> float:
        return self._heap[0][0] if self._heap else math.inf

    def _stale(self, entry: tuple[float, int, K]) -> bool:
        return self._due.get(entry[2]) != entry[:2]

    def _sweep(self) -> None:
        """Replaced delays leave the heap, so that it stays as small as the number of keys."""
        if len(self._heap) > 2 * len(self._due) + 64:
            self._heap = [(*entry, key) for key, entry in self._due.items()]
            heapq.heapify(self._heap)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
