"""uvicorn, taught to show an application the client's certificate, and to send a short answer in one TLS record."""

from __future__ import annotations

import asyncio
import ssl
import weakref
from functools import partial
from pathlib import Path
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from api.asgi import AT_ONCE, Receive, Scope, Send
from api.auth.authentication import peer_subject
from services.sdk.edge.connections import EXTENSION, Connection, ConnectionLimits
from services.sdk.edge.protocol import LimitedProtocol
from services.sdk.edge.server import LimitedServer

JOINED_BYTES = 16_384  # the most one record of TLS carries


class WriteCoalescer:
    """A transport that sends what is written within one turn of the loop together, up to 16 KiB of it.

    uvicorn writes head and body of an answer apart. Two records of TLS cost a GET a fifth of its time.
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


class _WithPeer(LimitedProtocol):
    """Puts the verified subject into the scope's extensions: uvicorn itself does not pass it on."""

    def connection_made(self, transport: Any) -> None:
        joining = WriteCoalescer(transport, self.loop)
        joining.connection = self.connection
        super().connection_made(cast(asyncio.Transport, joining))
        self.app = _told_the_peer(self.app, transport)

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


class _SocketWithPeer(WebSocketsSansIOProtocol):
    """The same for WebSockets, each frame in a record of its own.

    A client that polls its socket (Python's for Kubernetes does) does not see what came in the record of the frame it
    has read: it would hear of the end of a command when it gives up waiting.
    """

    _connection: Connection | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport.parted() if isinstance(transport, WriteCoalescer) else transport)
        self._connection = getattr(transport, "connection", None)
        self.app = _told_the_connection(_told_the_peer(self.app, transport), self._connection)

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


def _told_the_peer(inner: Any, transport: Any) -> Any:
    subject = peer_subject(transport)
    if not subject:
        return inner

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("extensions", {})["aerekos.peer"] = subject
        await inner(scope, receive, send)

    return app


LONGEST_FRAME = 2**20
_MANY = 1_000_000


def make_server(
    app: Any,
    *,
    host: str,
    port: int,
    certificate: Path,
    key: Path,
    ca: Path,
    limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008 - frozen
) -> LimitedServer:
    """A server that speaks TLS 1.2+, asks for a client certificate and accepts none."""
    config = _config(
        app,
        host=host,
        port=port,
        ssl_certfile=str(certificate),
        ssl_keyfile=str(key),
        ssl_ca_certs=str(ca),
        ssl_cert_reqs=ssl.CERT_OPTIONAL,
        backlog=2048,
        timeout_keep_alive=75,
        date_header=True,
    )
    return LimitedServer(config, limits)


def make_socket_server(app: Any) -> LimitedServer:
    """A server for a socket that only we can open (`serve(sockets=...)`): whoever does has kept the limits."""
    config = _config(app, timeout_keep_alive=3600, date_header=False)
    return LimitedServer(config, ConnectionLimits(_MANY, _MANY, _MANY, _MANY))


def _config(app: Any, **own: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_WithPeer,
        ws=_SocketWithPeer,
        ws_max_size=LONGEST_FRAME,
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
        server_header=False,
        proxy_headers=False,  # it would believe anybody; the gateway is heard in api/front_proxy.py
        **own,
    )


def use_certificate(server: Any, certificate: Path, key: Path) -> None:
    """Have a running server of `make_server` show this certificate from the next connection on."""
    server.config.ssl.load_cert_chain(certificate, key)
