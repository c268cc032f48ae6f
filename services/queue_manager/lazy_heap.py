"""A heap whose entries may become void without being looked for: they are passed over when they reach the top.

Whoever uses it says which entries still count. It never has many more void entries than others, so neither memory nor
time grows with how much has gone through it.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

E = TypeVar("E", bound=tuple)  # type: ignore[type-arg]
_LEAST = 1024


class LazyHeap(Generic[E]):
    """Entries are tuples, the smallest first. counts: whether an entry still means something. size: how many do, at
    most; when there are twice as many entries, the void ones are thrown away.
    """

    def __init__(self, counts: Callable[[E], bool], size: Callable[[], int]) -> None:
        self._entries: list[E] = []
        self._counts, self._size = counts, size

    def push(self, entry: E) -> None:
        if len(self._entries) > _LEAST + 2 * self._size():
            self._entries = [each for each in set(self._entries) if self._counts(each)]
            heapify(self._entries)
        heappush(self._entries, entry)

    def first(self) -> E | None:
        """The smallest that counts; it stays."""
        while self._entries and not self._counts(self._entries[0]):
            heappop(self._entries)
        return self._entries[0] if self._entries else None

    def pop(self) -> E | None:
        """The smallest that counts, taken out."""
        found = self.first()
        if found is not None:
            heappop(self._entries)
        return found

    def clear(self) -> None:
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)
