"""Several conductors on one PostgreSQL: one leads, the others stand by. `standby_file` says that this one does.

A conductor that stands by has nothing open but its lease: no port, no services. It begins as after any start, once
the lead is its own.
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio
import structlog

from controller.kit.systemd import Notifier
from controller.kit.threads import Threads
from controller.main.errors import UserError
from controller.main.settings import Settings
from controller.main.standby_file import forget_leader, note_leader
from controller.store.leading import Lead, Leader
from controller.store.records import NotLeading, StoreAway
from controller.store.sql import prepare

LOOK_SECONDS = 0.25
_log = structlog.get_logger("conductor")


@asynccontextmanager
async def leading(settings: Settings, notifier: Notifier) -> AsyncIterator[Lead | None]:
    """Inside, this conductor leads; it may have stood by for long before. None where there is one conductor alone.

    Raises UserError for a home that has a store of its own, StoreBroken or StoreAway for a database that cannot be
    used.
    """
    forget_leader(settings)
    if not settings.store:
        yield None
        return
    if settings.store_file.exists():
        hint = f"move it there first: aerekos store migrate --to {settings.store!r}"
        raise UserError(
            f"{settings.store_file} holds the records of this cloud, and the store is elsewhere", hint=hint
        )
    threads = Threads(1)
    lead = Lead(settings.store, f"{socket.gethostname()}/{os.getpid()}", settings.url)
    await threads.run(partial(prepare, settings.store))
    await _take(lead, settings, threads, notifier)
    lead.keep()
    try:
        yield lead
    finally:
        with anyio.CancelScope(shield=True):
            await threads.run(lead.give_back)


async def until_lost(lead: Lead) -> None:
    """Raises NotLeading once another conductor leads."""
    while not lead.lost:  # noqa: ASYNC110 - a thread finds it out
        await anyio.sleep(LOOK_SECONDS)
    raise NotLeading("another conductor has taken the lead: this one ends")


async def _take(lead: Lead, settings: Settings, threads: Threads, notifier: Notifier) -> None:
    if await threads.run(lead.take):
        return
    told: Leader | None = None
    notifier.ready()
    async with anyio.create_task_group() as group:
        group.start_soon(notifier.keep_alive)
        while True:
            with suppress(StoreAway):  # it is for the leader to tell
                if await threads.run(lead.take):
                    break
                found = await threads.run(lead.look)
                if told is None or found.url != told.url:
                    told = found
                    _tell(settings, found)
            await anyio.sleep(LOOK_SECONDS)
        group.cancel_scope.cancel()
    forget_leader(settings)
    _log.info("took the lead", epoch=lead.epoch, before=told.url if told else "")


def _tell(settings: Settings, found: Leader) -> None:
    note_leader(settings, found.url, found.holder)
    _log.info("standing by", leader=found.url, holder=found.holder)
