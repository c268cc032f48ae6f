"""Every service has its own part of the connections to services, and every caller a part of that.

Without such walls, who fills one service takes all others with it: storage full of slow readers, no key opens.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from dataclasses import dataclass, field

from crds.errors import TooManyRequests, Unavailable

WAIT_SECONDS = 10.0
LEAST_PLACES = 16
"""So many a process has, however many processes there are."""


@dataclass(slots=True)
class _Wall:
    """Requests to one service: under way, and waiting for one of them to end."""

    used: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class Bulkheads:
    """`per_service` requests to one service at once; of those, `per_principal` of one caller. Of several processes,
    each has its share of both (`share_with`).
    """

    def __init__(self, per_service: int, per_principal: int) -> None:
        self._whole = self._per_service, self._per_principal = per_service, per_principal
        self._walls: dict[str, _Wall] = {}
        self._callers: dict[tuple[str, str], int] = {}

    def share_with(self, processes: int) -> None:
        """So many processes carry requests now. Whoever is under way stays."""
        per_service, per_principal = self._whole
        self._per_service = max(per_service // max(processes, 1), min(per_service, LEAST_PLACES))
        self._per_principal = max(per_principal // max(processes, 1), min(per_principal, LEAST_PLACES))

    def enter_now(self, service: str, principal: str) -> bool:
        """As `enter`, where the place is free. Whether it is. Raises TooManyRequests."""
        wall = self._walls.get(service)
        return (wall is None or wall.used < self._per_service) and self.enter(service, principal) is None

    def enter(self, service: str, principal: str) -> Awaitable[None] | None:
        """Take a place, to be given back by `leave`. None when it was free; else what to await until it is, which
        raises Unavailable after a while. Raises TooManyRequests for a caller who has too many.
        """
        caller = (service, principal)
        used = self._callers.get(caller, 0)
        if used >= self._per_principal:
            raise TooManyRequests(
                f"{principal} has {self._per_principal} requests to {service} already", retry_after=1
            )
        self._callers[caller] = used + 1
        wall = self._walls.get(service)
        if wall is None:  # names come from the store, but services come and go
            wall = self._walls[service] = _Wall()
        if wall.used < self._per_service:
            wall.used += 1
            return None
        return self._queued(service, wall, caller)

    def leave(self, service: str, principal: str) -> None:
        """Give the place to whoever waits longest."""
        self._forget((service, principal))
        self._hand_on(service, self._walls[service])

    async def _queued(self, service: str, wall: _Wall, caller: tuple[str, str]) -> None:
        try:
            await self._wait(service, wall)
        except BaseException:
            self._forget(caller)
            raise

    async def _wait(self, service: str, wall: _Wall) -> None:
        waiting = asyncio.get_running_loop().create_future()
        wall.waiting.append(waiting)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await waiting
        except BaseException as ended:
            if waiting.done() and not waiting.cancelled():  # it was given the place, and has no use for it
                self._hand_on(service, wall)
            if isinstance(ended, TimeoutError):
                raise Unavailable(f"too many requests to {service} are under way", retry_after=1) from None
            raise

    def _hand_on(self, service: str, wall: _Wall) -> None:
        while wall.waiting:
            waiting = wall.waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return
        wall.used -= 1
        if not wall.used:
            del self._walls[service]

    def _forget(self, caller: tuple[str, str]) -> None:
        used = self._callers[caller] - 1
        if used:
            self._callers[caller] = used
        else:
            del self._callers[caller]
