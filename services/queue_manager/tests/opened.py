"""A broker on its real store, in virtual time; closed and opened again; its disk full for a while."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.queue_manager.broker import Broker, ToSend
from services.queue_manager.database import MessageDatabase
from services.queue_manager.live_queue import LiveQueue, QueueRules
from services.queue_manager.message import Draft
from services.sdk.group_commit import GroupCommitter
from services.sdk.testing.virtual import AtOnce

RULES = QueueRules(0, 345_600_000)


class Opened:
    """That folder's messages."""

    def __init__(self, folder: Path) -> None:
        self.database = MessageDatabase(folder)
        self.committer = GroupCommitter(self.database, AtOnce())
        loop = asyncio.get_running_loop()
        self.broker = Broker(self.database, self.committer, lambda: 1_700_000_000_000 + round(loop.time() * 1000))

    async def send(self, queue: LiveQueue, *bodies: str) -> None:
        await self.broker.send([ToSend(queue, RULES, Draft(each)) for each in bodies])

    async def bodies(self, queue: LiveQueue, rules: QueueRules = RULES, **more: Any) -> list[str]:
        return [each.body for each in await self.broker.receive(queue, rules, 10, 1000, **more)]

    def rows(self, table: str) -> int:
        found: int = self.database.connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        return found

    @contextmanager
    def full(self) -> Iterator[None]:
        """The disk takes nothing."""

        def refused() -> None:
            raise sqlite3.OperationalError("database or disk is full")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.database, "commit", refused)
            yield

    async def close(self) -> None:
        await self.committer.drained()
        self.database.close()

    async def reopened(self, folder: Path) -> Opened:
        await self.close()
        return Opened(folder)
