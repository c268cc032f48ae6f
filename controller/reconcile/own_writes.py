"""Tells our own writes from other people's when they come back on the watch.

Without this every status patch would wake its key again, and a growing delay would never grow. A write may come
back before the call that made it returns, so what arrives during a pass is judged when the pass ends.
"""

from __future__ import annotations

from crds.meta import ObjectKey


class OwnWrites:
    """Bounded by the keys in work and the few writes of ours that have not come back yet."""

    def __init__(self) -> None:
        self._mine: dict[ObjectKey, set[int]] = {}
        self._held: dict[ObjectKey, set[int]] = {}

    def began(self, key: ObjectKey) -> None:
        """A pass over `key` starts: hold what arrives."""
        self._held[key] = set()

    def wrote(self, key: ObjectKey, revision: int) -> None:
        """We made this revision."""
        self._mine.setdefault(key, set()).add(revision)

    def is_foreign(self, key: ObjectKey, revision: int) -> bool:
        """Whether this change calls for a pass now; held ones are judged by `ended`."""
        if key in self._held:
            self._held[key].add(revision)
            return False
        return not self._recognize(key, revision)

    def ended(self, key: ObjectKey) -> bool:
        """The pass is over: whether something arrived meanwhile that was not ours."""
        arrived = self._held.pop(key, set())
        foreign = arrived - self._mine.get(key, set())
        if arrived:
            self._recognize(key, max(arrived))
        return bool(foreign)

    def forget(self, key: ObjectKey) -> None:
        """The resource is gone."""
        self._mine.pop(key, None)

    def _recognize(self, key: ObjectKey, revision: int) -> bool:
        mine = self._mine.get(key)
        if mine is None:
            return False
        ours = revision in mine
        # A watch is in order: older ones of ours will not come any more.
        left = {each for each in mine if each > revision}
        if left:
            self._mine[key] = left
        else:
            del self._mine[key]
        return ours
