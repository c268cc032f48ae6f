"""Crash backoff: how long to wait before an instance is started again. Pure but for the clock."""

from __future__ import annotations

import random

from controller.kit.backoff import Backoff
from controller.kit.clock import Clock

HEALTHY_AFTER_SECONDS = 60.0


class CrashBackoff:
    """First restart at once, then as `backoff` says; an instance that was ready for 60 s starts afresh."""

    def __init__(self, backoff: Backoff, clock: Clock, rng: random.Random) -> None:
        self._backoff, self._clock, self._rng = backoff, clock, rng
        self._ends = 0
        self._ready_since: float | None = None

    def note_ready(self) -> None:
        """Record that the instance became ready."""
        if self._ready_since is None:
            self._ready_since = self._clock.monotonic()

    def note_not_ready(self) -> None:
        """Record that the instance is ready no more."""
        since, self._ready_since = self._ready_since, None
        if since is not None and self._clock.monotonic() - since >= HEALTHY_AFTER_SECONDS:
            self._ends = 0

    def next_delay(self) -> float:
        """Seconds until the next start, after it ended once more."""
        self._ends += 1
        return 0.0 if self._ends == 1 else self._backoff.delay(self._ends - 1, self._rng)
