"""The store's memory: the newest record of every living key, and the last few thousand things that happened.

Revisions have no gaps, so a place in the ring is a subtraction and a follower needs only a number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

from controller.store.records import Happening, Record, Snapshot
from crds.meta import ObjectKey

RING = 4096
KindPlace = tuple[str, str]


class Memory:
    """Changed only by `apply`, after the database has said yes."""

    def __init__(
        self, revision: int, living: Iterable[Record], deletions: dict[ObjectKey, int], *, ring: int = RING
    ) -> None:
        self.revision = revision
        self._deletions = deletions
        self._kinds: dict[KindPlace, dict[ObjectKey, Record]] = {}
        self._sorted: dict[KindPlace, list[Record]] = {}
        self._ring: deque[Happening] = deque(maxlen=ring)
        for record in living:
            self._kinds.setdefault(record.key[:2], {})[record.key] = record

    @property
    def ring_starts_after(self) -> int:
        """Everything later than this revision is in the ring."""
        return self.revision - len(self._ring)

    def get(self, key: ObjectKey) -> Record | None:
        return self._kinds.get(key[:2], {}).get(key)

    def newest(self, key: ObjectKey) -> int:
        """The revision a successor of this key names as its previous: the head's, or the last deletion's."""
        head = self.get(key)
        return head.revision if head else self._deletions.get(key, 0)

    def list(self, group: str, plural: str, namespace: str | None) -> Snapshot:
        """Ordered by (namespace, name). The order is kept until a key comes or goes."""
        place = (group, plural)
        ordered = self._sorted.get(place)
        if ordered is None:
            ordered = sorted(self._kinds.get(place, {}).values(), key=lambda record: record.key)
            self._sorted[place] = ordered
        if namespace is not None:
            ordered = [record for record in ordered if record.key.namespace == namespace]
        return Snapshot(self.revision, tuple(ordered))

    def apply(self, new: Sequence[Record]) -> set[KindPlace]:
        """Take in committed records, which follow on `revision`. Returns the kinds they belong to."""
        touched = set()
        for record in new:
            place = record.key[:2]
            touched.add(place)
            kind = self._kinds.setdefault(place, {})
            before = kind.get(record.key)
            if record.verb == "deleted":
                kind.pop(record.key, None)
                self._deletions[record.key] = record.revision
            else:
                kind[record.key] = record
            self._sorted.pop(place, None)
            self._ring.append(Happening(record, before))
            self.revision = record.revision
        return touched

    def since(self, after: int) -> Iterable[Happening]:
        """What happened after that revision; it must not be older than the ring."""
        return islice(self._ring, after - self.ring_starts_after, None)
