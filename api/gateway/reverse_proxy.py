"""Carries one request to an instance and its answer back, both as streams, bytes untouched.

What may be tried again: a request that never left (no connection), and one whose method may be repeated without harm
(RFC 9110, 9.2.2) and whose body nobody has read yet, as far as the budget goes. Everything else is the caller's to
decide.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol

import anyio

from api.asgi import CLIENT_LEFT, Receive, Scope, Send
from api.cookies import without_ours
from api.edge.bodies import has_body
from api.edge.bulkheads import Bulkheads
from api.gateway.events import NoEvents, NotesEvents
from api.gateway.exchange import (
    HOP_BY_HOP,
    ClientDisconnected,
    Exchange,
    RequestBody,
    is_chunked,
    named_by_connection,
    relay,
    request_head,
)
from api.gateway.mutual_tls import Plain, Secures
from api.gateway.outages import ServiceAway, ServiceSilent
from api.gateway.retry_budget import RetryBudget
from api.gateway.upstream import (
    AnswerTimeout,
    BrokenOff,
    ConnectFailed,
    Endpoint,
    Headers,
    PoolFull,
    UpstreamConnection,
    UpstreamPool,
)
from api.request_context import UPSTREAM
from controller.kit.backoff import Backoff
from controller.kit.unix_sockets import short_path
from crds.errors import Timeout, Unavailable

ANSWER_SECONDS = 120.0
_TRIES = 4
_PAUSE = Backoff(first=0.05, factor=2, limit=0.5, jitter=0.5)
_OURS = b"x-aerekos-"
# What services say of the calls that they make in their own name.
_OF_PEERS = frozenset({b"x-aerekos-namespace", b"x-aerekos-region", b"x-aerekos-source-arn"})
_REPEATABLE = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})


class Patience(NamedTuple):
    """The seconds to wait for the next byte of an answer, and for the whole of it; None for as long as it goes on."""

    idle: float
    request: float | None = None


USUAL_PATIENCE = Patience(ANSWER_SECONDS)


class _Asked(NamedTuple):
    """A request on its way to `service`. `idle`: the seconds to wait for the next byte of the answer."""

    service: str
    method: bytes
    head: bytes
    body: RequestBody
    idle: float


class FreeConnection(NamedTuple):
    """A connection to an instance of `service` on which nothing is under way."""

    service: str
    address: str
    endpoint: Endpoint
    connection: UpstreamConnection


class UpstreamResolver(Protocol):
    """Where a service answers, best first, and what became of asking there (`api.gateway.load_balancer.Balancer`)."""

    def candidates(self, service: str, namespace: str = "default") -> list[str]: ...

    def record_success(self, address: str) -> None: ...

    def record_failure(self, address: str) -> None: ...


class ReverseProxy:
    """One pool of connections to all instances. A connection belongs to the service that proved itself on it: what
    was opened for one is never used for another, even at the same address."""

    def __init__(
        self,
        balancer: UpstreamResolver,
        tls: Secures | None = None,
        most_connections: int = 512,
        active: dict[str, int] | None = None,
        events: NotesEvents | None = None,
        instance_at: Callable[[str], str] = str,
        socket_at: Callable[[str], str] = lambda _: "",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`active`: how many requests are under way at each address, kept for whoever balances them. `instance_at`:
        the name of the instance there; `socket_at`: the path of a socket of this machine where it answers, too.
        """
        self._instance_at, self._socket_at = instance_at, socket_at
        self._balancer, self._rng = balancer, random.Random()  # noqa: S311 (jitter, not a secret)
        self._active: dict[str, int] = {} if active is None else active
        self._events: NotesEvents = events or NoEvents()
        self._budget = RetryBudget(now)
        self._bulkheads = Bulkheads(max(most_connections // 2, 1), max(most_connections // 4, 1))
        self._tls: Secures = tls or Plain()
        self._pool = UpstreamPool(most_connections)

    def share_with(self, gateways: int) -> None:
        """So many gateways carry requests to the same services."""
        self._bulkheads.share_with(gateways)

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
        patience: Patience | None = None,
    ) -> int:
        """Answers the request through `service`; returns the HTTP code. Raises Unavailable, Timeout, NotFound,
        TooManyRequests, BadRequest.

        No connection is taken before there is something to send. A client that leaves takes its request with it: the
        instance's side is closed at once.
        """
        method = scope["method"].encode("ascii")
        head = request_head(method, target, headers)
        body = RequestBody(receive, expected=has_body(headers), chunked=is_chunked(headers))
        idle, most = patience or USUAL_PATIENCE
        asked = _Asked(service, method, head, body, idle)
        try:
            if most is None:
                return await self._placed(asked, scope, send, principal)
            async with asyncio.timeout(most):
                return await self._placed(asked, scope, send, principal)
        except ClientDisconnected:
            return CLIENT_LEFT
        except TimeoutError as late:
            self._events.note("timed-out", service)
            raise Timeout(f"{service} did not answer completely in {most:g} s") from late

    async def _placed(self, asked: _Asked, scope: Scope, send: Send, principal: str) -> int:
        if asked.body.expected:
            await asked.body.begin()
        if (turn := self._bulkheads.enter(asked.service, principal)) is not None:
            await turn
        try:
            return await self._carried(asked, scope, send)
        finally:
            self._bulkheads.leave(asked.service, principal)

    async def _carried(self, asked: _Asked, scope: Scope, send: Send) -> int:
        tried: list[str] = []
        last: Exception | None = None
        service = asked.service
        self._budget.earn(service)
        for attempt in range(_TRIES):
            address = self._address(service, tried)
            scope[UPSTREAM] = (service, self._instance_at(address))
            self._active[address] = self._active.get(address, 0) + 1
            try:
                return await self._exchanged(asked, address, send)
            except PoolFull as full:
                raise Unavailable(f"too many requests to {service} are under way", retry_after=1) from full
            except ConnectFailed as failed:
                last = failed
            except BrokenOff as error:
                repeatable = asked.method in _REPEATABLE and not asked.body.started and attempt < _TRIES - 1
                if not repeatable or not self._may_repeat(service):
                    self._balancer.record_failure(address)
                    message = f"{service} broke off before it answered; try again"
                    lost = ServiceAway if asked.body.ended else Unavailable
                    raise lost(message, retry_after=1) from error
                last = error
            except AnswerTimeout as error:
                self._balancer.record_failure(address)
                raise self.timed_out(service, asked.idle) from error
            finally:
                self._leave(address)
            self._balancer.record_failure(address)
            tried.append(address)
            await anyio.sleep(_PAUSE.delay(attempt + 1, self._rng))
        raise ServiceAway(f"{service} cannot be reached: {last!r}", retry_after=1)

    async def _exchanged(self, asked: _Asked, address: str, send: Send) -> int:
        """The code of what that instance answered. Raises UpstreamError before the answer has begun, Unavailable when
        the instance breaks off in the middle of it.
        """
        endpoint = self._endpoint(asked.service, address)
        connection = self._pool.take_idle(endpoint)
        if connection is None:
            connection = await self._pool.take(endpoint, self._tls.context() if endpoint.name else None)
        exchange = Exchange(connection, asked.body, asked.method, asked.head, asked.idle)
        try:
            exchange.begin()
            await connection.head()
            try:
                await relay(connection, send)
            except (BrokenOff, AnswerTimeout) as error:
                self._balancer.record_failure(address)
                raise Unavailable(f"{asked.service} broke off in the middle of its answer: {error!r}") from error
        finally:
            exchange.end()
            self._pool.give_back(endpoint, connection)
        self._balancer.record_success(address)
        return connection.status

    def take_free(self, service: str, address: str) -> FreeConnection | None:
        """A connection to the instance at that address that could carry a request now; None where it would have to be
        waited for.
        """
        endpoint = self._endpoint(service, address)
        connection = self._pool.take_idle(endpoint)
        return None if connection is None else FreeConnection(service, address, endpoint, connection)

    def place(self, free: FreeConnection, principal: str) -> bool:
        """Whether the request of that caller may use it now; to be followed by `leave`. Raises TooManyRequests."""
        if not self._bulkheads.enter_now(free.service, principal):
            return False
        self._active[free.address] = self._active.get(free.address, 0) + 1
        self._budget.earn(free.service)
        return True

    def leave(self, free: FreeConnection, principal: str) -> None:
        """The request is over, however it ended."""
        self._leave(free.address)
        self._bulkheads.leave(free.service, principal)
        self._pool.give_back(free.endpoint, free.connection)

    def give_back(self, free: FreeConnection) -> None:
        """Nothing is sent on it any more."""
        self._pool.give_back(free.endpoint, free.connection)

    def record_success(self, address: str) -> None:
        """That instance answered."""
        self._balancer.record_success(address)

    def record_failure(self, address: str) -> None:
        """The instance did not answer, or not to the end."""
        self._balancer.record_failure(address)

    def timed_out(self, service: str, seconds: float) -> ServiceSilent:
        """What to say of an instance that was silent for so long."""
        self._events.note("timed-out", service)
        return ServiceSilent(f"{service} did not answer in {seconds:g} s")

    def may_repeat(self, method: bytes, service: str) -> bool:
        """Whether a request of which nothing was answered is sent once more."""
        return method in _REPEATABLE and self._may_repeat(service)

    def _may_repeat(self, service: str) -> bool:
        """Whether a request that may have reached an instance is sent once more."""
        allowed = self._budget.spend(service)
        self._events.note("retried" if allowed else "retry-refused", service)
        return allowed

    def _leave(self, address: str) -> None:
        left = self._active[address] - 1
        if left:
            self._active[address] = left
        else:
            del self._active[address]

    def _address(self, service: str, tried: Sequence[str]) -> str:
        """The next in turn that has not failed this very request; when all have, the next in turn."""
        candidates = self._balancer.candidates(service)
        return next((each for each in candidates if each not in tried), candidates[0])

    def _endpoint(self, service: str, address: str) -> Endpoint:
        path = self._socket_at(address)
        return _local(path) if path else _remote(address, self._tls.host(service, address))


@lru_cache(1024)
def _local(path: str) -> Endpoint:
    return Endpoint(short_path(Path(path)))


@lru_cache(1024)
def _remote(address: str, name: str) -> Endpoint:
    host, _, port = address.rpartition(":")
    return Endpoint(host.strip("[]"), int(port), name)


def forwarded(
    headers: Sequence[tuple[bytes, bytes]], *extra: tuple[bytes, bytes], without: bytes = b"", peer: bool = False
) -> Headers:
    """The request's headers less those of the connection (and `without`), and the gateway's own.

    Headers only the gateway may set are dropped when a client sends them, and so is the cookie of the dashboard. A
    `peer`, another managed service, says in which namespace and region it works, and for which resource.
    """
    told = dict(headers)
    dropped = {*HOP_BY_HOP, *dict(extra), without}
    if b"connection" in told:
        dropped |= named_by_connection(headers)
    kept = [each for each in headers if each[0] not in dropped]
    if _OURS in b" ".join(told):
        kept = [each for each in kept if not each[0].startswith(_OURS) or (peer and each[0] in _OF_PEERS)]
    if b"cookie" in told:
        kept = [each for each in map(_without_our_cookie, kept) if each[1] or each[0] != b"cookie"]
    if b"transfer-encoding" in told:
        kept.append((b"transfer-encoding", b"chunked"))
    return [*kept, *extra]


def _without_our_cookie(header: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    name, value = header
    return (name, without_ours(value) or b"") if name == b"cookie" else header
