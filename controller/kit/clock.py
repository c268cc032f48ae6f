"""The one source of time.

Sleeping is always `anyio.sleep`, so a test that runs on a virtual event loop moves both: `monotonic`
follows the loop's time, `now` is a wall clock.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

import anyio


class Clock(Protocol):
    """The clock that code is given: what it may know of time."""

    def now(self) -> datetime:
        """The wall clock, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, for measuring and for deadlines."""
        ...


class SystemClock:
    """The machine's own time; without a call of Python in between, for gateways ask it many times a request."""

    now = staticmethod(partial(datetime.now, UTC))
    monotonic = staticmethod(time.monotonic)


class LoopClock:
    """Time as the event loop counts it, from a fixed start: exact under a virtual loop."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._began = anyio.current_time()

    @property
    def elapsed(self) -> float:
        """Seconds since this clock was made."""
        return anyio.current_time() - self._began

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return anyio.current_time()
