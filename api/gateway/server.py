"""The gateway's listening side: accepts within limits, and stops without losing a request that is under way."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from email.utils import formatdate
from time import time

from api.asgi import App
from api.gateway.client_connection import ClientConnection
from services.sdk.edge.acceptor import Acceptor
from services.sdk.edge.connections import Connection, ConnectionLimits, Connections

GRACE_SECONDS = 5.0


class GatewayServer:
    """Serves `app` on `listeners` until it is stopped. `tls`: None for tests, and for sockets only we can reach."""

    def __init__(
        self, app: App, listeners: Sequence[socket.socket], tls: ssl.SSLContext | None, limits: ConnectionLimits
    ) -> None:
        self._app, self._date = app, (0, b"")
        self._clients: set[ClientConnection] = set()
        self._all_closed = asyncio.Event()
        self.places = Connections(limits, asyncio.get_running_loop().time)
        self._acceptor = Acceptor(listeners, self.places, self._connection, tls)

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """The sockets it listens on."""
        return self._acceptor.sockets

    @property
    def clients(self) -> int:
        """Connections that are open."""
        return len(self._clients)

    def start(self) -> None:
        """Begin to accept."""
        self._acceptor.start()

    async def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Accept no more, finish what is under way for so many seconds, and end the rest."""
        self._acceptor.close()
        for client in tuple(self._clients):
            client.stop()
        if self._clients:
            try:
                async with asyncio.timeout(grace):
                    await self._all_closed.wait()
            except TimeoutError:
                for client in tuple(self._clients):
                    client.abort()

    def _connection(self, connection: Connection) -> ClientConnection:
        return ClientConnection(self._app, self._date_header, connection, self._clients.add, self._forget)

    def _forget(self, client: ClientConnection) -> None:
        self._clients.discard(client)
        if not self._clients:
            self._all_closed.set()

    def _date_header(self) -> bytes:
        now = int(time())
        if self._date[0] != now:
            self._date = (now, b"date: %b\r\n" % formatdate(now, usegmt=True).encode())
        return self._date[1]
