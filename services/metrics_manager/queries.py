"""Queries, one after the other in a thread: whoever asks much waits, for twenty seconds at most.

Rules have a thread of their own: no query of anybody's keeps an alarm waiting.

numpy and the parser are imported at the first one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from services.metrics_manager import api_answers as answers
from services.metrics_manager.promql.errors import QueryError
from services.metrics_manager.promql.labels import Labels
from services.metrics_manager.promql.matcher import Matcher
from services.metrics_manager.store.sample_store import SampleStore, StoreReader
from services.metrics_manager.tenancy import OfNamespace, within

if TYPE_CHECKING:
    from services.metrics_manager.promql.engine import Limits
    from services.metrics_manager.promql.values import SampleSource

T = TypeVar("T")
SERIES_SECONDS = 10.0
"""So long it may be looked for series that have samples in some time."""


class Queries:
    """`thread`: of one thread alone."""

    def __init__(self, store: SampleStore, thread: Executor) -> None:
        self._store, self._thread = store, thread
        self._reader: StoreReader | None = None

    async def instant(self, query: str, at: int, namespace: str | None, limit: int = 0, **bounds: Any) -> Any:
        """`data` of the answer. `bounds`: as in `_limits`. Raises QueryError."""

        def ask(source: SampleSource) -> Any:
            from services.metrics_manager.promql.engine import query_instant

            return _limited(answers.instant(query_instant(source, query, at, _limits(**bounds)), at), limit)

        return await self.run(ask, namespace)

    async def range(
        self, query: str, start: int, end: int, step: int, namespace: str | None, limit: int = 0, **bounds: Any
    ) -> Any:
        """`data` of the answer. `bounds`: as in `_limits`. Raises QueryError."""

        def ask(source: SampleSource) -> Any:
            from services.metrics_manager.promql.engine import query_range

            value = query_range(source, query, start, end, step, _limits(**bounds))
            return _limited(answers.matrix(value, start, step), limit)

        return await self.run(ask, namespace)

    async def series(self, selectors: Sequence[str], start: int, end: int, namespace: str | None) -> list[Labels]:
        """The labels of series that match one of the selectors, or of all, and have samples in that time, as far as
        the borders of chunks tell; without a start, whenever they had some. Raises QueryError.
        """

        def ask(reader: StoreReader) -> list[Labels]:
            from services.metrics_manager.promql.parsing import selector_matchers

            every = [Matcher("__name__", "!=", "")]
            groups = [group for each in selectors for group in selector_matchers(each)] or [every]
            index = self._store.index
            ids = index.matching(groups if namespace is None else within(groups, namespace))
            found = ids if not start else _with_samples(reader, ids, start, end)
            return [index.labels[id] for id in found if id in index.labels]

        return await self.read(ask)

    async def run(self, ask: Callable[[SampleSource], T], namespace: str | None) -> T:
        """`ask`, in the thread, of the series that are seen there."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, ask, namespace)

    async def read(self, ask: Callable[[StoreReader], T]) -> T:
        """`ask`, in the thread, which sees to what it reads itself."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: ask(self._opened()))

    def _ask(self, ask: Callable[[SampleSource], T], namespace: str | None) -> T:
        reader = self._opened()
        return ask(reader if namespace is None else OfNamespace(reader, namespace))

    def _opened(self) -> StoreReader:
        if self._reader is None:
            self._reader = self._store.reader()
        return self._reader

    def close(self) -> None:
        """At the end, when nothing is asked any more."""
        if self._reader is not None:
            self._reader.close()


def _with_samples(reader: StoreReader, ids: Sequence[int], start: int, end: int) -> Iterator[int]:
    """No sample is read: a year takes as long as a minute. Raises QueryError."""
    until = monotonic() + SERIES_SECONDS
    for id in ids:
        if monotonic() > until:
            text = (
                f"it takes more than {SERIES_SECONDS:g} s to look through so many series; name more of their labels"
            )
            raise QueryError(text, "timeout")
        if reader.has_samples(id, start, end):
            yield id


def _limits(timeout: int = 0, lookback: int = 0) -> Limits:
    """Both in ms; 0 for what is usual, which is also the longest an evaluation may take."""
    from services.metrics_manager.promql.engine import LIMITS, MOST_SECONDS

    found = LIMITS._replace(lookback=lookback) if lookback else LIMITS
    return found._replace(seconds=min(timeout / 1000, MOST_SECONDS)) if timeout else found


def _limited(data: Any, limit: int) -> Any:
    if limit and isinstance(data["result"], list) and data["resultType"] in ("vector", "matrix"):
        data["result"] = data["result"][:limit]
    return data
