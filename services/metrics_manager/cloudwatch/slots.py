"""Where each value stands in time: a series has one sample at a moment, a metric of CloudWatch as many as are put.

A value that finds its millisecond taken moves to the next that is free of the same second, or of the same minute
where the metric is not of high resolution: whatever is asked of it later, it is in the same period.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from services.metrics_manager.store.sample_store import SampleStore

SECOND = 1_000
MOST_KNOWN, MOST_HELD = 10_000, 100_000


class NoRoom(Exception):
    """There is no free moment, or too much is on its way."""


class Wanted(NamedTuple):
    """`series`: its number; times in ms."""

    series: int
    time: int
    span: int


class TimeSlots:
    """Knows which milliseconds of a second are taken: as bits of a number, for each series and second."""

    def __init__(self, store: SampleStore) -> None:
        self._store = store
        self._taken: OrderedDict[tuple[int, int], int] = OrderedDict()
        self._newest: dict[int, int] = {}
        self._holders = 0

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """What is placed within is known until it is stored. Raises NoRoom."""
        if len(self._taken) > MOST_HELD:
            raise NoRoom("too many values are on their way to the disk; send them again")
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
            if not self._holders:
                self._forget()

    def _forget(self) -> None:
        while len(self._taken) > MOST_KNOWN:
            self._taken.popitem(last=False)
        if len(self._newest) > MOST_HELD:
            self._newest.clear()

    async def place(self, wanted: Sequence[Wanted]) -> list[int]:
        """The moment of each. Raises NoRoom."""
        return [await self._placed(each) for each in wanted]

    async def _placed(self, wanted: Wanted) -> int:
        begin = wanted.time - wanted.time % wanted.span
        first = wanted.time - wanted.time % SECOND
        seconds = wanted.span // SECOND
        for i in range(seconds):
            second = begin + (first - begin + i * SECOND) % wanted.span
            offset = wanted.time - first if i == 0 else 0
            await self._learn(wanted.series, second)
            free = _free(self._taken[wanted.series, second], offset)
            if free is not None:
                self._taken[wanted.series, second] |= 1 << free
                self._newest[wanted.series] = max(self._newest.get(wanted.series, 0), second + free)
                return second + free
        raise NoRoom(
            f"a metric has room for {wanted.span} values in {seconds} s; send Values with Counts, or StatisticValues"
        )

    async def _learn(self, series: int, second: int) -> None:
        """What is stored of that second; nothing of one that is newer than all there is."""
        key, found = (series, second), 0
        if key in self._taken:
            return
        if series not in self._newest:
            newest = await self._store.newest_time(series)
            self._newest[series] = max(self._newest.get(series, 0), newest)
        if second <= self._newest[series]:
            for time in await self._store.times_within(series, second, second + SECOND - 1):
                found |= 1 << (time - second)
        self._taken[key] = self._taken.get(key, 0) | found


def _free(taken: int, offset: int) -> int | None:
    """The first that is free from that one on, else before it."""
    for begin, end in ((offset, SECOND), (0, offset)):
        rest = ~(taken >> begin)
        bit = begin + (rest & -rest).bit_length() - 1
        if bit < end:
            return bit
    return None
