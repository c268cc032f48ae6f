"""What the store needs now and then: large blocks of fresh ones, an end of what is too old or too much."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence

from services.logs_manager.directory import Directory
from services.logs_manager.store.log_store import LogStore
from services.logs_manager.store.streams import Group, Stream
from services.logs_manager.store.tables import StreamSize
from services.sdk.reconcile import Clock

MOST_BYTES = 8 << 30
"""Of all groups."""
_MERGE_SECONDS, _MEASURE_SECONDS, _FORGET_SECONDS = 5.0, 60.0, 600.0
_IDLE_MS = 7 * 86_400_000


async def keep_to(store: LogStore, streams: Sequence[Stream], most: int) -> set[str]:
    """Where all of these have more bytes than `most`, the namespace that has most pays with its oldest lines, not the
    others. The namespaces that did. Raises sqlite3.Error.
    """
    left, paid = defaultdict[str, list[Stream]](list), set[str]()
    for each in streams:
        left[each.namespace].append(each)
    while left:
        stored = {id: each.stored for id, each in (await store.sizes()).items()}
        surplus = sum(stored.get(each.id, 0) for each in streams) - most
        if surplus <= 0:
            break
        sizes = {name: sum(stored.get(each.id, 0) for each in found) for name, found in left.items()}
        largest = max(sizes, key=sizes.__getitem__)
        await store.shrink(left.pop(largest), max(sizes[largest] - surplus - most // 20, 0))
        paid.add(largest)
    return paid


class Upkeep:
    """A task of the service. `sizes`: of each stream, as last measured; `over`: groups that had too much."""

    def __init__(self, store: LogStore, directory: Directory, clock: Clock) -> None:
        self._store, self._directory, self._clock = store, directory, clock
        self.sizes: dict[int, StreamSize] = {}
        self.over: set[Group] = set()

    def fault(self) -> str | None:
        """Of what is kept."""
        if not (count := len(self._store.unreadable)):
            return None
        return f"{count} blocks of lines are damaged, or of a version to come: they are passed over"

    @property
    def stored(self) -> int:
        return sum(each.stored for each in self.sizes.values())

    async def run(self) -> None:
        """Raises sqlite3.Error: it is begun again."""
        await self._directory.groups.synced.wait()
        measured = forgotten = float("-inf")
        while True:
            now = self._clock.monotonic()
            if now - forgotten >= _FORGET_SECONDS:
                await self.forget_old()
                forgotten = now
            if now - measured >= _MEASURE_SECONDS:
                await self.measure()
                measured = now
            await self._store.merge()
            await asyncio.sleep(_MERGE_SECONDS)

    async def measure(self) -> None:
        """Look what there is, and let go of the oldest of groups that have too much. Raises sqlite3.Error."""
        self.sizes = await self._store.sizes()
        groups, over = self._store.streams.by_group(), set[Group]()
        for group, streams in groups.items():
            if self._size(streams) > (most := self._directory.most_bytes(streams[0])):
                over.add(group)
                await self._store.shrink(streams, most * 9 // 10)
        if over:
            self.sizes = await self._store.sizes()
        self.over = over | await self._keep_to_all(groups)

    async def _keep_to_all(self, groups: Mapping[Group, list[Stream]]) -> set[Group]:
        """Whose groups had to pay for all. Raises sqlite3.Error."""
        if self.stored <= MOST_BYTES:
            return set()
        paid = await keep_to(self._store, [each for streams in groups.values() for each in streams], MOST_BYTES)
        self.sizes = await self._store.sizes()
        return {group for group in groups if group[0] in paid}

    def _size(self, streams: list[Stream]) -> int:
        return sum(self.sizes[each.id].stored for each in streams if each.id in self.sizes)

    async def forget_old(self) -> None:
        """What is older than its group says, and streams of which nothing is left. Raises sqlite3.Error."""
        await self._store.forget_gone()
        now = round(self._clock.now().timestamp() * 1e9)
        for streams in self._store.streams.by_group().values():
            await self._store.forget_before(streams, now - self._directory.retention_ns(streams[0]))
        self.sizes = await self._store.sizes()
        long_ago = now // 1_000_000 - _IDLE_MS
        empty = [each for each in self._store.streams.all() if self._is_idle(each, long_ago)]
        if empty:
            await self._store.forget_empty(empty)

    def _is_idle(self, stream: Stream, long_ago: int) -> bool:
        """What `CreateLogStream` made stays: whoever did counts on it."""
        return stream.id not in self.sizes and stream.created < long_ago and "log_stream" not in stream.labels
