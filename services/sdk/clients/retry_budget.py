"""A budget for retries: a share of all requests, so that whoever is overloaded is not asked twice as often.

Source: Finagle's RetryBudget, and Envoy's `retry_budget`.
"""

from __future__ import annotations


class RetryBudget:
    """Each request pays in `share` of a retry; `reserve` are there at the start, and are the most that is kept."""

    def __init__(self, *, share: float = 0.2, reserve: int = 10) -> None:
        self._share, self._reserve = share, float(reserve)
        self._balance = self._reserve

    def deposit(self) -> None:
        """A request was sent for the first time."""
        self._balance = min(self._balance + self._share, self._reserve)

    def withdraw(self) -> bool:
        """Whether one may be sent again."""
        if self._balance < 1:
            return False
        self._balance -= 1
        return True
