"""Moves messages out of dead-letter queues: to where they failed, or to one queue, at some rate, over restarts.

Source: Amazon SQS API reference, StartMessageMoveTask; Developer Guide, "Dead-letter queue redrive".
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from uuid import uuid4

from services.queue_manager.broker import Broker
from services.queue_manager.directory import QueueDirectory
from services.queue_manager.live_queue import LiveQueue
from services.queue_manager.queue import FoundQueue

MOST_SHOWN = 10
_STEP = 500
RUNNING, COMPLETED, CANCELLED, FAILED = "RUNNING", "COMPLETED", "CANCELLED", "FAILED"
_COLUMNS = "id, source, destination, rate, status, moved, total, reason, started"


@dataclass(frozen=True, slots=True)
class MoveTask:
    """As it is stored. source, destination: ARNs; an empty destination means where each message failed. rate:
    messages a second; 0 for as fast as it goes. started: in milliseconds.
    """

    id: str
    source: str
    destination: str
    rate: int
    status: str
    moved: int
    total: int
    reason: str
    started: int


class MoveTasks:
    """One per process."""

    def __init__(self, directory: QueueDirectory, broker: Broker) -> None:
        self._directory, self._broker = directory, broker
        self._begun = asyncio.Event()
        self._begun.set()  # what was under way before goes on

    async def start(self, source: str, destination: str, rate: int, total: int) -> MoveTask | None:
        """The task; None where one of that source is under way."""
        task = MoveTask(str(uuid4()), source, destination, rate, RUNNING, 0, total, "", self._broker.now())
        if not await self._broker.submit(lambda db: _add(db, task)):
            return None
        self._begun.set()
        return task

    async def cancel(self, id: str, source: str) -> MoveTask | None:
        """The task as it ended; None where no such one of that source is under way."""
        return await self._broker.submit(lambda db: _cancel(db, id, source))

    async def of(self, source: str) -> list[MoveTask]:
        """The newest first."""
        wanted = f"SELECT {_COLUMNS} FROM move_tasks WHERE source=? ORDER BY started DESC LIMIT ?"  # noqa: S608 - ours
        return await self._broker.submit(lambda db: _read(db, wanted, source, MOST_SHOWN))

    async def run(self) -> None:
        """Until cancelled."""
        wanted = f"SELECT {_COLUMNS} FROM move_tasks WHERE status=?"  # noqa: S608 - ours
        async with asyncio.TaskGroup() as tasks:
            known: set[str] = set()
            while True:
                await self._begun.wait()
                self._begun.clear()
                for each in await self._broker.submit(lambda db: _read(db, wanted, RUNNING)):
                    if each.id not in known:
                        known.add(each.id)
                        tasks.create_task(self._carry_out(each))

    async def _carry_out(self, task: MoveTask) -> None:
        step = min(task.rate, _STEP) or _STEP
        while True:
            ended = await self._ended(task, step)
            if ended is not None:
                await self._broker.submit(lambda db, ended=ended: _end(db, ended))  # type: ignore[misc]
                return
            if task.rate:
                await asyncio.sleep(step / task.rate)

    async def _ended(self, task: MoveTask, step: int) -> MoveTask | None:
        """One step; the task as it ended, if it did."""
        source = await self._directory.read_arn(task.source)
        destination = await self._directory.read_arn(task.destination) if task.destination else None
        if source is None or (task.destination and destination is None):
            return replace(task, status=FAILED, reason="AWS.SimpleQueueService.NonExistentQueue")
        live = self._directory.live
        everywhere = None if destination is None else live(destination)
        try:
            moved = await self._broker.send_back(live(source), step, self._origins(source), everywhere)
        except LookupError:
            return replace(task, status=FAILED, reason="CouldNotDetermineMessageSource")
        if not moved:
            return replace(task, status=COMPLETED)
        under_way = await self._broker.submit(lambda db: _count(db, task.id, moved))
        return None if under_way else replace(task, status=CANCELLED)

    def _origins(self, source: FoundQueue) -> Mapping[str, LiveQueue]:
        """Back goes only what failed in a queue that still sends its dead letters here: that was asked for."""
        return {each.arn: self._directory.live(each) for each in self._directory.sources_of(source)}


def _read(db: sqlite3.Connection, sql: str, *values: object) -> list[MoveTask]:
    return [MoveTask(*row) for row in db.execute(sql, values)]


def _add(db: sqlite3.Connection, task: MoveTask) -> bool:
    if db.execute("SELECT 1 FROM move_tasks WHERE source=? AND status=?", (task.source, RUNNING)).fetchone():
        return False
    values: Sequence[object] = astuple(task)
    db.execute(f"INSERT INTO move_tasks ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)", values)  # noqa: S608 - ours
    return True


def _cancel(db: sqlite3.Connection, id: str, source: str) -> MoveTask | None:
    values = (CANCELLED, id, source, RUNNING)
    db.execute("UPDATE move_tasks SET status=? WHERE id=? AND source=? AND status=?", values)
    if not db.execute("SELECT changes()").fetchone()[0]:
        return None
    return _read(db, f"SELECT {_COLUMNS} FROM move_tasks WHERE id=?", id)[0]  # noqa: S608 - ours


def _count(db: sqlite3.Connection, id: str, moved: int) -> bool:
    """Whether it is still under way."""
    db.execute("UPDATE move_tasks SET moved=moved+? WHERE id=?", (moved, id))
    return bool(db.execute("SELECT 1 FROM move_tasks WHERE id=? AND status=?", (id, RUNNING)).fetchone())


def _end(db: sqlite3.Connection, task: MoveTask) -> None:
    values = (task.status, task.reason, task.id, RUNNING)
    db.execute("UPDATE move_tasks SET status=?, reason=? WHERE id=? AND status=?", values)
