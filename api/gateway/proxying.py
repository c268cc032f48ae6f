"""Carries one request to an instance and its answer back, both as streams, bytes untouched.

httpcore instead of httpx: the request target must leave exactly as it came, or AWS signatures break.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import anyio
import httpcore

from api.gateway.balancing import Balancer
from api.wire.answering import Receive, Scope, Send
from controller.kit.backoff import Backoff
from crds.errors import Timeout, Unavailable

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 120.0
_TRIES = 4
_PAUSE = Backoff(first=0.05, factor=2, limit=0.5, jitter=0.0)
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"expect",
    }
)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
Headers = list[tuple[bytes, bytes]]


class Proxy:
    """One pool of connections to all instances."""

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=512, max_keepalive_connections=64, keepalive_expiry=15.0
        )

    async def close(self) -> None:
        await self._pool.aclose()

    async def forward(
        self, scope: Scope, receive: Receive, send: Send, *, service: str, target: bytes, headers: Headers
    ) -> int:
        """Answers the request through `service`; returns the HTTP code. Raises Unavailable, Timeout, NotFound.

        A connection that cannot be made is tried on the next instance. Once bytes of the body have left, only
        methods that change nothing are tried again.
        """
        body = _Body(receive)
        last: Exception | None = None
        for attempt in range(_TRIES):
            address = self._address(service, attempt)
            try:
                response = await self._asked(scope, address, target, headers, body)
            except httpcore.ConnectError as error:
                last = error
            except (httpcore.NetworkError, httpcore.ProtocolError) as error:
                self._balancer.failed(address)
                if body.started and scope["method"] not in _SAFE:
                    raise Unavailable(f"{service} broke off while answering; try again", retry_after=1) from error
                last = error
            except httpcore.TimeoutException as error:
                self._balancer.failed(address)
                raise Timeout(f"{service} did not answer in {ANSWER_SECONDS:.0f} s") from error
            else:
                self._balancer.worked(address)
                return await _relay(response, send)
            self._balancer.failed(address)
            await anyio.sleep(_PAUSE.first * 2**attempt)
        raise Unavailable(f"{service} cannot be reached: {last!r}", retry_after=1)

    def _address(self, service: str, attempt: int) -> str:
        candidates = self._balancer.candidates(service)
        return candidates[attempt % len(candidates)] if attempt else candidates[0]

    async def _asked(
        self, scope: Scope, address: str, target: bytes, headers: Headers, body: _Body
    ) -> httpcore.Response:
        host, _, port = address.rpartition(":")
        request = httpcore.Request(
            method=scope["method"],
            url=httpcore.URL(scheme=b"http", host=host.encode(), port=int(port), target=target),
            headers=headers,
            content=body if _has_body(headers) else None,
            extensions={"timeout": {"connect": CONNECT_SECONDS, "read": ANSWER_SECONDS, "write": 30.0, "pool": 10.0}},
        )
        return await self._pool.handle_async_request(request)


class _Body:
    """The request's body as a stream that can be started once."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.started = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.started = True
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise httpcore.WriteError("the client left before its request was complete")
            if chunk := message.get("body", b""):
                yield chunk
            more = bool(message.get("more_body"))


def forwarded(headers: Sequence[tuple[bytes, bytes]], *extra: tuple[bytes, bytes], without: bytes = b"") -> Headers:
    """The request's headers less those of the connection (and `without`), and the gateway's own.

    Headers only the gateway may set are dropped when a client sends them.
    """
    own = {name for name, _ in extra} | {b"x-aerekos-identity", without}
    kept: Headers = [(name, value) for name, value in headers if name not in _HOP_BY_HOP and name not in own]
    if any(name == b"transfer-encoding" for name, _ in headers):
        kept.append((b"transfer-encoding", b"chunked"))
    return [*kept, *extra]


def _has_body(headers: Headers) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers
    )


async def _relay(response: httpcore.Response, send: Send) -> int:
    headers = [(name.lower(), value) for name, value in response.headers if name.lower() not in _HOP_BY_HOP]
    try:
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        async for chunk in response.aiter_stream():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(2):
            await response.aclose()
    return response.status
