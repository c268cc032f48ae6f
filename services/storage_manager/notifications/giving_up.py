"""What the outbox gives up: what waits too long, and the oldest where too much waits.

A bucket and a namespace share what they may have fairly between their routes: those with little waiting lose none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from itertools import groupby
from typing import Any

from anyio import to_thread

from services.storage_manager.notifications.outbox import EVENT_BYTES, Outbox, Route

# A route that its bucket's configuration names no more, or whose bucket is gone, is kept for so long.
KEEP_SECONDS, KEEP_UNNAMED_SECONDS = 4 * 86_400.0, 3600.0
MOST_OF_BUCKET, MOST_OF_NAMESPACE = 100_000, 400_000
MOST_BYTES_OF_BUCKET = 4 * MOST_OF_BUCKET * EVENT_BYTES
"""What waits of a bucket does not count for more, also in the minute before the oldest of it are given up."""
# Writes to the bucket wait for one transaction.
AT_ONCE = 1000
Commit = Callable[[Callable[[], Any]], Awaitable[Any]]


class GivingUp:
    """`commit` runs a change of the index, and returns once it is durable."""

    def __init__(self, outbox: Outbox, commit: Commit, clock: Callable[[], float]) -> None:
        self._outbox, self._commit, self._clock = outbox, commit, clock

    async def run(self) -> dict[Route, int]:
        """Once. How many events of which routes were given up. Raises sqlite3.Error."""
        waiting = await to_thread.run_sync(self._outbox.waiting)
        named = await to_thread.run_sync(self._outbox.named, list(waiting))
        excess = excesses(waiting)
        lost = {route: await self._trim(route, excess.get(route, 0), named=route in named) for route in waiting}
        return {route: count for route, count in lost.items() if count}

    async def _trim(self, route: Route, excess: int, *, named: bool) -> int:
        """The `excess` oldest, and all that are too old. How many that was."""
        before = self._clock() - (KEEP_SECONDS if named else KEEP_UNNAMED_SECONDS)
        count = 0
        while numbers := await to_thread.run_sync(self._outbox.oldest, route, before, excess - count, AT_ONCE):
            await self._commit(partial(self._outbox.drop, numbers))
            count += len(numbers)
        return count


def excesses(waiting: Mapping[Route, int]) -> dict[Route, int]:
    """Of each route that has too much, how many are too many, where so many wait on each. Pure."""
    kept = dict(waiting)
    for most, group_of in ((MOST_OF_BUCKET, _bucket_of), (MOST_OF_NAMESPACE, _namespace_of)):
        for _, routes in groupby(sorted(kept, key=group_of), group_of):
            kept |= _shares({route: kept[route] for route in routes}, most)
    return {route: count - kept[route] for route, count in waiting.items() if count > kept[route]}


def _shares(wanted: Mapping[Route, int], most: int) -> Iterator[tuple[Route, int]]:
    """What each may keep, `most` in all: who wants less than an equal share leaves the rest to others."""
    for left, route in zip(range(len(wanted), 0, -1), sorted(wanted, key=wanted.__getitem__), strict=True):
        share = min(wanted[route], most // left)
        most -= share
        yield route, share


def _bucket_of(route: Route) -> str:
    return route.bucket


def _namespace_of(route: Route) -> str:
    return route.namespace
