"""Deletes what is kept no longer: messages that ended, receivers that are no more, and what nobody will be sent."""

from __future__ import annotations

import logging
import sqlite3

import anyio
import anyio.lowlevel

from services.sdk.group_commit import GroupCommitter
from services.sdk.resources import Clock
from services.sdk.sqlite_file import give_back
from services.webhook_manager import message_store as store
from services.webhook_manager.delivery import Receiver
from services.webhook_manager.directory import Directory
from services.webhook_manager.engine import Engine

SWEEP_SECONDS = 3600.0
_FAILED_SECONDS = 5.0
log = logging.getLogger("webhook_manager")


class Sweeping:
    """One per process."""

    def __init__(self, committer: GroupCommitter, directory: Directory, engine: Engine, clock: Clock) -> None:
        self._committer, self._directory, self._engine, self._clock = committer, directory, engine, clock
        self._gone: set[str] = set()
        self._news = anyio.Event()

    async def run(self) -> None:
        """Until cancelled: receivers as they are deleted, the rest every hour."""
        await self._directory.synced()
        stop = self._directory.on_deleted(self._noticed)
        try:
            while True:
                await self._sweep()
                with anyio.move_on_after(SWEEP_SECONDS):
                    while True:
                        await self._news.wait()
                        await self._forget_gone()
        finally:
            stop()

    def _noticed(self, uid: str) -> None:
        self._gone.add(uid)
        self._news.set()

    async def _sweep(self) -> None:
        try:
            # The store first: what it knows came from the listing, which has it unless it was deleted.
            known = await self._committer.submit(store.receivers)
            self._gone |= known - self._directory.uids()
            await self._forget_gone()
            for uid in sorted(known - self._gone):
                await self._expire(uid)
            while await self._committer.submit(give_back):
                await anyio.lowlevel.checkpoint()
        except sqlite3.Error:
            log.exception("what is kept no longer is not deleted yet")

    async def _expire(self, uid: str) -> None:
        receiver = self._directory.receiver(uid)
        if receiver is None:
            return
        now = self._clock.now().timestamp()
        before = now - receiver.retention
        await self._give_up(receiver, before, now)
        while await self._committer.submit(lambda db: store.expire(db, uid, before)):
            await anyio.lowlevel.checkpoint()

    async def _give_up(self, receiver: Receiver, before: float, now: float) -> None:
        """Messages to an endpoint that is paused or disabled, or has nothing to sign with, wait as long as others are
        kept.
        """
        is_disabled = self._engine.health(receiver.uid).disabled_at is not None
        if not (receiver.paused or is_disabled or self._engine.is_held(receiver.uid)):
            return
        fault = "nothing was sent to it for as long as messages are kept"
        number = await self._committer.submit(lambda db: store.give_up(db, receiver.uid, before, now, fault))
        if number:
            fields = {"receiver": f"{receiver.namespace}/{receiver.name}"}
            log.warning("%d messages are given up: %s", number, fault, extra={"fields": fields})

    async def _forget_gone(self) -> None:
        self._news = anyio.Event()
        gone, self._gone = self._gone, set()
        if not gone:
            return
        try:
            await self._engine.forget(*gone)
        except sqlite3.Error:
            log.exception("receivers that are no more are not forgotten yet")
            self._gone |= gone
            self._news.set()
            await anyio.sleep(_FAILED_SECONDS)
