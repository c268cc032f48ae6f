"""Who follows, how far each has come, and whom a write waits for.

A follower that has everything is in sync: from then on a write is acknowledged once it has it too. One that is not
heard of for LEASE_SECONDS, or gets nowhere for STUCK_SECONDS while somebody waits, is waited for no more until it has
caught up: the disk of this worker alone holds what is written meanwhile, and conditions and metrics say so. Of one
event loop.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

log = logging.getLogger(__name__)
LEASE_SECONDS = 5.0
STUCK_SECONDS = 15.0
_TICK_SECONDS = 0.25


@dataclass(slots=True)
class Follower:
    """`applied`: the last change on its disk. Times are of the monotonic clock."""

    name: str
    applied: int
    heard_at: float
    moved_at: float
    in_sync: bool = False


@dataclass(frozen=True, slots=True)
class Healing:
    """Since when there is one copy less than there was, and how long the last such time took, in seconds."""

    since: float | None = None
    took: float | None = None


class Followers:
    """`expected`: those of before the restart; writes wait for them as long as a lease."""

    def __init__(self, monotonic: Callable[[], float], expected: dict[str, int] | None = None) -> None:
        self._monotonic, now = monotonic, monotonic()
        self.known = {
            name: Follower(name, applied, now, now, in_sync=True) for name, applied in (expected or {}).items()
        }
        self.healing = Healing()
        self._waiting: list[tuple[int, int, float, asyncio.Future[None]]] = []
        self._numbers = count()
        self._changed = asyncio.Event()

    @property
    def in_sync(self) -> list[Follower]:
        """Those that have all that was acknowledged."""
        return [each for each in self.known.values() if each.in_sync]

    def applied(self) -> int | None:
        """What all of them have; None where there are none."""
        return min((each.applied for each in self.known.values()), default=None)

    def note_heard(self, name: str, applied: int | None = None, head: int | None = None) -> None:
        """It asked: it lives. With `applied`, it has that on its disk; with bytes it asked for alone, it goes on."""
        now = self._monotonic()
        follower = self.known.setdefault(name, Follower(name, applied or 0, now, now))
        follower.heard_at = now
        if applied is None or applied != follower.applied:
            follower.moved_at = now
        if applied is None:
            return
        follower.applied = applied
        if head is not None and applied >= head and not follower.in_sync:
            self._joined(follower)
        self._release()

    def forget(self, name: str) -> None:
        """It is filled anew, or gone for good."""
        if self.known.pop(name, None) is not None:
            self._release()

    def reached(self, number: int) -> asyncio.Future[None] | None:
        """Done once all in sync have that change; None where nobody has to be waited for."""
        self._changed.set()
        if all(each.applied >= number for each in self.in_sync):
            return None
        waiter = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (number, next(self._numbers), self._monotonic(), waiter))
        return waiter

    async def until_changed(self, seconds: float) -> None:
        """Until something was committed, for so long at most."""
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def run(self) -> None:
        """Until cancelled: those that are silent are not waited for."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self.expire()

    def expire(self) -> None:
        """Wait no longer for those that are silent or get nowhere."""
        now = self._monotonic()
        oldest = min((since for _, _, since, _ in self._waiting), default=now)
        for each in self.in_sync:
            silent = now - each.heard_at > LEASE_SECONDS
            stuck = now - max(each.moved_at, oldest) > STUCK_SECONDS
            if silent or stuck:
                each.in_sync = False
                log.warning(
                    "the copy %s is %s: writes wait for it no more", each.name, "silent" if silent else "stuck"
                )
                self.healing = Healing(self.healing.since or now, self.healing.took)
        self._release()

    def _joined(self, follower: Follower) -> None:
        follower.in_sync = True
        took = self.healing.took
        if self.healing.since is not None:
            took = self._monotonic() - self.healing.since
            log.info("the copy %s has everything, after %.1f s with one less", follower.name, took)
        self.healing = Healing(None, took)

    def _release(self) -> None:
        reached = min((each.applied for each in self.in_sync), default=None)
        while self._waiting and (reached is None or self._waiting[0][0] <= reached):
            waiter = heapq.heappop(self._waiting)[3]
            if not waiter.done():
                waiter.set_result(None)
