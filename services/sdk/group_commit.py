"""Group commit: changes that wait at the same moment become durable together, in the order they came.

One thread takes all that wait, runs them in one transaction, and commits once; whoever comes meanwhile waits for the
next. What a change means for the memory is done by its `then`, in the event loop, in the same order, whether or not
anybody still waits for it: a client that has gone does not undo what is on the disk.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Executor
from typing import Any, NamedTuple, Protocol, TypeVar

from services.sdk.sqlite_file import SqliteFile

T = TypeVar("T")
log = logging.getLogger(__name__)
MOST_CHANGES = 512


class Closable(Protocol):
    def close(self) -> None: ...


class _Waiting(NamedTuple):
    change: Callable[[sqlite3.Connection], Any]
    then: Callable[[Any], None] | None
    undo: Callable[[], None] | None
    caller: asyncio.Future[Any]


class GroupCommitter:
    """Used by one event loop. `thread`: of one thread alone."""

    def __init__(self, database: SqliteFile, thread: Executor) -> None:
        self._database, self._thread = database, thread
        self._waiting: list[_Waiting] = []
        self._committing: asyncio.Future[list[Any]] | None = None

    def submit(
        self,
        change: Callable[[sqlite3.Connection], T],
        then: Callable[[T], None] | None = None,
        undo: Callable[[], None] | None = None,
    ) -> asyncio.Future[T]:
        """The result of the blocking `change`, once it is durable; then `then` has run. Where the disk refuses,
        `undo` has, and the future raises sqlite3.Error: for all that were to become durable together.
        """
        loop = asyncio.get_running_loop()
        caller: asyncio.Future[T] = loop.create_future()
        self._waiting.append(_Waiting(change, then, undo, caller))
        if self._committing is None:
            self._begin(loop)
        return caller

    async def drained(self) -> None:
        """Returns when nothing waits any more."""
        while self._committing is not None:
            await asyncio.wait([self._committing])
            await asyncio.sleep(0)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        group, self._waiting = self._waiting[:MOST_CHANGES], self._waiting[MOST_CHANGES:]
        self._committing = loop.run_in_executor(self._thread, self._commit, group)
        self._committing.add_done_callback(lambda done: self._finish(group, done))

    def _commit(self, group: list[_Waiting]) -> list[Any]:
        database = self._database
        database.begin()
        try:
            found = [each.change(database.connection) for each in group]
            database.commit()
        except BaseException:
            database.rollback()
            raise
        return found

    def _finish(self, group: list[_Waiting], done: asyncio.Future[list[Any]]) -> None:
        self._committing = None
        failure = asyncio.CancelledError() if done.cancelled() else done.exception()
        values = [None] * len(group) if failure is not None else done.result()
        for each, value in zip(group, values, strict=True):
            self._tell(each, value, failure)
        if self._waiting and self._committing is None:
            self._begin(done.get_loop())

    def _tell(self, waiting: _Waiting, value: Any, failure: BaseException | None) -> None:
        """A mistake of ours in one must not leave the others waiting for ever."""
        try:
            if failure is None and waiting.then is not None:
                waiting.then(value)
            if failure is not None and waiting.undo is not None:
                waiting.undo()
        except Exception as mistake:
            log.exception("the memory does not follow the disk")
            failure = mistake
        if waiting.caller.done():
            return
        if failure is not None:
            waiting.caller.set_exception(failure)
        else:
            waiting.caller.set_result(value)


def stopped(
    committers: Iterable[GroupCommitter], threads: Iterable[Executor], files: Iterable[Closable]
) -> Callable[[], Awaitable[None]]:
    """For `Service.on_stop`: what waits becomes durable, threads end, then the files they used are closed."""

    async def stop() -> None:
        for committer in committers:
            await committer.drained()
        for thread in threads:
            thread.shutdown(cancel_futures=True)
        for each in files:
            each.close()

    return stop
