"""uvicorn on the conductor's socket, taught to send a short answer in one piece."""

from __future__ import annotations

import asyncio
import weakref
from functools import partial
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from api.asgi import AT_ONCE, Receive, Scope, Send
from services.sdk.edge.connections import EXTENSION, Connection, ConnectionLimits
from services.sdk.edge.protocol import LimitedProtocol
from services.sdk.edge.server import LimitedServer

JOINED_BYTES = 16_384


class WriteCoalescer:
    """A transport that sends what is written within one turn of the loop together, up to 16 KiB of it.

    uvicorn writes head and body of an answer apart: two system calls here, and two reads of the gateway.
    """

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._waiting: list[bytes] = []
        self._size = 0
        self.connection: Connection | None = None
        """The place this connection has, for the protocol that takes over after an upgrade."""

    def write(self, data: bytes) -> None:
        """Sent in this turn of the loop, at its end at the latest."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)
        self._size += len(data)
        if self._size > JOINED_BYTES:  # or who sends without pause would never hear that the client is slow
            self._flush()

    def parted(self) -> Any:
        """The transport itself, on which each write goes out alone. Nothing may be waiting."""
        self._flush()
        return self._transport

    def close(self) -> None:
        """After everything that was written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._waiting:
            data = b"".join(self._waiting)
            self._waiting, self._size = [], 0
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _Coalescing(LimitedProtocol):
    """Joins head and body, and writes to watchers at once."""

    def connection_made(self, transport: Any) -> None:
        joining = WriteCoalescer(transport, self.loop)
        joining.connection = self.connection
        super().connection_made(cast(asyncio.Transport, joining))

    def on_headers_complete(self) -> None:
        """What is one change to a thousand watchers should not be a thousand tasks waiting to write."""
        super().on_headers_complete()
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope and b"watch" in self.scope.get("query_string", b""):
            extensions: dict[str, Any] = cast(Scope, self.scope).setdefault("extensions", {})
            # Weak: the cycle holds the scope, and with it would wait for the collector, its connection's buffers too.
            extensions[AT_ONCE] = partial(_write_at_once, weakref.ref(cycle))


def _write_at_once(answering: weakref.ref[RequestResponseCycle], part: bytes) -> bool:
    """As `answering.AtOnce`: what uvicorn's own `send` does with a part, where it need not wait."""
    cycle = answering()
    if cycle is None or cycle.flow.write_paused or cycle.disconnected:
        return False
    if cycle.response_complete or not cycle.chunked_encoding:
        return False
    cycle.transport.write(b"%x\r\n%b\r\n" % (len(part), part))
    return True


class _WebSockets(WebSocketsSansIOProtocol):
    """A connection that was upgraded keeps its place until it ends."""

    _connection: Connection | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport.parted() if isinstance(transport, WriteCoalescer) else transport)
        self._connection = getattr(transport, "connection", None)
        self.app = _told_the_connection(self.app, self._connection)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._connection is not None:
            self._connection.release()


def _told_the_connection(inner: Any, connection: Connection | None) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if connection is not None:
            scope.setdefault("extensions", {})[EXTENSION] = connection
        await inner(scope, receive, send)

    return app


LONGEST_FRAME = 2**20
_MANY = 1_000_000


def make_socket_server(app: Any) -> LimitedServer:
    """A server for a socket that only we can open (`serve(sockets=...)`): whoever does has kept the limits."""
    config = uvicorn.Config(
        app,
        http=_Coalescing,
        ws=_WebSockets,
        ws_max_size=LONGEST_FRAME,
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=3600,
        timeout_graceful_shutdown=5,
        date_header=False,
        server_header=False,
        proxy_headers=False,  # it would believe anybody; the gateway is heard in api/front_proxy.py
    )
    return LimitedServer(config, ConnectionLimits(_MANY, _MANY, _MANY, _MANY))
