"""Accepts connections, and survives whatever accepting can meet: no descriptors left, no room, clients that vanish.

uvicorn lets the event loop accept, which takes every connection there is and fails as a whole when it cannot. Here a
connection gets its place before the first byte of TLS, and when there is no place, the next one waits in the kernel.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from controller.kit.listening import open_listeners
from services.sdk.edge.connections import Connection, Connections
from services.sdk.edge.heads import HANDSHAKE_SECONDS

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
RETRY_SECONDS = 0.1
MakeProtocol = Callable[[Connection], asyncio.BufferedProtocol]
log = logging.getLogger(__name__)


async def listen(host: str, port: int, backlog: int) -> list[socket.socket]:
    """Sockets for every address that `host` means. Raises CannotListen."""
    # In a thread: a name may be asked of a resolver.
    return await asyncio.to_thread(open_listeners, host, port, backlog)


class Acceptor:
    """Takes connections from `listeners` as long as there is room for them."""

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        connections: Connections,
        make: MakeProtocol,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._listeners, self._connections, self._make, self._tls = listeners, connections, make, tls
        self._tasks: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._warned = False

    def start(self) -> None:
        """Begin, in tasks of its own."""
        for listener in self._listeners:
            self._loops.append(self._spawn(self._accept(listener)))

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """Sockets it listens on."""
        return self._listeners

    async def wait_closed(self) -> None:
        """As `asyncio.Server`'s: `close` leaves nothing to wait for."""

    def stop_accepting(self) -> None:
        """Take no more. Who was let in finishes their handshake."""
        for task in self._loops:
            task.cancel()
        for listener in self._listeners:
            listener.close()

    def close(self) -> None:
        """Take no more; what is established stays."""
        for task in tuple(self._tasks):
            task.cancel()
        self.stop_accepting()

    def _spawn(self, work: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while listener.fileno() >= 0:
            await self._connections.wait_for_room()
            try:
                taken, peer = await loop.sock_accept(listener)
            except OSError as refused:
                await self._survive(refused)
                continue
            self._warned = False
            # A socket of this machine has no addresses.
            connection = self._connections.admit(str(peer[0]) if peer else "")
            if connection is None:
                taken.close()
                continue
            task = self._spawn(self._establish(taken, connection))
            task.add_done_callback(partial(_close_if_cancelled, taken))  # a task may end before it has begun
            connection.drop = task.cancel
            # Those who came before get a turn: else a crowd would push out who was just let in.
            await asyncio.sleep(0)

    async def _survive(self, refused: OSError) -> None:
        """Without descriptors, the oldest stranger goes; clients that vanished before they came in are nothing."""
        if refused.errno not in EXHAUSTED:
            await asyncio.sleep(0)
            return
        if not self._warned:
            self._warned = True
            log.warning("no connection can be accepted for now: %s", refused)
        self._connections.drop_one()
        await asyncio.sleep(RETRY_SECONDS)

    async def _establish(self, taken: socket.socket, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        timeout = HANDSHAKE_SECONDS if self._tls is not None else None
        try:
            await loop.connect_accepted_socket(
                lambda: self._make(connection), taken, ssl=self._tls, ssl_handshake_timeout=timeout
            )
        except asyncio.CancelledError:
            connection.release()
            raise
        except Exception as failed:
            connection.release()
            with suppress(OSError):
                taken.close()
            if not isinstance(failed, OSError):  # as those of TLS and of time are, too
                log.exception("a connection could not be established")


def _close_if_cancelled(taken: socket.socket, task: asyncio.Task[None]) -> None:
    if task.cancelled():
        taken.close()
