"""Pins on blobs that are being read in this process: those are not erased, however long it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class BlobPins:
    """Counts readers per blob."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    @contextmanager
    def hold(self, blobs: Iterable[str]) -> Iterator[None]:
        """Keep these blobs from being erased until the end of the block."""
        held = list(blobs)
        self._counts.update(held)
        try:
            yield
        finally:
            for blob in held:
                self._counts[blob] -= 1
                if not self._counts[blob]:
                    del self._counts[blob]

    def __contains__(self, blob: str) -> bool:
        return blob in self._counts
