"""The memory of the store: the newest record of every key, and the recent past.

Only committed records come in, in revision order. Reads and followers are served from here; everything in
here can be rebuilt from the heads. Runs on the event loop only: no locks.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence

from controller.store.records import Record, StoreEvent
from crds.meta import ObjectKey

KindKey = tuple[str, str]
EVERY_KIND: KindKey = ("", "*")
RECENT = 4096
RECENT_BYTES = 2**24
"""Of the bodies in the recent past, old and new: who changes big things again and again must not fill the memory."""


class KindIndex:
    """The living resources of one kind, ordered by (namespace, name)."""

    def __init__(self) -> None:
        self._order: list[tuple[str, str]] = []
        self._records: dict[tuple[str, str], Record] = {}
        self._view: tuple[Record, ...] | None = None

    def put(self, record: Record) -> None:
        """The newest record of its key."""
        place = record.key[2:]
        if place not in self._records:
            insort(self._order, place)
        self._records[place] = record
        self._view = None

    def drop(self, key: ObjectKey) -> None:
        """Take a deleted resource out."""
        place = key[2:]
        if self._records.pop(place, None) is not None:
            del self._order[bisect_left(self._order, place)]
            self._view = None

    def list(self, namespace: str | None) -> Sequence[Record]:
        """A view that later changes leave alone. All of them together are kept until something changes."""
        if namespace is not None:
            first = bisect_left(self._order, (namespace,))
            last = bisect_left(self._order, (namespace + "\0",))
            return tuple(self._records[place] for place in self._order[first:last])
        if self._view is None:
            self._view = tuple(self._records[place] for place in self._order)
        return self._view


class MemoryIndex:
    """Newest records, tombstones (revision of the deletion of each dead key), and a ring of recent events."""

    def __init__(self, recent: int = RECENT, recent_bytes: int = RECENT_BYTES) -> None:
        self._most_bytes, self._bytes = recent_bytes, 0
        self.revision = 0
        self.oldest = 0
        self.heads: dict[ObjectKey, Record] = {}
        self.tombstones: dict[ObjectKey, int] = {}
        self.wake: Callable[[set[KindKey], int], None] = lambda kinds, before: None
        self._kinds: dict[KindKey, KindIndex] = {}
        self._last: dict[KindKey, int] = {}
        self._ring: list[StoreEvent | None] = [None] * recent
        self._floor = 0

    def rebuild(self, living: Iterable[Record], tombstones: dict[ObjectKey, int], revision: int, oldest: int) -> None:
        """Begin again from the heads. The recent past is empty then: followers read it from disk."""
        before, self.revision, self.oldest = self.revision, revision, oldest
        self.heads, self.tombstones, self._kinds, self._last = {}, tombstones, {}, {}
        for record in living:
            self._remember(record)
        for key, died_at in tombstones.items():
            self._note(key[:2], died_at)
        self._ring = [None] * len(self._ring)
        self._floor, self._bytes = revision, 0
        self.wake({*self._last, EVERY_KIND}, before)

    def apply(self, records: Sequence[Record]) -> None:
        """Committed records that follow the newest one without a gap."""
        before = self.revision
        for record in records:
            replaced = self.heads.get(record.key)
            if record.verb == "deleted":
                self._record_tombstone(record)
            else:
                self._remember(record)
            self._put(record.revision, StoreEvent(record, replaced))
            self.revision = record.revision
        self._forget_recent()
        self.wake({record.key[:2] for record in records} | {EVERY_KIND}, before)

    def get(self, key: ObjectKey) -> Record | None:
        """The newest record of a living resource."""
        return self.heads.get(key)

    def list(self, kind: KindKey, namespace: str | None) -> Sequence[Record]:
        """Living resources of one kind, ordered by (namespace, name)."""
        living = self._kinds.get(kind)
        return living.list(namespace) if living else ()

    def last(self, kind: KindKey) -> int:
        """The newest revision in which something happened to that kind; 0 if nothing is known."""
        return self.revision if kind == EVERY_KIND else self._last.get(kind, 0)

    def covers(self, after: int) -> bool:
        """Whether everything after that revision is still in the ring."""
        return after >= self._floor

    def recent(self, after: int, upto: int, most_bytes: int | None = None) -> Sequence[StoreEvent]:
        """What happened in (after, upto]; of more than `most_bytes`, only the first. Only if `recalls(after)`."""
        size, found, weight = len(self._ring), list[StoreEvent](), 0
        for revision in range(after + 1, upto + 1):
            each = self._ring[revision % size]
            if each is None:
                continue
            weight += len(each.record.body)
            if found and most_bytes is not None and weight > most_bytes:
                break
            found.append(each)
        return found

    def _put(self, revision: int, event: StoreEvent) -> None:
        place = revision % len(self._ring)
        if (old := self._ring[place]) is not None:
            self._bytes -= _weight(old)
        self._ring[place] = event
        self._bytes += _weight(event)

    def _forget_recent(self) -> None:
        """The oldest go, until what is left is few enough and small enough. The newest always stays."""
        floor = max(self._floor, self.revision - len(self._ring))
        while self._bytes > self._most_bytes and floor + 1 < self.revision:
            floor += 1
            place = floor % len(self._ring)
            if (old := self._ring[place]) is not None:
                self._bytes -= _weight(old)
                self._ring[place] = None
        self._floor = floor

    def forget_tombstones(self, upto: int) -> None:
        """Compaction took the deletions up to that revision."""
        self.tombstones = {key: died_at for key, died_at in self.tombstones.items() if died_at > upto}

    def _remember(self, record: Record) -> None:
        kind = record.key[:2]
        self.heads[record.key] = record
        self.tombstones.pop(record.key, None)
        self._kinds.setdefault(kind, KindIndex()).put(record)
        self._note(kind, record.revision)

    def _record_tombstone(self, record: Record) -> None:
        self.heads.pop(record.key, None)
        self.tombstones[record.key] = record.revision
        self._kinds.setdefault(record.key[:2], KindIndex()).drop(record.key)
        self._note(record.key[:2], record.revision)

    def _note(self, kind: KindKey, revision: int) -> None:
        if revision > self._last.get(kind, 0):
            self._last[kind] = revision


def _weight(event: StoreEvent) -> int:
    """The larger of both: what was replaced lives on here alone, and things that became small are large still."""
    return max(len(event.record.body), len(event.before.body) if event.before else 0)
