"""Several conductors on one PostgreSQL: one leads, the others stand by. `standby_file` says that this one does.

A conductor that stands by runs nothing. Its gateways answer reads from the store it follows, and send all else on to
the one that leads (`standby_reads`). It begins as after any start, once the lead is its own.
"""

from __future__ import annotations

import os
import random
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import anyio
import structlog

from api.channel.conductors import Conductors, Leadership
from controller.kit.lasting import Lasting
from controller.kit.listening import EVERYWHERE
from controller.kit.systemd import Notifier
from controller.kit.threads import Threads
from controller.main.errors import UserError
from controller.main.settings import Settings
from controller.main.standby_file import forget_leader, note_leader
from controller.store.leading import Lead, Leader
from controller.store.records import NotLeading, StoreAway
from controller.store.sql import prepare

LOOK_SECONDS, TELL_SECONDS = 0.25, 1.0
Reads = Callable[[Conductors], Awaitable[None]]
_log = structlog.get_logger("conductor")


class ToldToStop(Exception):
    """A conductor was told to stop while it stood by."""


async def _no_reads(_: Conductors) -> None:
    """Nobody is answered."""


@asynccontextmanager
async def leading(settings: Settings, notifier: Notifier, reads: Reads = _no_reads) -> AsyncIterator[Lead | None]:
    """Inside, this conductor leads; it may have stood by for long before, with `reads` at work. None where there is
    one conductor alone.

    Raises UserError for a home that has a store of its own, StoreBroken or StoreAway for a database that cannot be
    used, ToldToStop.
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
    lead = Lead(settings.store, f"{socket.gethostname()}/{os.getpid()}", reached_at(settings))
    await threads.run(partial(prepare, settings.store))
    await _take(lead, settings, threads, notifier, reads)
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


async def tell_of_others(lead: Lead, conductors: Conductors) -> None:
    """Gateways hear of all other conductors, until cancelled: should this one go, or not be sure that it still leads,
    they ask those.
    """
    while True:
        conductors.use(Leadership(sure=not lead.may_be_over, others=lead.others))
        await anyio.sleep(TELL_SECONDS)


def reached_at(settings: Settings) -> str:
    """Where gateways of other conductors reach this one's: by a name that its certificate has."""
    if settings.host not in EVERYWHERE:
        return settings.url
    return f"https://{next(iter(settings.names), socket.gethostname().lower())}:{settings.port}"


async def _take(lead: Lead, settings: Settings, threads: Threads, notifier: Notifier, reads: Reads) -> None:
    if await threads.run(lead.take):
        return
    conductors, told_to_stop = Conductors(Leadership(leads=False)), anyio.Event()
    notifier.ready()
    async with anyio.create_task_group() as group:
        group.start_soon(notifier.keep_alive)
        group.start_soon(_hear_signals, told_to_stop)
        Lasting(group, random.Random()).start_soon(reads, conductors, name="reads")  # noqa: S311 - jitter
        await _stand_by(lead, settings, threads, conductors, told_to_stop)
        group.cancel_scope.cancel()
    forget_leader(settings)
    if told_to_stop.is_set():
        raise ToldToStop
    _log.info("took the lead", epoch=lead.epoch)


async def _stand_by(
    lead: Lead, settings: Settings, threads: Threads, conductors: Conductors, told_to_stop: anyio.Event
) -> None:
    """Until the lead is this conductor's, or it is told to stop."""
    told: Leader | None = None
    while not told_to_stop.is_set():
        with suppress(StoreAway):  # it is for the leader to tell
            if await threads.run(lead.take):
                return
            found = await threads.run(lead.look)
            if told is None or found.url != told.url:
                told = found
                _tell(settings, found)
            await threads.run(lead.be_present)
            conductors.use(Leadership(False, "" if found.free else found.url, lead.others))
        with anyio.move_on_after(LOOK_SECONDS):
            await told_to_stop.wait()


async def _hear_signals(told_to_stop: anyio.Event) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            told_to_stop.set()
            return


def _tell(settings: Settings, found: Leader) -> None:
    note_leader(settings, found.url, found.holder)
    _log.info("standing by", leader=found.url, holder=found.holder)
