"""Who follows, how far each has come, and whom a write waits for.

A follower that has everything is in sync: from then on a write is acknowledged once it has it too. One that is not
heard of for LEASE_SECONDS, or that a write has waited for STUCK_SECONDS, whatever it fetches meanwhile, is waited for
no more until it has caught up: the disk of this worker alone holds what is written meanwhile, and conditions and
metrics say so. Of one event loop.
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
# The changes that one lacks are kept for its return so long; the next instance has another name.
FORGOTTEN_SECONDS = 3600.0
_TICK_SECONDS = 0.25


@dataclass(slots=True)
class Follower:
    """`applied`: the last change on its disk. `heard_at` is of the monotonic clock."""

    name: str
    applied: int
    heard_at: float
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
        self.known = {name: Follower(name, applied, now, in_sync=True) for name, applied in (expected or {}).items()}
        self.healing = Healing()
        self._waiting: list[tuple[int, int, float, asyncio.Future[None]]] = []
        self._numbers = count()
        self._greatest = 0
        self._changed = asyncio.Event()

    @property
    def in_sync(self) -> list[Follower]:
        """Those that have all that was acknowledged."""
        return [each for each in self.known.values() if each.in_sync]

    def applied(self) -> int | None:
        """What all of them have; None where there are none."""
        return min((each.applied for each in self.known.values()), default=None)

    def note_heard(self, name: str, applied: int | None = None, head: int = 0) -> None:
        """It asked: it lives. With `applied`, it has that on its disk. `head`: a change that is there; what was
        acknowledged since that was read counts as well.
        """
        follower = self.known.setdefault(name, Follower(name, applied or 0, 0.0))
        follower.heard_at = self._monotonic()
        if applied is None:
            return
        follower.applied = applied
        if applied >= max(head, self._greatest) and not follower.in_sync:
            self._joined(follower)
        self._release()

    def forget(self, name: str) -> None:
        """It is filled anew, or gone for good."""
        if self.known.pop(name, None) is not None:
            self._release()

    def reached(self, number: int) -> asyncio.Future[None] | None:
        """Done once all in sync have that change; None where nobody has to be waited for."""
        self._greatest = max(self._greatest, number)
        self._changed.set()
        self._changed = asyncio.Event()
        if all(each.applied >= number for each in self.in_sync):
            return None
        waiter = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (number, next(self._numbers), self._monotonic(), waiter))
        return waiter

    def next_change(self) -> asyncio.Event:
        """Set by the next commit: taken before the head is read, none is missed."""
        return self._changed

    async def run(self) -> None:
        """Until cancelled: those that are silent are not waited for."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self.expire()

    def expire(self) -> None:
        """Wait no longer for those that are silent or too slow, and forget the dead."""
        now = self._monotonic()
        overdue = max((number for number, _, since, _ in self._waiting if now - since > STUCK_SECONDS), default=0)
        for each in self.in_sync:
            silent = now - each.heard_at > LEASE_SECONDS
            if silent or each.applied < overdue:
                each.in_sync = False
                log.warning(
                    "the copy %s is %s: writes wait for it no more", each.name, "silent" if silent else "too slow"
                )
                self.healing = Healing(self.healing.since or now, self.healing.took)
        self.known = {name: each for name, each in self.known.items() if now - each.heard_at <= FORGOTTEN_SECONDS}
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
