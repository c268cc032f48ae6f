"""Group commit: changes of the metadata index that wait at the same moment become durable together.

One thread takes all that wait, makes the small blobs appended before durable, runs each change at a savepoint of one
transaction, and commits once. A change that raises undoes itself alone. Whoever comes meanwhile waits for the next.
Where others follow, a group is acknowledged once they have it too; the next is committed meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, TypeVar

from anyio import to_thread

from services.storage_manager.metadata.database import MetadataDb
from services.storage_manager.segment_format import SmallBlobId
from services.storage_manager.segment_index import SegmentIndex
from services.storage_manager.segments import SegmentWriter

T = TypeVar("T")
NewBlobs = Sequence[tuple[SmallBlobId, int]]
MOST_CHANGES = 256


class _Waiting(NamedTuple):
    """One change, the small blobs that it names for the first time (with their sizes), and who waits for it."""

    change: Callable[[], Any]
    blobs: NewBlobs
    caller: asyncio.Future[Any]


class _Outcome(NamedTuple):
    value: Any = None
    fault: BaseException | None = None


class Replicates(Protocol):
    """Those who follow the index."""

    def head(self) -> int:
        """The number of the last change. Blocking."""
        ...

    def reached(self, number: int) -> asyncio.Future[None] | None:
        """Done once all who keep up have it on their disks; None where there is nobody to wait for."""
        ...


class GroupCommitter:
    """Used by one event loop. `replicates`: set before the first change, where somebody may follow."""

    def __init__(self, metadata: MetadataDb, segments: SegmentWriter, index: SegmentIndex) -> None:
        self._metadata, self._segments, self._index = metadata, segments, index
        self.replicates: Replicates | None = None
        self._head = 0
        self._waiting: list[_Waiting] = []
        self._committing: asyncio.Future[list[_Outcome]] | None = None
        self._thread = ThreadPoolExecutor(1, "commit")

    async def run(self, change: Callable[[], T], blobs: NewBlobs = ()) -> T:
        """Run the blocking `change`; return once it is durable. Raises what it raises, OSError, sqlite3.Error."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(change, blobs, loop.create_future())
        self._waiting.append(waiting)
        if self._committing is None:
            self._begin(loop)
        result: T = await waiting.caller
        return result

    async def run_alone(self, change: Callable[[], T]) -> T:
        """As `run`, for a blocking `change` that commits by itself, beside the groups."""
        result = await to_thread.run_sync(change)
        if self.replicates is not None:
            head = await to_thread.run_sync(self.replicates.head)
            if (reached := self.replicates.reached(head)) is not None:
                await reached
        return result

    def close(self) -> None:
        """Nothing is committed any more. Blocking."""
        self._thread.shutdown()

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        group, self._waiting = self._waiting[:MOST_CHANGES], self._waiting[MOST_CHANGES:]
        self._committing = loop.run_in_executor(self._thread, self.commit, group)
        self._committing.add_done_callback(lambda done: self._finish(group, done))

    def _finish(self, group: list[_Waiting], done: asyncio.Future[list[_Outcome]]) -> None:
        self._committing = None
        failure = asyncio.CancelledError() if done.cancelled() else done.exception()
        outcomes = [_Outcome(fault=failure)] * len(group) if failure is not None else done.result()
        reached = self.replicates.reached(self._head) if self.replicates is not None else None
        if reached is None:
            _resolve_all(group, outcomes)
        else:
            reached.add_done_callback(lambda _: _resolve_all(group, outcomes))
        if self._waiting:
            self._begin(done.get_loop())

    def commit(self, group: Sequence[_Waiting]) -> list[_Outcome]:
        """All of them in one transaction. Raises what keeps it from being durable."""
        # Whoever names what was not written is refused below: a full disk must not keep others from deleting.
        with suppress(OSError):
            self._segments.flush()
        with self._metadata.transaction():
            outcomes = [self._apply(each) for each in group]
        if self.replicates is not None:
            self._head = self.replicates.head()
        return outcomes

    def _apply(self, waiting: _Waiting) -> _Outcome:
        db = self._metadata.connection()
        try:
            for id, size in waiting.blobs:
                self._segments.require_durable(id, size)
            db.execute("SAVEPOINT change")
            try:
                value = waiting.change()
                for id, size in waiting.blobs:
                    self._index.add(id, size)
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK TO change")
                raise
            finally:
                if db.in_transaction:
                    db.execute("RELEASE change")
        except Exception as fault:
            if not db.in_transaction:
                raise  # SQLite undid all of it, as it does when the disk is full
            return _Outcome(fault=fault)
        return _Outcome(value)


def _resolve_all(group: Sequence[_Waiting], outcomes: Sequence[_Outcome]) -> None:
    for waiting, outcome in zip(group, outcomes, strict=True):
        _resolve(waiting.caller, outcome)


def _resolve(caller: asyncio.Future[Any], outcome: _Outcome) -> None:
    if caller.done():
        return  # whoever asked has gone; it is done all the same
    if outcome.fault is not None:
        caller.set_exception(outcome.fault)
    else:
        caller.set_result(outcome.value)
