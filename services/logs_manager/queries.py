"""Queries, one after the other in a thread: whoever asks much waits, for twenty seconds each at most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from typing import TypeVar

from services.logs_manager.directory import Directory
from services.logs_manager.logql.evaluate import Source
from services.logs_manager.store.log_store import LogStore
from services.logs_manager.store.reader import LogReader
from services.logs_manager.store.streams import Stream
from services.sdk.reconcile import Clock

T = TypeVar("T")


class Seen:
    """As `Source`: what of all streams somebody sees."""

    def __init__(self, streams: Sequence[Stream], directory: Directory, now: int) -> None:
        self._streams, self._directory, self._now = streams, directory, now

    def streams(self) -> Sequence[Stream]:
        return self._streams

    def kept_since(self, stream: Stream) -> int:
        return self._now - self._directory.retention_ns(stream)


class Queries:
    """`thread`: of one thread alone."""

    def __init__(self, store: LogStore, directory: Directory, clock: Clock, thread: Executor) -> None:
        self._store, self._directory, self._clock, self._thread = store, directory, clock, thread
        self._reader: LogReader | None = None

    def now(self) -> int:
        """ns since 1970."""
        return round(self._clock.now().timestamp() * 1e9)

    def of_namespace(self, namespace: str | None) -> Source:
        """None for those of all."""
        return Seen(self._store.streams.all(namespace), self._directory, self.now())

    def of_streams(self, streams: Collection[Stream]) -> Source:
        return Seen(list(streams), self._directory, self.now())

    async def run(self, ask: Callable[[LogReader], T]) -> T:
        """What `ask` finds, in the thread. Raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._asked, ask)

    def _asked(self, ask: Callable[[LogReader], T]) -> T:
        if self._reader is None:
            self._reader = self._store.reader()
        with self._reader.in_time():
            return ask(self._reader)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
