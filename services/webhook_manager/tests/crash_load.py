"""A process that takes messages in and sends them, and is killed at any moment: by itself, with SIGKILL.

`python -m services.webhook_manager.tests.crash_load FOLDER SEED DEADLY`. `acknowledged` in the folder has the ids of
messages that were said to be taken, `sent` those that their receiver got. DEADLY 0: until everything was sent.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
from prometheus_client import CollectorRegistry

from services.sdk.group_commit import GroupCommitter
from services.sdk.resources import SystemClock
from services.webhook_manager import message_store as store
from services.webhook_manager.delivery import AttemptResult, Receiver
from services.webhook_manager.engine import Engine
from services.webhook_manager.message import Draft, Message
from services.webhook_manager.message_store import open_messages
from services.webhook_manager.metrics import WebhookMetrics
from services.webhook_manager.outbox import Outbox
from services.webhook_manager.room import Room

RECEIVERS = ("a", "b")
MOST = 400


class Noted:
    """A file that is there after a kill: what was written has left the process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, text: str) -> None:
        os.write(self._file, f"{text}\n".encode())


class Receiving:
    """As `Sender` and `Receivers`. Fails now and then, and dies before or after what it got."""

    def __init__(self, sent: Noted, rng: random.Random, deadly: float) -> None:
        self._sent, self._rng, self._deadly = sent, rng, deadly

    async def synced(self) -> None:
        return None

    def receiver(self, uid: str) -> Receiver | None:
        return Receiver(uid, "default", uid, "endpoint", 1, 8, None, 5.0, (1,) * 32, None, 3600.0, False)

    async def send(self, receiver: Receiver, message: Message) -> AttemptResult:
        await asyncio.sleep(0)
        self.die()
        if self._deadly and self._rng.random() < 0.1:
            return AttemptResult(503, "it answered 503")
        self._sent.note(f"{receiver.uid}/{message.id}")
        self.die()
        return AttemptResult(200)

    def die(self) -> None:
        if self._rng.random() < self._deadly:
            os.kill(os.getpid(), signal.SIGKILL)


async def put_more(outbox: Outbox, seed: int, acknowledged: Noted, receiving: Receiving) -> None:
    for number in range(MOST):
        id = f"m{seed}-{number}"
        await outbox.put([Draft(each, id, "t", {}, id.encode() * 10) for each in RECEIVERS])
        receiving.die()
        for each in RECEIVERS:
            acknowledged.note(f"{each}/{id}")


async def main(folder: Path, seed: int, deadly: float) -> None:
    committer = GroupCommitter(open_messages(folder), ThreadPoolExecutor(1))
    receiving = Receiving(Noted(folder / "sent"), random.Random(seed), deadly)
    clock = SystemClock()

    async def changed(uid: str) -> None:
        return None

    engine = Engine(committer, receiving, receiving, clock, WebhookMetrics(CollectorRegistry()), changed)
    async with anyio.create_task_group() as group:
        group.start_soon(engine.run)
        await engine.loaded.wait()
        if deadly:
            room = Room(committer, clock, lambda uid: RECEIVERS, folder)
            await put_more(
                Outbox(committer, room, clock, engine.wake), seed, Noted(folder / "acknowledged"), receiving
            )
        while await committer.submit(store.waiting_count):  # noqa: ASYNC110 - nobody tells when it is over
            await asyncio.sleep(0.05)
        group.cancel_scope.cancel()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
