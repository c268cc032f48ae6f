"""One target: asked, read, and its series said to have ended when it does not answer or has them no more."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from services.metrics_manager.exposition import ExpositionFault, ExpositionReader, Line, Metadata
from services.metrics_manager.promql.labels import NAME, Labels, labels_of
from services.metrics_manager.store.sample_store import AHEAD_MS, SampleStore, TooManySeries
from services.metrics_manager.store.tables import Batch

STALE_NUMBER: float = struct.unpack("<d", (0x7FF0000000000002).to_bytes(8, "little"))[0]
Fetch = Callable[[], Awaitable[str]]


class ScrapeFault(Exception):
    """It could not be asked, or its answer is none."""


class Seen(NamedTuple):
    """How the last scrape went. `at`: in ms; `error`: empty for one that was answered."""

    at: int = 0
    seconds: float = 0.0
    samples: int = 0
    error: str = ""


class Target:
    """`labels` are put on each series. `honors`: of those the target says itself, its own hold; else they are renamed
    to `exported_`.
    """

    def __init__(
        self,
        labels: Mapping[str, str],
        fetch: Fetch,
        store: SampleStore,
        *,
        honors: bool,
        limit: int,
        interval: float,
        url: str,
    ) -> None:
        self.labels, self.interval, self.url, self.seen = dict(labels), interval, url, Seen()
        self._fetch, self._store, self._honors, self._limit = fetch, store, honors, limit
        self._reader = ExpositionReader(self._series_of)
        self._before: set[int] = set()
        self._own = dict.fromkeys(("up", "scrape_duration_seconds", "scrape_samples_scraped"), 0)

    @property
    def metadata(self) -> Mapping[str, Metadata]:
        """What it says of its families, by their names."""
        return self._reader.metadata

    def _series_of(self, found: Sequence[Labels]) -> list[int]:
        """Raises TooManySeries."""
        return self._store.series_of_all([self._labelled(each) for each in found])

    def _labelled(self, labels: Labels) -> Labels:
        if self._honors:
            return labels_of({**self.labels, **dict(labels)})
        theirs = {f"exported_{name}" if name in self.labels else name: value for name, value in labels}
        return labels_of({**theirs, **self.labels})

    async def scrape(self, now: Callable[[], float], batch: Batch) -> Seen:
        """Add what it tells to the batch. `now`: seconds since 1970."""
        began = now()
        at = round(began * 1000)
        lines: list[Line] = []
        error = ""
        try:
            lines = self._reader.read(await self._fetch(), self._limit)
        except (ScrapeFault, ExpositionFault, TooManySeries) as fault:
            error = str(fault)
        self._put(lines, at, batch)
        self.seen = Seen(at, now() - began, len(lines), error)
        self._put_own(at, batch)
        return self.seen

    def end(self, at: int, batch: Batch) -> None:
        """It is scraped no more: all of its series end."""
        self._put([], at, batch)
        for id in self._own.values():
            if id:
                _add(batch, id, at, STALE_NUMBER)

    def _put(self, lines: list[Line], at: int, batch: Batch) -> None:
        there = set()
        for each in lines:
            if each.time is not None and each.time > at + AHEAD_MS:
                continue
            there.add(each.series)
            _add(batch, each.series, each.time or at, each.value)
        for gone in self._before - there:
            _add(batch, gone, at, STALE_NUMBER)
        self._before = there

    def _put_own(self, at: int, batch: Batch) -> None:
        values = (float(not self.seen.error), self.seen.seconds, float(self.seen.samples))
        for name, value in zip(self._own, values, strict=True):
            try:
                self._own[name] = self._store.series_of(labels_of({**self.labels, NAME: name}))
            except TooManySeries:
                return
            _add(batch, self._own[name], at, value)


def new_batch() -> Batch:
    return Batch(array("q"), array("q"), array("d"))


def _add(batch: Batch, series: int, time: int, value: float) -> None:
    batch.series.append(series)
    batch.times.append(time)
    batch.values.append(value)
