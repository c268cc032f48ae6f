"""The gateway's listening side: accepts within limits, and stops without losing a request that is under way."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from time import time
from typing import Any

from services.sdk.asgi import Asgi
from services.sdk.edge.acceptor import Acceptor
from services.sdk.edge.client_connection import AnswersAtOnce, ClientConnection
from services.sdk.edge.client_request import ClientRequest
from services.sdk.edge.connections import Connection, ConnectionLimits, Connections


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds until everything is ended, and until connections are closed on which nothing is under way: a client
    whose next request is on its way already is told with the answer that it was the last one.
    """

    grace: float
    idle: float


AT_ONCE, AT_THE_END, NEXT_ONE_IS_THERE = Patience(0.0, 0.0), Patience(5.0, 0.5), Patience(60.0, 15.0)


class HttpServer:
    """Serves `app` on `listeners` until it is stopped. `tls`: None for tests, and for sockets only we can reach.
    `finished` is told of each request that is over. `peer`: the subject whoever can connect has, where that is known
    without a certificate. `at_once`: what may take small requests in place of `app` (client_connection).
    """

    def __init__(
        self,
        app: Asgi,
        listeners: Sequence[socket.socket],
        tls: ssl.SSLContext | None,
        limits: ConnectionLimits,
        finished: Callable[[ClientRequest], object] = lambda _: None,
        *,
        peer: tuple[Any, ...] = (),
        at_once: AnswersAtOnce | None = None,
    ) -> None:
        self._app, self._finished, self._date = app, finished, (0, b"")
        self._peer, self._at_once = peer, at_once
        self._clients: set[ClientConnection] = set()
        self._all_closed, self._stopping = asyncio.Event(), False
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

    async def stop(self, patience: Patience = AT_THE_END) -> None:
        """Accept no more, finish what is under way, and end what takes longer."""
        self._stopping = True
        self._acceptor.stop_accepting()
        for client in tuple(self._clients):
            client.stop()
        if not await self._closed_within(patience.idle):
            for client in tuple(self._clients):
                client.stop_idle()
        await self._closed_within(patience.grace - patience.idle)
        self._acceptor.close()
        for client in tuple(self._clients):
            client.abort()

    async def _closed_within(self, seconds: float) -> bool:
        """Whether no client is left."""
        if self._clients:
            self._all_closed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._all_closed.wait()
        return not self._clients

    def _connection(self, connection: Connection) -> ClientConnection:
        joined = (self._clients.add, self._forget, self._finished)
        client = ClientConnection(
            self._app, self._date_header, connection, *joined, peer=self._peer, at_once=self._at_once
        )
        client.stopping = self._stopping
        return client

    def _forget(self, client: ClientConnection) -> None:
        self._clients.discard(client)
        if not self._clients:
            self._all_closed.set()

    def _date_header(self) -> bytes:
        now = int(time())
        if self._date[0] != now:
            self._date = (now, b"date: %b\r\n" % formatdate(now, usegmt=True).encode())
        return self._date[1]
