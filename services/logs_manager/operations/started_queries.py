"""Queries of Insights that run or have ended, of all accounts: nobody's many take the place of others'."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from services.logs_manager import errors
from services.logs_manager.insights import Row
from services.sdk.aws.errors import AwsError

MOST_RUNNING, MOST_RUNNING_OF_ALL = 4, 40
"""Of an account, and of all of them; those of an account run one after the other."""
MOST_KEPT, MOST_BYTES, KEPT_MS = 200, 64 << 20, 3_600 * 1_000
"""Of all accounts. Where there are more, the oldest go of the account that has most."""


class Asked(NamedTuple):
    """A log group: as its record is called, and as CloudWatch calls it."""

    resource: str
    name: str


@dataclass(slots=True)
class Started:
    """One query. `status` as AWS words it; `at` in ms since 1970; `size` of the rows in bytes; `fault`: why there are
    none.
    """

    id: str
    account: str
    text: str
    groups: tuple[Asked, ...]
    at: int
    status: str = "Running"
    rows: list[Row] = field(default_factory=list)
    size: int = 0
    fault: str = ""
    scanned: int = 0
    matched: int = 0
    task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        return self.status == "Running"


class StartedQueries:
    """By their ids, in the order in which they began."""

    def __init__(self, now: Callable[[], int]) -> None:
        """`now`: in ns since 1970."""
        self._now = now
        self._queries: dict[str, Started] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def add(self, started: Started) -> None:
        """Raises AwsError where too many are running."""
        running = Counter(each.account for each in self._queries.values() if each.is_running)
        if running[started.account] >= MOST_RUNNING or running.total() >= MOST_RUNNING_OF_ALL:
            raise errors.over_limit(
                f"{MOST_RUNNING} queries of the account, or {MOST_RUNNING_OF_ALL} of all, are running already;"
                " wait for one of them"
            )
        self._queries[started.id] = started
        self._forget()

    def turn(self, account: str) -> asyncio.Lock:
        """Held by the query of the account that reads, so that others' come between two of them."""
        return self._turns[account]

    def found(self, started: Started, rows: list[Row], size: int) -> None:
        started.rows, started.size, started.status = rows, size, "Complete"
        self._forget()

    def get(self, id: str, account: str) -> Started:
        """Raises AwsError."""
        found = self._queries.get(id)
        if found is None or found.account != account:
            raise AwsError("ResourceNotFoundException", "The specified query does not exist.")
        return found

    def newest_first(self, account: str) -> list[Started]:
        self._forget()
        return [each for each in reversed(self._queries.values()) if each.account == account]

    def _forget(self) -> None:
        oldest = self._now() // 1_000_000 - KEPT_MS
        for each in self._ended():
            if each.at < oldest:
                del self._queries[each.id]
        self._shrink(lambda each: 1, MOST_KEPT)
        self._shrink(lambda each: each.size, MOST_BYTES)

    def _shrink(self, weight: Callable[[Started], int], most: int) -> None:
        held = Counter[str]()
        for each in self._ended():
            held[each.account] += weight(each)
        while held.total() > most:
            [(account, _)] = held.most_common(1)
            oldest = next(each for each in self._ended() if each.account == account)
            held[account] -= weight(oldest)
            del self._queries[oldest.id]

    def _ended(self) -> list[Started]:
        return [each for each in self._queries.values() if not each.is_running]
