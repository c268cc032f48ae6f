"""A circuit breaker: who failed several times in a row is left alone for a while, then asked by one request.

Source: Nygard, "Release It!"; the states are called as there.
"""

from __future__ import annotations

from typing import Literal

from controller.kit.clock import Clock

State = Literal["closed", "open", "half-open"]


class CircuitBreaker:
    """`failures` in a row open it for `open_seconds`."""

    def __init__(self, clock: Clock, *, failures: int = 5, open_seconds: float = 1.0) -> None:
        self._clock, self._limit, self._open_seconds = clock, failures, open_seconds
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def state(self) -> State:
        if self._opened_at is None:
            return "closed"
        return "half-open" if self.retry_after <= 0 else "open"

    @property
    def retry_after(self) -> float:
        """Seconds until the next request may try; 0 when one may now."""
        if self._opened_at is None:
            return 0.0
        return max(self._opened_at + self._open_seconds - self._clock.monotonic(), 0.0)

    def admit(self) -> bool:
        """Whether a request may be sent. Half-open, one may; the others wait for what comes of it."""
        if self.state == "closed":
            return True
        if self.state == "open" or self._probing:
            return False
        self._probing = True
        return True

    def record_success(self) -> None:
        """It answers."""
        self._failures, self._opened_at, self._probing = 0, None, False

    def record_failure(self) -> None:
        """It does not answer, or not for us."""
        self._failures += 1
        if self._probing or self._failures >= self._limit:
            self._opened_at, self._probing = self._clock.monotonic(), False

    def record_nothing(self) -> None:
        """The request ended without saying anything about the other side: its sender left."""
        self._probing = False
