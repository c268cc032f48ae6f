"""uvicorn on the conductor's socket, taught to send a short answer in one piece."""

from __future__ import annotations

import asyncio
import socket
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import anyio
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from api.asgi import AT_ONCE, Scope

JOINED_BYTES, LONGEST_FRAME = 16_384, 2**20
BACKLOG = 2048


class TurnEnd:
    """The end of this turn of the loop, for all connections: `before` is called, then what waits leaves."""

    def __init__(self, loop: asyncio.AbstractEventLoop, before: Callable[[], object]) -> None:
        self._loop, self._before = loop, before
        self._waiting: list[Callable[[], object]] = []

    def add(self, leave: Callable[[], object]) -> None:
        """Call it then."""
        if not self._waiting:
            self._loop.call_soon(self._end)
        self._waiting.append(leave)

    def _end(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._before()
        for leave in waiting:
            try:
                leave()
            except Exception as error:  # one connection's, and no other one's
                self._loop.call_exception_handler({"message": "an answer could not be sent", "exception": error})


class WriteCoalescer:
    """A transport that sends what is written within one turn of the loop together, up to 16 KiB of it.

    uvicorn writes head and body of an answer apart: two system calls here, and two reads of the gateway.
    """

    def __init__(self, transport: Any, turn: TurnEnd) -> None:
        self._transport, self._turn = transport, turn
        self._waiting: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Sent in this turn of the loop, at its end at the latest."""
        if not self._waiting:
            self._turn.add(self._flush)
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


class _Coalescing(HttpToolsProtocol):
    """Joins head and body, and writes to watchers at once."""

    turn: TurnEnd

    def connection_made(self, transport: Any) -> None:
        super().connection_made(cast(asyncio.Transport, WriteCoalescer(transport, self.turn)))

    def on_headers_complete(self) -> None:
        """What is one change to a thousand watchers should not be a thousand tasks waiting to write."""
        super().on_headers_complete()
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope and b"watch" in self.scope.get("query_string", b""):
            extensions: dict[str, Any] = cast(Scope, self.scope).setdefault("extensions", {})
            # Weak: the cycle holds the scope, and with it would wait for the collector, its connection's buffers too.
            extensions[AT_ONCE] = partial(_write_at_once, weakref.ref(cycle))

    def on_response_complete(self) -> None:
        """As uvicorn's, without a timer for each request: gateways may keep idle connections as long as they live."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())

    def _unset_keepalive_if_required(self) -> None:
        """There is no timer."""


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
    """Each frame goes out at once."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport.parted() if isinstance(transport, WriteCoalescer) else transport)


class SocketServer(uvicorn.Server):
    """Serves on Unix sockets (`serve(sockets=...)`). It leaves signals to whoever runs it. `before_leaving`: called
    before the answers of a turn of the loop leave.
    """

    def __init__(self, config: uvicorn.Config, before_leaving: Callable[[], object]) -> None:
        self._stops, self._before_leaving = False, before_leaving
        self._turn: TurnEnd | None = None
        self._stopping: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        super().__init__(config)

    @property
    def should_exit(self) -> bool:
        """Whether it was told to stop. Setting it stops the server at once, from any thread."""
        return self._stops

    @should_exit.setter
    def should_exit(self, stops: bool) -> None:
        self._stops = stops
        if stops and self._stopping is not None:
            loop, stopping = self._stopping
            loop.call_soon_threadsafe(stopping.set)

    async def main_loop(self) -> None:
        """As uvicorn's, which wakes up ten times a second to see whether to stop: most of what an idle one does."""
        stopping = asyncio.Event()
        self._stopping = asyncio.get_running_loop(), stopping
        if not self._stops:
            await stopping.wait()
        self._stopping = None

    async def serve_until_cancelled(self, listener: socket.socket) -> None:
        """Serve on that socket. When this is cancelled, whatever is under way ends at once, and nobody listens."""
        serving = asyncio.create_task(self.serve(sockets=[listener]))
        try:
            await asyncio.shield(serving)
        finally:
            with anyio.CancelScope(shield=True):
                self.force_exit = self.should_exit = True
                for each in tuple(self.server_state.connections):
                    each.transport.abort()
                await serving

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """None."""
        yield

    async def startup(self, sockets: Any = None) -> None:
        """Listen. uvicorn's own asks event loops for a TCP server, whatever the sockets are."""
        loop = asyncio.get_running_loop()
        servers = [await loop.create_unix_server(self._protocol, sock=each, backlog=BACKLOG) for each in sockets]
        self.servers = cast(Any, servers)
        self.started = True

    def _protocol(self) -> asyncio.Protocol:
        make = cast(type[_Coalescing], self.config.http_protocol_class)
        protocol = make(config=self.config, server_state=self.server_state, app_state={})
        if self._turn is None:
            self._turn = TurnEnd(protocol.loop, self._before_leaving)
        protocol.turn = self._turn
        return protocol


def make_socket_server(app: Any, before_leaving: Callable[[], object] = lambda: None) -> SocketServer:
    """A server for a socket that only we can open (`serve(sockets=...)`): whoever does has kept the limits.
    `before_leaving`: see `SocketServer`.
    """
    config = uvicorn.Config(
        app,
        interface="asgi3",  # it would take an object for an older one that answers with an awaitable
        http=_Coalescing,
        ws=_WebSockets,
        ws_max_size=LONGEST_FRAME,
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
        date_header=False,
        server_header=False,
        proxy_headers=False,  # it would believe anybody; the gateway is heard in api/front_proxy.py
    )
    return SocketServer(config, before_leaving)
