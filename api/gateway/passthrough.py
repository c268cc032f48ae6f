"""What is not the gateway's own goes on to the conductor as it came: resource API, logins, dashboard, watches.

A connection that is upgraded (WebSockets) becomes a tunnel: bytes both ways, and nobody looks into them.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from api.asgi import CLIENT_LEFT, Receive, Scope, Send, error_answer, send_answer
from api.edge.bodies import has_body
from api.front_proxy import PRINCIPAL as PRINCIPAL_HEADER
from api.front_proxy import PROVEN, TRUSTED, remote_headers
from api.gateway.exchange import (
    FAILED,
    HOP_BY_HOP,
    NOT_RELAYED,
    ClientDisconnected,
    Exchange,
    RequestBody,
    is_chunked,
    named_by_connection,
    relay,
    request_head,
)
from api.gateway.upstream import (
    ConnectFailed,
    Endpoint,
    Headers,
    PoolFull,
    UpstreamConnection,
    UpstreamError,
    UpstreamPool,
)
from api.gateway.websocket_frames import FrameSplitter
from api.request_context import PRINCIPAL, REQUEST_ID_HEADER, UPSTREAM, request_id_of, trace_context
from api.spans import describe, request_span
from controller.kit import tracing
from controller.kit.tracing import TRACEPARENT
from crds.errors import CONDUCTOR_AWAY, ApiError, Cause, Unavailable
from services.sdk.asgi import is_streaming
from services.sdk.edge.body_stream import HIGH_WATER, LOW_WATER
from services.sdk.edge.client_request import REQUEST, Client, ClientRequest
from services.sdk.edge.connections import prove

SILENT_SECONDS = 3600.0
"""A watch may be quiet for long; its bookmarks come every half a minute."""
NOT_FOR_CLIENTS = NOT_RELAYED | {PROVEN, PRINCIPAL_HEADER}
"""Headers of the conductor's answers that stay here."""
_OURS = frozenset({REQUEST_ID_HEADER, TRACEPARENT})
_CONDUCTOR = ("conductor", "")
_UPGRADE = frozenset({b"connection", b"upgrade"})


class Passthrough:
    """An ASGI application on a `HttpServer`. `endpoint`: the conductor's socket, or the gateway of another conductor,
    which is spoken to with `tls`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        tls: Callable[[], ssl.SSLContext | None] = lambda: None,
        most_connections: int = 20_000,
    ) -> None:
        self._endpoint, self._tls, self._pool = endpoint, tls, UpstreamPool(most_connections)

    def close(self) -> None:
        """Close what is idle."""
        self._pool.close()

    def take_free(self) -> UpstreamConnection | None:
        """A connection to the conductor on which nothing is under way, for one request; to be given back."""
        return self._pool.take_idle(self._endpoint)

    def give_back(self, connection: UpstreamConnection) -> None:
        """After the request, however it ended."""
        self._pool.give_back(self._endpoint, connection)

    def head_of(self, request: ClientRequest) -> bytes:
        """The head of that request as it is sent on. Raises BadRequest."""
        request.scope[UPSTREAM] = _CONDUCTOR
        headers = _sent_on(request.scope, HOP_BY_HOP)
        if is_chunked(request.headers):
            headers.append((b"transfer-encoding", b"chunked"))
        return request_head(request.method, request.target, headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request: ClientRequest = scope[REQUEST]
        lasts = request.upgrade or is_streaming(scope["query_string"])
        with request_span(scope, lasts=lasts) as span:
            scope[UPSTREAM] = _CONDUCTOR
            await self._serve(scope, request, receive, send)
            if span is not tracing.NO_SPAN:
                describe(span, scope, "conductor", request.status or CLIENT_LEFT, request_id_of(scope))

    async def _serve(self, scope: Scope, request: ClientRequest, receive: Receive, send: Send) -> None:
        try:
            if request.upgrade:
                await self._tunnel(scope, request)
            else:
                await self._forward(scope, request, receive, send)
        except ClientDisconnected:
            return
        except (ConnectFailed, PoolFull):
            await _refuse(scope, request, send, _away())
        except UpstreamError:
            await _refuse(scope, request, send, broke_off())
        except ApiError as refused:
            await _refuse(scope, request, send, refused)

    async def _forward(self, scope: Scope, request: ClientRequest, receive: Receive, send: Send) -> None:
        if (failed := scope.pop(FAILED, None)) is not None:
            raise failed
        head = self.head_of(request)
        body = RequestBody(receive, expected=has_body(request.headers), chunked=is_chunked(request.headers))
        connection = await self._pool.take(self._endpoint, self._tls())
        try:
            exchange = Exchange(connection, body, request.method, head, SILENT_SECONDS)
            try:
                exchange.begin()
                await connection.head()
                note_proven(scope, connection.headers)
                await relay(connection, send, NOT_FOR_CLIENTS)
            finally:
                exchange.end()
        finally:
            self.give_back(connection)

    async def _tunnel(self, scope: Scope, request: ClientRequest) -> None:
        head = request_head(request.method, request.target, _sent_on(scope, HOP_BY_HOP - _UPGRADE))
        try:
            tunnel = await self._connect(lambda: _Tunnel(request))
        except OSError as refused:
            raise ConnectFailed(str(refused)) from refused
        tunnel.begin(head)

    async def _connect(self, make: Callable[[], _Tunnel]) -> _Tunnel:
        """Raises OSError."""
        loop, (host, port, name) = asyncio.get_running_loop(), self._endpoint
        if not port:
            return (await loop.create_unix_connection(make, host))[1]
        return (await loop.create_connection(make, host, port, ssl=self._tls(), server_hostname=name))[1]


def note_proven(scope: Scope, headers: Headers) -> None:
    """What the conductor says of who asks."""
    if (PROVEN, b"1") in headers:
        prove(scope)
        name = next((value for name, value in headers if name == PRINCIPAL_HEADER), b"")
        scope[PRINCIPAL] = unquote(name.decode("latin-1"))


def _sent_on(scope: Scope, hop_by_hop: frozenset[bytes]) -> Headers:
    """The request's headers less those of this hop, and what the gateway says of its client."""
    dropped = hop_by_hop | TRUSTED | _OURS | (named_by_connection(scope["headers"]) - _UPGRADE)
    headers = [each for each in scope["headers"] if each[0] not in dropped]
    peer = (scope.get("extensions") or {}).get("aerekos.peer") or ()
    own = ((REQUEST_ID_HEADER, request_id_of(scope)), trace_context(scope))
    return [*headers, *own, *remote_headers(peer, scope["client"][0])]


def broke_off() -> Unavailable:
    """What to say where the conductor did not answer to the end."""
    return Unavailable("the conductor broke off; try again", retry_after=1)


def _away() -> Unavailable:
    why = "the conductor is away; it comes back by itself"
    return Unavailable(why, causes=(Cause("", why, CONDUCTOR_AWAY),), retry_after=1)


async def _refuse(scope: Scope, request: ClientRequest, send: Send, error: ApiError) -> None:
    # Once an answer has begun, all that is left is to break the connection off.
    if not request.status and not request.tunnelled:
        await send_answer(send, error_answer(error), (REQUEST_ID_HEADER, request_id_of(scope)))


class _Tunnel(asyncio.Protocol):
    """The conductor's end of an upgraded connection."""

    def __init__(self, request: ClientRequest) -> None:
        self._request = request
        self._client: Client | None = None
        self._transport: Any = None
        self._frames = FrameSplitter()

    def begin(self, head: bytes) -> None:
        """Ask, and leave client and conductor to themselves."""
        self._transport.write(head)
        self._client = self._request.become(self)

    # What asyncio calls.

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)

    def data_received(self, data: bytes) -> None:
        if not self._request.status and data[9:12].isdigit():
            self._request.status = int(data[9:12])  # for the access log; the client reads the rest
        if self._client is not None:
            for part in self._frames.split(data):
                self._client.write(part)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._client is not None and not self._client.gone:
            self._client.close()

    def pause_writing(self) -> None:
        if self._client is not None:
            self._client.pause_reading()

    def resume_writing(self) -> None:
        if self._client is not None:
            self._client.resume_reading()

    # What the client's connection calls.

    def take(self, data: bytes) -> None:
        self._transport.write(data)

    def leave(self) -> None:
        self._transport.abort()

    def pause(self) -> None:
        self._transport.pause_reading()

    def resume(self) -> None:
        self._transport.resume_reading()
