"""What a FIFO queue remembers of what was sent in the last five minutes, so that it is not sent again.

Source: Amazon SQS Developer Guide, "Using the message deduplication ID".
"""

from __future__ import annotations

from asyncio import Future
from collections import deque
from collections.abc import Container
from typing import Any, NamedTuple

from services.queue_manager.message import Sent

WINDOW = 300_000
"""Milliseconds."""
Key = tuple[str, str]
"""The group it is unique in (empty: the whole queue), and the id."""


class Remembered(NamedTuple):
    """A message that was sent. `pending`: until it is durable."""

    sent: Sent
    at: int
    pending: Future[Any] | None = None


class Deduplication:
    """Of one queue."""

    def __init__(self) -> None:
        self._known: dict[Key, Remembered] = {}
        self._in_order: deque[tuple[int, Key]] = deque()

    def find(self, key: Key, now: int) -> Remembered | None:
        """What was sent under that id, while that counts."""
        found = self._known.get(key)
        return found if found is not None and found.at + WINDOW > now else None

    def remember(self, key: Key, remembered: Remembered) -> None:
        if key not in self._known or self._known[key].at != remembered.at:
            self._in_order.append((remembered.at, key))
        self._known[key] = remembered

    def forget(self, key: Key) -> None:
        """It was not sent after all."""
        self._known.pop(key, None)

    def forget_gone(self, before: int, there: Container[int]) -> None:
        """Of what was sent under a sequence number below `before` and is not there any more: it may be sent again."""
        for key, each in list(self._known.items()):
            if each.pending is None and each.sent.sequence < before and each.sent.sequence not in there:
                del self._known[key]

    def take_expired(self, now: int) -> list[tuple[Key, int]]:
        """What does not count any more, and when it was sent; forgotten from now on."""
        found = []
        while self._in_order and self._in_order[0][0] + WINDOW <= now:
            at, key = self._in_order.popleft()
            known = self._known.get(key)
            if known is not None and known.at == at:
                del self._known[key]
            found.append((key, at))
        return found
