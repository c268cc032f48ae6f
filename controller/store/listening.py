"""Hearing of what other processes wrote: a thread with a connection of its own that LISTENs. PostgreSQL alone.

A notification only wakes it. What was written it reads itself, in order, from the newest revision that the memory
knows; so one that was lost (the connection broke) delays what was written by POLL_SECONDS and loses nothing.
"""

from __future__ import annotations

import asyncio
import os
import select
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from typing import Any

import structlog

from controller.store.backend import SqlBackend
from controller.store.group_commit import GroupCommitter
from controller.store.memory_index import MemoryIndex
from controller.store.postgresql import brief
from controller.store.sharing import CHANNEL

POLL_SECONDS = 1.0
LAST_SECONDS = 10.0
_NOW = "SELECT revision, compacted FROM clock WHERE id = 1"
_log = structlog.get_logger("store")


class Listener:
    """Feeds `memory`, on the event loop that started it."""

    def __init__(
        self, connect: Callable[[], Any], disk: SqlBackend, memory: MemoryIndex, writing: GroupCommitter
    ) -> None:
        self._connect, self._disk, self._memory, self._writing = connect, disk, memory, writing
        self._thread = threading.Thread(target=self._run, name="store listener", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told_to_stop = self._stop = -1
        self._taken = threading.Event()

    def start(self) -> None:
        """Begin. To be called on the event loop, once."""
        self._loop = asyncio.get_running_loop()
        self._told_to_stop, self._stop = os.pipe()
        self._thread.start()

    def stop(self) -> None:
        """What it has read by now is not taken in any more. To be called on the event loop."""
        self._loop = None
        self._taken.set()
        os.close(self._stop)

    def join(self) -> None:
        """Wait until it has ended and let go of its connection. Blocking."""
        self._thread.join(LAST_SECONDS)

    def _run(self) -> None:
        trouble = ""
        while self._loop is not None:
            try:
                with closing(self._connect()) as connection:
                    self._listen(connection)
            except Exception as error:  # whatever it was: the next round begins anew
                said = str(self._disk.broken("listen to", error))
                if said != trouble and self._loop is not None:
                    _log.warning("what other conductors write is not heard of", because=said)
                trouble = said
                self._wait()
        os.close(self._told_to_stop)

    def _listen(self, connection: Any) -> None:
        brief(connection).execute(f"LISTEN {CHANNEL}")
        own = self._disk.sharing.id if self._disk.sharing is not None else ""
        unknown = True
        while self._loop is not None:
            if unknown and connection.execute(_NOW).fetchone() != (self._memory.revision, self._memory.oldest):
                self._read()
            heard = self._wait(connection.fileno())
            writers = [each.payload for each in connection.notifies(timeout=0)]
            # One that was told nothing looks all the same: a notification may have been lost.
            unknown = not heard or any(each != own for each in writers)

    def _wait(self, *for_what: int) -> bool:
        """Until there is something, POLL_SECONDS at most, or the end. Whether there was."""
        return bool(select.select((self._told_to_stop, *for_what), (), (), POLL_SECONDS)[0])

    def _read(self) -> None:
        """Raises the driver's errors, and StoreBroken for a record that does not open."""
        known = self._memory.revision
        newer, clock_row = self._disk.records_since(known)
        if clock_row.revision < known:
            _log.error("the store has lost what it had", revision=clock_row.revision, before=known)
        elif len(newer) == clock_row.revision - known:
            self._on_the_loop(partial(self._writing.learn, known, newer, clock_row))
        else:  # another process has compacted some of it
            self._on_the_loop(partial(self._writing.learn_anew, *self._disk.heads()))

    def _on_the_loop(self, take: Callable[[], Any]) -> None:
        loop = self._loop

        def take_unless_stopped() -> None:
            if self._loop is not None:
                take()
            self._taken.set()

        if loop is not None:
            self._taken.clear()
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(take_unless_stopped)
                self._taken.wait(POLL_SECONDS)
