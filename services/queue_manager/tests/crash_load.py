"""A process that sends, receives and deletes until it is killed, and tells each step as it begins and is answered.

`python -m services.queue_manager.tests.crash_load FOLDER SEED`. Lines: `send KEY` and `sent KEY`;
`got KEY BEFORE HIDDEN AFTER` (milliseconds: when it was asked for, how long it is hidden, when it came);
`delete KEY` and `deleted KEY`.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from services.queue_manager.broker import Broker, ToSend
from services.queue_manager.database import MessageDatabase
from services.queue_manager.live_queue import LiveQueue, QueueRules
from services.queue_manager.message import Draft, Received
from services.queue_manager.receipt_handles import ReceiptHandle
from services.sdk.group_commit import GroupCommitter

RULES = QueueRules(delay=0, retention=10**9)
WORKERS, GROUPS, LONG, SHORT = 8, 5, 3_600_000, 40


def now() -> int:
    return int(time.time() * 1000)


def opened(folder: Path) -> tuple[MessageDatabase, Broker]:
    """What is in that folder. Close the database."""
    database = MessageDatabase(folder)
    return database, Broker(database, GroupCommitter(database, ThreadPoolExecutor(1)), now)


def tell(*words: object) -> None:
    print(*words, flush=True)


class Load:
    """One standard queue, one FIFO queue whose keys are `GROUP.NUMBER`."""

    def __init__(self, broker: Broker, seed: int) -> None:
        self._broker, self._seed, self._rng = broker, seed, random.Random(seed)
        self._standard, self._fifo = broker.queue("standard", False), broker.queue("fifo", True)
        self._sent = 0

    async def run(self) -> None:
        workers = [self._send, self._send_in_groups, self._receive, self._receive_in_groups]
        await asyncio.gather(*(workers[each % 4]() for each in range(WORKERS)))

    async def _send(self) -> None:
        while True:
            keys = [self._key("s") for _ in range(self._rng.choice((1, 1, 10)))]
            await self._told(self._standard, [(key, Draft(key)) for key in keys])

    async def _send_in_groups(self) -> None:
        while True:
            group = f"g{self._rng.randrange(GROUPS)}"
            key = self._key(group)
            await self._told(self._fifo, [(key, Draft(key, group=group, deduplication=key))])

    async def _told(self, queue: LiveQueue, drafts: list[tuple[str, Draft]]) -> None:
        for key, _ in drafts:
            tell("send", key)
        await self._broker.send([ToSend(queue, RULES, draft) for _, draft in drafts])
        for key, _ in drafts:
            tell("sent", key)

    async def _receive(self) -> None:
        while True:
            hidden = self._rng.choice((LONG, SHORT))
            await self._take(self._standard, hidden, self._rng.random() < 0.7)

    async def _receive_in_groups(self) -> None:
        while True:
            await self._take(self._fifo, SHORT, self._rng.random() < 0.9)

    async def _take(self, queue: LiveQueue, hidden: int, deletes: bool) -> None:
        before = now()
        got = await self._broker.receive(queue, RULES, 10, hidden, wait=0.05)
        for each in got:
            tell("got", each.body, before, hidden, now())
        for each in got if deletes else ():
            await self._delete(queue, each, before + hidden)

    async def _delete(self, queue: LiveQueue, message: Received, until: int) -> None:
        if now() > until - SHORT // 4:
            return  # it may be somebody else's by now
        tell("delete", message.body)
        await self._broker.delete(queue, ReceiptHandle(queue.number, message.number, message.receipt))
        if queue.order.messages.get(message.number) is None:
            tell("deleted", message.body)

    def _key(self, group: str) -> str:
        self._sent += 1
        return f"{group}.{self._seed:012}{self._sent:08}"


if __name__ == "__main__":

    async def main() -> None:
        _, broker = opened(Path(sys.argv[1]))
        load = Load(broker, int(sys.argv[2]))
        tell("ready")
        await load.run()

    asyncio.run(main())
