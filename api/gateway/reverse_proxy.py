"""Carries one request to an instance and its answer back, both as streams, bytes untouched.

What may be tried again: a request that never left (no connection), and one whose method may be repeated without harm
(RFC 9110, 9.2.2) and whose body nobody has read yet. Everything else is the caller's to decide.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Protocol

import anyio

from api.asgi import Message, Receive, Scope, Send
from api.cookies import without_ours
from api.edge.bulkheads import Bulkheads
from api.gateway.mutual_tls import Plain, Secures
from api.gateway.upstream import (
    AnswerTimeout,
    BrokenOff,
    ConnectFailed,
    Endpoint,
    PoolFull,
    UpstreamConnection,
    UpstreamPool,
)
from controller.kit.backoff import Backoff
from crds.errors import BadRequest, Timeout, Unavailable

ANSWER_SECONDS = 120.0
CLIENT_LEFT = 499
_TRIES = 4
_WATCH_AFTER_SECONDS = 0.05
_LAST_CHUNK = b"0\r\n\r\n"
_NOT_IN_TARGET = re.compile(rb"[\x00-\x20\x7f]")
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
_REPEATABLE = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
Headers = list[tuple[bytes, bytes]]


class UpstreamResolver(Protocol):
    """Where a service answers, best first, and what became of asking there (`api.gateway.load_balancer.Balancer`)."""

    def candidates(self, service: str, namespace: str = "default") -> list[str]: ...

    def record_success(self, address: str) -> None: ...

    def record_failure(self, address: str) -> None: ...


class ReverseProxy:
    """One pool of connections to all instances. A connection belongs to the service that proved itself on it: what
    was opened for one is never used for another, even at the same address."""

    def __init__(self, balancer: UpstreamResolver, tls: Secures | None = None, most_connections: int = 512) -> None:
        self._balancer, self._rng = balancer, random.Random()  # noqa: S311 (jitter, not a secret)
        self._bulkheads = Bulkheads(max(most_connections // 2, 1), max(most_connections // 4, 1))
        self._tls: Secures = tls or Plain()
        self._pool = UpstreamPool(most_connections)

    async def close(self) -> None:
        self._pool.close()

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
        method = scope["method"].encode("ascii")
        head = request_head(method, target, headers)
        body = _RequestBody(receive, expected=_has_body(headers), chunked=_is_chunked(headers))
        try:
            await body.begin()
            async with self._bulkheads.slot(service, principal):
                return await self._carried(method, head, body, send, service)
        except ClientDisconnected:
            return CLIENT_LEFT

    async def _carried(self, method: bytes, head: bytes, body: _RequestBody, send: Send, service: str) -> int:
        tried: list[str] = []
        last: Exception | None = None
        for attempt in range(_TRIES):
            address = self._address(service, tried)
            endpoint = self._endpoint(service, address)
            try:
                connection = await self._pool.take(endpoint, self._tls.context() if endpoint.name else None)
            except PoolFull as full:
                raise Unavailable(f"too many requests to {service} are under way", retry_after=1) from full
            except ConnectFailed as failed:
                last = failed
            else:
                try:
                    async with _Exchange(connection, body, method, head) as exchange:
                        await exchange.answered()
                        return await self._relayed(connection, address, service, send)
                except BrokenOff as error:
                    if body.started or method not in _REPEATABLE:
                        self._balancer.record_failure(address)
                        message = f"{service} broke off before it answered; try again"
                        raise Unavailable(message, retry_after=1) from error
                    last = error
                except AnswerTimeout as error:
                    self._balancer.record_failure(address)
                    raise Timeout(f"{service} did not answer in {ANSWER_SECONDS:.0f} s") from error
                finally:
                    self._pool.give_back(endpoint, connection)
            self._balancer.record_failure(address)
            tried.append(address)
            await anyio.sleep(_PAUSE.delay(attempt + 1, self._rng))
        raise Unavailable(f"{service} cannot be reached: {last!r}", retry_after=1)

    def _address(self, service: str, tried: Sequence[str]) -> str:
        """The next in turn that has not failed this very request; when all have, the next in turn."""
        candidates = self._balancer.candidates(service)
        return next((each for each in candidates if each not in tried), candidates[0])

    def _endpoint(self, service: str, address: str) -> Endpoint:
        host, _, port = address.rpartition(":")
        return Endpoint(host.strip("[]"), int(port), self._tls.host(service, address))

    async def _relayed(self, connection: UpstreamConnection, address: str, service: str, send: Send) -> int:
        """Raises Unavailable when the instance breaks off in the middle; the answer has begun then."""
        dropped = _NOT_RELAYED | _named_by_connection(connection.headers)
        headers = [(name, value) for name, value in connection.headers if name not in dropped]
        try:
            await send({"type": "http.response.start", "status": connection.status, "headers": headers})
            if (whole := connection.body.whole()) is not None:
                await send({"type": "http.response.body", "body": whole})
            else:
                async for part in connection.body:
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except (BrokenOff, AnswerTimeout) as error:
            self._balancer.record_failure(address)
            raise Unavailable(f"{service} broke off in the middle of its answer: {error!r}") from error
        self._balancer.record_success(address)
        return connection.status


class _Exchange:
    """One request on one connection: its body goes out while the answer comes in; both end when the client goes."""

    def __init__(self, connection: UpstreamConnection, body: _RequestBody, method: bytes, head: bytes) -> None:
        self._connection, self._body = connection, body
        self._method, self._head = method, head
        self._pumping: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> _Exchange:
        loop = asyncio.get_running_loop()
        whole = self._body.whole()
        self._connection.send_head(self._method, self._head + (whole or b""), ANSWER_SECONDS)
        if whole is None:
            self._pumping = loop.create_task(self._pump())
        # Most answers are there before it is worth looking whether somebody still waits for them.
        self._timer = loop.call_later(_WATCH_AFTER_SECONDS, self._begin_watch)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()
        if self._pumping is not None and not self._pumping.done():
            self._pumping.cancel()
            self._connection.keeps_open = False  # the instance would take the rest for the next request

    async def answered(self) -> None:
        """Wait for the head of the answer. Raises UpstreamError, ClientDisconnected."""
        await self._connection.head()

    def _begin_watch(self) -> None:
        self._watching = asyncio.get_running_loop().create_task(self._until_gone())

    async def _until_gone(self) -> None:
        await self._body.gone()
        self._connection.fail(ClientDisconnected())

    async def _pump(self) -> None:
        try:
            async for part in self._body.framed():
                await self._connection.send(part)
        except ClientDisconnected as left:
            self._connection.fail(left)


class ClientDisconnected(Exception):
    """The client went before its request was answered: no fault of an instance."""


class _RequestBody:
    """The request's body as a stream that can be read once; then, word of the client's leaving."""

    def __init__(self, receive: Receive, *, expected: bool, chunked: bool = False) -> None:
        self._receive, self.expected, self._chunked = receive, expected, chunked
        self.started = False
        self._first: Message | None = None
        self._ended = asyncio.Event()
        if not expected:
            self._ended.set()

    async def begin(self) -> None:
        """Waits for the first part. Raises ClientDisconnected."""
        while self.expected and self._first is None:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            if message.get("body") or not message.get("more_body"):
                self._first = message

    def whole(self) -> bytes | None:
        """All of it, as it goes out, if it came with the first part; None for a body that is still coming."""
        if not self.expected:
            return b""
        if self._first is None or self._first.get("more_body"):
            return None
        self.started = True
        self._ended.set()
        body: bytes = self._first.get("body", b"")
        return (_chunk(body) if body else b"") + _LAST_CHUNK if self._chunked else body

    async def framed(self) -> AsyncIterator[bytes]:
        """The parts as they go out. Raises ClientDisconnected."""
        self.started = True
        more = True
        while more:
            message, self._first = self._first or await self._receive(), None
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            if part := message.get("body", b""):
                yield _chunk(part) if self._chunked else part
            more = bool(message.get("more_body"))
        self._ended.set()
        if self._chunked:
            yield _LAST_CHUNK

    async def gone(self) -> None:
        """Returns when the client leaves after its request was read."""
        await self._ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _chunk(part: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(part), part)


def request_head(method: bytes, target: bytes, headers: Headers) -> bytes:
    """The head of a request, as it goes out. Raises BadRequest for what would be read as something else."""
    lines = [b"%b %b HTTP/1.1\r\n" % (method, target)]
    lines += [b"%b: %b\r\n" % each for each in headers]
    head = b"".join(lines)
    if _NOT_IN_TARGET.search(target) or head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
        raise BadRequest("this request cannot be passed on: its head has a line break or a space where none may be")
    return head + b"\r\n"


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


def _is_chunked(headers: Headers) -> bool:
    return any(name == b"transfer-encoding" for name, _ in headers)


def _has_body(headers: Headers) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers
    )
