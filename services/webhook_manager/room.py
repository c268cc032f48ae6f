"""How much may wait: for one receiver, for all of a namespace, and on the disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from crds.errors import TooManyRequests, Unavailable
from services.sdk.group_commit import GroupCommitter
from services.sdk.resources import Clock
from services.webhook_manager import message_store as store
from services.webhook_manager.message import Amount, Draft

MOST = Amount(100_000, 256 << 20)
MOST_OF_NAMESPACE = Amount(1_000_000, 1 << 30)
LEAST_FREE = 64 << 20
"""Bytes of the disk that are left for notes of what was sent, and for others."""
_COUNTED_SECONDS = 1.0
_RETRY_SECONDS = 60


class Room:
    """`near`: all receivers of that one's namespace. `folder`: on the disk where messages are."""

    def __init__(
        self, committer: GroupCommitter, clock: Clock, near: Callable[[str], Collection[str]], folder: Path
    ) -> None:
        self._committer, self._clock, self._near, self._folder = committer, clock, near, folder
        self._at_most: dict[str, Amount] = {}
        """What waits for a receiver at most: counted once, and again when that would be too much."""
        self._counted_at: dict[str, float] = {}

    async def take(self, drafts: Sequence[Draft]) -> None:
        """Count with them from now on. Raises TooManyRequests, Unavailable, and sqlite3.Error."""
        wanted: dict[str, Amount] = {}
        for each in drafts:
            wanted[each.to] = _sum((wanted.get(each.to, Amount(0, 0)), Amount(1, len(each.content))))
        whole = _sum(wanted.values())
        self._require_disk(whole.size)
        for receiver, more in wanted.items():
            await self.require(receiver, more)
        if drafts:
            await self._require(self._near(drafts[0].to), whole, MOST_OF_NAMESPACE, "in its namespace")
        for receiver, more in wanted.items():
            self._at_most[receiver] = _sum((self._at_most.get(receiver, Amount(0, 0)), more))

    async def require(self, receiver: str, more: Amount) -> None:
        """Raises TooManyRequests, and sqlite3.Error."""
        await self._require([receiver], more, MOST, "for it")

    def forget(self, receiver: str) -> None:
        """What was known of it: it is counted again."""
        self._at_most.pop(receiver, None)
        self._counted_at.pop(receiver, None)

    async def _require(self, receivers: Collection[str], more: Amount, most: Amount, whose: str) -> None:
        await self._count([each for each in receivers if each not in self._at_most])
        if _fits(self._known(receivers), more, most):
            return
        before = self._clock.monotonic() - _COUNTED_SECONDS
        await self._count([each for each in receivers if self._counted_at.get(each, before) <= before])
        if not _fits(self._known(receivers), more, most):
            text = f"at most {most.number} messages and {most.size} bytes wait {whose}: none is taken until some went"
            raise TooManyRequests(text, retry_after=_RETRY_SECONDS)

    def _known(self, receivers: Iterable[str]) -> Amount:
        return _sum(self._at_most.get(each, Amount(0, 0)) for each in receivers)

    async def _count(self, receivers: Sequence[str]) -> None:
        if not receivers:
            return
        found = await self._committer.submit(lambda db: store.waits(db, receivers))
        now = self._clock.monotonic()
        for each in receivers:
            self._at_most[each], self._counted_at[each] = found.get(each, Amount(0, 0)), now

    def _require_disk(self, size: int) -> None:
        disk = os.statvfs(self._folder)
        if disk.f_bavail * disk.f_frsize - size < LEAST_FREE:
            raise Unavailable("the disk of this service is full", retry_after=_RETRY_SECONDS)


def _sum(amounts: Iterable[Amount]) -> Amount:
    number = size = 0
    for each in amounts:
        number, size = number + each.number, size + each.size
    return Amount(number, size)


def _fits(waits: Amount, more: Amount, most: Amount) -> bool:
    return waits.number + more.number <= most.number and waits.size + more.size <= most.size
