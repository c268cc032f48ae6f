"""Patience while the conductor is away: growing delays, one log line at the start and one at the end."""

from __future__ import annotations

import random

from structlog.typing import FilteringBoundLogger

from agent.errors import AccessRevoked, AgentError
from controller.kit.backoff import Backoff
from controller.kit.clock import Clock

BACKOFF = Backoff(first=0.2, factor=2.0, limit=5.0, jitter=0.2)


class OutageTracker:
    """Counts failures in a row, and logs the first and the last one."""

    def __init__(self, clock: Clock, rng: random.Random, log: FilteringBoundLogger) -> None:
        self._clock, self._rng, self._log = clock, rng, log
        self._failures, self._refusals, self._since = 0, 0, 0.0

    def record_failure(self, fault: AgentError) -> float:
        """Count a failure, and return the seconds to wait before the next try (0.2 growing to 5, ± 20 %)."""
        if self._failures == 0:
            self._since = self._clock.monotonic()
            self._log.warning("cannot report to the conductor", because=str(fault))
        self._failures += 1
        if not isinstance(fault, AccessRevoked):
            self._refusals = 0
        return BACKOFF.delay(self._failures, self._rng)

    def is_repeated_refusal(self) -> bool:
        """Count a refusal; return whether it is the second without a success in between, then count from zero."""
        self._refusals += 1
        if self._refusals < 2:
            return False
        self._refusals = 0
        return True

    def record_success(self) -> None:
        """Reset the counts after a success, and log the end of the outage."""
        self._refusals = 0
        if self._failures:
            away = round(self._clock.monotonic() - self._since, 1)
            self._log.info("reporting to the conductor again", after_seconds=away, tries=self._failures)
        self._failures = 0
