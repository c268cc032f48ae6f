"""Executors for blocking calls (sqlalchemy, docker, psutil).

Real threads do not obey a virtual clock, so tests pass `Inline` instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")


class BlockingExecutor(Protocol):
    """Runs blocking work without stopping the event loop."""

    async def run(self, work: Callable[[], T], *, deadline: float | None = None) -> T:
        """The result of `work`. Raises TimeoutError after `deadline` seconds; the thread is then abandoned."""
        ...


class Threads:
    """Blocking work on at most `limit` threads at once; more of it waits in line."""

    def __init__(self, limit: int) -> None:
        self._limiter = anyio.CapacityLimiter(limit)

    async def run(self, work: Callable[[], T], *, deadline: float | None = None) -> T:
        if deadline is None:
            return await anyio.to_thread.run_sync(work, limiter=self._limiter)
        with anyio.fail_after(deadline):
            return await anyio.to_thread.run_sync(work, limiter=self._limiter, abandon_on_cancel=True)


class Inline:
    """Blocking work done on the spot: for tests under virtual time."""

    async def run(self, work: Callable[[], T], *, deadline: float | None = None) -> T:
        return work()
