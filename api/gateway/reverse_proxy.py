"""Carries one request to an instance and its answer back, both as streams, bytes untouched.

httpcore instead of httpx: the request target must leave exactly as it came, or AWS signatures break.
What may be tried again: a request that never left (no connection), and one whose method may be repeated without harm
(RFC 9110, 9.2.2) and whose body nobody has read yet. Everything else is the caller's to decide.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Protocol

import anyio
import httpcore

from api.asgi import Message, Receive, Scope, Send
from api.cookies import without_ours
from api.edge.bulkheads import Bulkheads
from api.gateway.mutual_tls import Plain, Secures
from controller.kit.backoff import Backoff
from crds.errors import ApiError, BadRequest, Timeout, Unavailable

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 120.0
CLIENT_LEFT = 499
_TRIES = 4
_PAUSE = Backoff(first=0.05, factor=2, limit=0.5, jitter=0.5)
_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"expect",
    }
)
# Our own server writes a Date; two of them would be one too many.
_NOT_RELAYED = _HOP_BY_HOP | {b"date", b"server"}
_OURS, _NAMESPACE = b"x-aerekos-", b"x-aerekos-namespace"
_REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
Headers = list[tuple[bytes, bytes]]


class UpstreamResolver(Protocol):
    """Where a service answers, best first, and what became of asking there (`api.gateway.load_balancer.Balancer`)."""

    def candidates(self, service: str, namespace: str = "default") -> list[str]: ...

    def record_success(self, address: str) -> None: ...

    def record_failure(self, address: str) -> None: ...


class _ByService(httpcore.AnyIOBackend):
    """Connects to what stands before the bar; what follows only tells connections of different services apart."""

    async def connect_tcp(self, host: str, *more: Any, **others: Any) -> httpcore.AsyncNetworkStream:
        return await super().connect_tcp(host.partition("|")[0], *more, **others)


class ReverseProxy:
    """One pool of connections to all instances. A connection belongs to the service that proved itself on it: what
    was opened for one is never used for another, even at the same address."""

    def __init__(self, balancer: UpstreamResolver, tls: Secures | None = None, most_connections: int = 512) -> None:
        self._balancer, self._rng = balancer, random.Random()  # noqa: S311 (jitter, not a secret)
        self._bulkheads = Bulkheads(max(most_connections // 2, 1), max(most_connections // 4, 1))
        self._tls: Secures = tls or Plain()
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=self._tls.context(),
            max_connections=most_connections,
            max_keepalive_connections=64,
            keepalive_expiry=15.0,
            network_backend=_ByService(),
        )

    async def close(self) -> None:
        await self._pool.aclose()

    async def forward(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        service: str,
        target: bytes,
        headers: Headers,
        principal: str = "",
    ) -> int:
        """Answers the request through `service`; returns the HTTP code. Raises Unavailable, Timeout, NotFound,
        TooManyRequests, BadRequest.

        No connection is taken before there is something to send. A client that leaves takes its request with it: the
        instance's side is closed at once.
        """
        body = _RequestBody(receive, expected=_has_body(headers))
        code, failure = CLIENT_LEFT, None
        async with anyio.create_task_group() as group:
            group.start_soon(_until_gone, body, group.cancel_scope)
            try:
                await body.begin()
                async with self._bulkheads.slot(service, principal):
                    code = await self._carried(scope, body, send, service, target, headers)
            except ApiError as error:
                failure = error  # raised below: the group would wrap it
            except ClientDisconnected:
                pass
            group.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return code

    async def _carried(
        self, scope: Scope, body: _RequestBody, send: Send, service: str, target: bytes, headers: Headers
    ) -> int:
        tried: list[str] = []
        last: Exception | None = None
        for attempt in range(_TRIES):
            address = self._address(service, tried)
            try:
                response = await self._asked(scope, service, address, target, headers, body)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
            except httpcore.PoolTimeout as error:
                raise Unavailable(f"too many requests to {service} are under way", retry_after=1) from error
            except httpcore.LocalProtocolError as error:  # the client's own fault: no instance was asked
                raise BadRequest(f"this request cannot be passed on: {error}") from error
            except (httpcore.NetworkError, httpcore.ProtocolError) as error:
                if body.started or scope["method"] not in _REPEATABLE:
                    self._balancer.record_failure(address)
                    raise Unavailable(f"{service} broke off before it answered; try again", retry_after=1) from error
                last = error
            except httpcore.TimeoutException as error:
                self._balancer.record_failure(address)
                raise Timeout(f"{service} did not answer in {ANSWER_SECONDS:.0f} s") from error
            else:
                return await self._relayed(response, address, service, send)
            self._balancer.record_failure(address)
            tried.append(address)
            await anyio.sleep(_PAUSE.delay(attempt + 1, self._rng))
        raise Unavailable(f"{service} cannot be reached: {last!r}", retry_after=1)

    def _address(self, service: str, tried: Sequence[str]) -> str:
        """The next in turn that has not failed this very request; when all have, the next in turn."""
        candidates = self._balancer.candidates(service)
        return next((each for each in candidates if each not in tried), candidates[0])

    async def _relayed(self, response: httpcore.Response, address: str, service: str, send: Send) -> int:
        """Raises Unavailable when the instance breaks off in the middle; the answer has begun then."""
        try:
            code = await _relay(response, send)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            self._balancer.record_failure(address)
            raise Unavailable(f"{service} broke off in the middle of its answer: {error!r}") from error
        self._balancer.record_success(address)
        return code

    async def _asked(
        self, scope: Scope, service: str, address: str, target: bytes, headers: Headers, body: _RequestBody
    ) -> httpcore.Response:
        host, _, port = address.rpartition(":")
        timeout = {"connect": CONNECT_SECONDS, "read": ANSWER_SECONDS, "write": 30.0, "pool": 10.0}
        extensions: dict[str, Any] = {"timeout": timeout}
        if proven := self._tls.host(service, address):
            self._tls.context()  # which renews our own certificate in time
            # The name the certificate is checked for: an address proves nothing.
            extensions["sni_hostname"], host = proven, f"{host}|{proven}"
        request = httpcore.Request(
            method=scope["method"],
            url=httpcore.URL(
                scheme=b"https" if proven else b"http", host=host.encode(), port=int(port), target=target
            ),
            headers=headers,
            content=body if body.expected else None,
            extensions=extensions,
        )
        return await self._pool.handle_async_request(request)


class ClientDisconnected(Exception):
    """The client went before its request was complete. None of httpcore's errors: it takes those for the server's."""


class _RequestBody:
    """The request's body as a stream that can be read once; then, word of the client's leaving."""

    def __init__(self, receive: Receive, *, expected: bool) -> None:
        self._receive, self.expected = receive, expected
        self.started = False
        self._first: Message | None = None
        self._ended = anyio.Event()
        if not expected:
            self._ended.set()

    async def begin(self) -> None:
        """Waits for the first part. Raises ClientLeft."""
        while self.expected and self._first is None:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            if message.get("body") or not message.get("more_body"):
                self._first = message

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.started = True
        more = True
        while more:
            message, self._first = self._first or await self._receive(), None
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            if chunk := message.get("body", b""):
                yield chunk
            more = bool(message.get("more_body"))
        self._ended.set()

    async def gone(self) -> None:
        """Returns when the client leaves after its request was read."""
        await self._ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def _until_gone(body: _RequestBody, scope: anyio.CancelScope) -> None:
    await body.gone()
    scope.cancel()


def forwarded(
    headers: Sequence[tuple[bytes, bytes]], *extra: tuple[bytes, bytes], without: bytes = b"", peer: bool = False
) -> Headers:
    """The request's headers less those of the connection (and `without`), and the gateway's own.

    Headers only the gateway may set are dropped when a client sends them, and so is the cookie of the dashboard. A
    `peer`, another managed service, says in which namespace it works.
    """
    own = {name for name, _ in extra} | {without} | _named_by_connection(headers)
    kept: Headers = [(name, value) for name, value in headers if name not in _HOP_BY_HOP and name not in own]
    kept = [each for each in kept if not each[0].startswith(_OURS) or (peer and each[0] == _NAMESPACE)]
    if any(name == b"cookie" for name, _ in kept):
        kept = [(name, without_ours(value) if name == b"cookie" else value) for name, value in kept]
        kept = [(name, value) for name, value in kept if value or name != b"cookie"]
    if any(name == b"transfer-encoding" for name, _ in headers):
        kept.append((b"transfer-encoding", b"chunked"))
    return [*kept, *extra]


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """What the Connection header declares to be for this hop only (RFC 9110, 7.6.1)."""
    listed = b",".join(value for name, value in headers if name == b"connection")
    # A message must not lose its end, whoever asks for it.
    return {each.strip().lower() for each in listed.split(b",")} - {b"", b"content-length", b"host"}


def _has_body(headers: Headers) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers
    )


async def _relay(response: httpcore.Response, send: Send) -> int:
    lowered = [(name.lower(), value) for name, value in response.headers]
    dropped = _NOT_RELAYED | _named_by_connection(lowered)
    headers = [(name, value) for name, value in lowered if name not in dropped]
    try:
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        async for chunk in response.aiter_stream():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(2):
            await response.aclose()
    return response.status
