"""Slows down who guesses, and nobody else: wrong passwords are counted by address and name together (of IPv6, the
network of 64 bits counts as one address: one machine has all of it).

Nobody can lock a name for others: guesses make the guesser wait, longer each time, and the right password is always
taken. Guesses from the same place at the same name wait for each other, so that many at once gain nothing.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from controller.kit.clock import Clock
from crds.errors import TooManyRequests
from services.sdk.edge.connections import source_of

FREE_FAILURES, FIRST_SECONDS, LONGEST_SECONDS = 3, 0.5, 8.0
ADDRESS_FREE_FAILURES = 30
FORGOTTEN_SECONDS = 900.0
MOST_WAITING_AT_ONE_ADDRESS = 16
_REMEMBERED = 10_000


@dataclass(slots=True)
class _Count:
    failures: int = 0
    at: float = 0.0
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    waiting: int = 0


class Attempts:
    """`sleep` waits; a test's does not."""

    def __init__(self, clock: Clock, sleep: Callable[[float], Awaitable[None]] = anyio.sleep) -> None:
        self._clock, self._sleep = clock, sleep
        self._counts: OrderedDict[tuple[str, str], _Count] = OrderedDict()

    @asynccontextmanager
    async def attempt(self, address: str, name: str) -> AsyncIterator[Callable[[bool], None]]:
        """Waits as long as this place must, for its turn too; then call what is yielded with whether it was right.

        Raises TooManyRequests when too many of one address wait already.
        """
        address = source_of(address)
        pair, place = self._count((address, name)), self._count((address, ""))
        if address and place.waiting >= MOST_WAITING_AT_ONE_ADDRESS:
            raise TooManyRequests("too many logins from your address are under way", retry_after=2)
        place.waiting += 1
        pair.waiting += 1
        try:
            async with pair.lock:
                if delay := self.delay(address, name):
                    await self._sleep(delay)
                yield lambda right: self._note(pair, place, right=right)
        finally:
            pair.waiting -= 1
            place.waiting -= 1

    def delay(self, address: str, name: str) -> float:
        """How long the next guess from there at that name waits, in seconds."""
        address = source_of(address)
        pair, place = self._count((address, name)), self._count((address, ""))
        over = max(pair.failures - FREE_FAILURES, (place.failures - ADDRESS_FREE_FAILURES) // 10)
        return min(FIRST_SECONDS * 2 ** min(over, 10), LONGEST_SECONDS) if over >= 0 else 0.0

    def _note(self, pair: _Count, place: _Count, *, right: bool) -> None:
        now = self._clock.monotonic()
        if right:
            pair.failures = 0
            return
        for count in (pair, place):
            count.failures, count.at = count.failures + 1, now

    def _count(self, key: tuple[str, str]) -> _Count:
        found = self._counts.get(key)
        if found is None:
            found = self._counts[key] = _Count()
            self._forget_one()
        elif found.failures and self._clock.monotonic() - found.at > FORGOTTEN_SECONDS:
            found.failures = 0
        self._counts.move_to_end(key)
        return found

    def _forget_one(self) -> None:
        """Made-up names must not fill the memory: the one that was quiet longest goes, but none that is in use."""
        if len(self._counts) > _REMEMBERED:
            quiet = next((key for key, count in self._counts.items() if not count.waiting), None)
            if quiet is not None:
                del self._counts[quiet]
