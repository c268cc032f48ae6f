"""Connections to instances: HTTP/1.1, one request at a time on each, bodies streamed both ways with backpressure.

Protocols of asyncio with httptools, no client library: the request target must leave exactly as it came, or AWS
signatures break, and a small signed call spent two thirds of its time in the library.
Source: RFC 9112, sections 6 (message body), 9.3 (persistence) and 9.5 (failures).
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import httptools

from services.sdk.edge.body_stream import HIGH_WATER, LARGE_BODY, LOW_WATER, BodyStream, length_said
from services.sdk.edge.ended_transport import ENDED

_LATE_SECONDS = 0.05
MOST_ANSWER_HEADERS, MOST_ANSWER_HEAD_BYTES = 256, 65_536
Headers = list[tuple[bytes, bytes]]


class UpstreamError(Exception):
    """Base of everything that can go wrong between the gateway and an instance."""


class ConnectFailed(UpstreamError):
    """There is no connection: the request never left."""


class BrokenOff(UpstreamError):
    """The instance closed the connection too early, or sent what is no HTTP."""


class AnswerTimeout(UpstreamError):
    """The instance was silent for too long."""


class PoolFull(UpstreamError):
    """Every connection there may be is in use."""


class Endpoint(NamedTuple):
    """The address where an instance answers; without a port, `host` is the path of a socket. `name`: what its
    certificate must prove; empty for one without TLS. A connection is used again for the same endpoint only, so what
    was proven on it stays true.
    """

    host: str
    port: int = 0
    name: str = ""


class UpstreamConnection(asyncio.Protocol):
    """One connection, and the exchange under way on it. `late`: for what need not be done for exchanges that are over
    soon. `awaits_client`: whether more of the request is still to come: its silence is none of the instance.
    `status` and `headers` are there after `head`; `body` raises
    UpstreamError, or what `fail` was given.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, late: Ticker) -> None:
        self._loop, self.late = loop, late
        self._transport: Any = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._drained: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._waiter: asyncio.Future[None] | None = None
        self._then: Callable[[], object] | None = None
        self._error: Exception | None = None
        self.closed = False
        self.idle_since = 0.0
        self._begin_exchange(b"")

    def _begin_exchange(self, method: bytes) -> None:
        self._method, self.status = method, 0
        self.headers: Headers = []
        self.body = BodyStream(self._pause_reading, self._resume_reading)
        self._head_bytes = self._body_left = 0
        self.awaits_client = False
        self._head_seen = self._until_close = self.keeps_open = False

    # What asyncio calls.

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)

    def data_received(self, data: bytes) -> None:
        self._heard_at = self._loop.time()
        if self.body.complete or self._error is not None:
            self.abort()  # an answer nobody asked for: what comes next on this connection means nothing
            return
        if self._body_left:
            self._take_body(data)
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as wrong:
            if not self.body.complete:
                self.fail(BrokenOff(f"no HTTP answer: {str(wrong) or type(wrong).__name__}"))
        if self._head_seen and not self.body.complete and self._error is None:
            self._pass_parser()
        if self._then is not None and self._head_seen:
            self._call_then()

    def _pass_parser(self) -> None:
        """Where much of a body of known length is still to come, only its end need be found."""
        left = length_said(self.headers) - self.body.seen
        if left >= LARGE_BODY:
            self._body_left, self._parser = left, httptools.HttpResponseParser(self)

    def _take_body(self, data: bytes) -> None:
        part = data if len(data) <= self._body_left else data[: self._body_left]
        self._body_left -= len(part)
        self.body.feed(part)
        if not self._body_left:
            self.body.finish()
        if len(part) < len(data):
            self.abort()  # what comes behind it was not asked for

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._stop_timer()
        if self._until_close and exc is None and self._error is None and not self.body.complete:
            self.body.finish()
        elif not self.body.complete:
            self.fail(BrokenOff(str(exc) if exc else "the connection was closed"))
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._transport, self._parser = ENDED, None

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self.body.complete:
            self.abort()  # a second answer, right behind the first
        else:
            self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.body.complete:
            return
        self._head_bytes += len(name) + len(value)
        if len(self.headers) >= MOST_ANSWER_HEADERS or self._head_bytes > MOST_ANSWER_HEAD_BYTES:
            self.fail(BrokenOff("the head of its answer is too large"))
            return
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self.body.complete or self._error is not None or status < 200:
            return  # interim: the answer is still to come
        self.status, self._head_seen = status, True
        self.keeps_open = self._parser.should_keep_alive()
        if self._method == b"HEAD":
            # The parser would wait for the body that a GET has.
            self._parser = httptools.HttpResponseParser(self)
            self.body.finish()
        elif status not in (204, 304):
            told = dict(self.headers)
            self._until_close = b"content-length" not in told and b"transfer-encoding" not in told
        if self._waiter is not None:
            self._wake()

    def on_body(self, body: bytes) -> None:
        if not self.body.complete:
            self.body.feed(body)

    def on_message_complete(self) -> None:
        if self._head_seen and not self.body.complete:
            self.body.finish()

    # What the pool and the proxy call.

    def send_head(
        self, method: bytes, data: bytes, patience: float, then: Callable[[], object] | None = None
    ) -> None:
        """Begin an exchange: `data` is the head, and the body if it is there already. `patience`: the seconds without
        a byte after which it fails with AnswerTimeout. `then`: called once, when the head of the answer is there with
        as much of the body as came with it, or `error` says that it will not come.
        """
        self._begin_exchange(method)
        self._then = then
        self._patience, self._heard_at = patience, self._loop.time()
        self._check_within(patience)
        self._transport.write(data)

    async def send(self, data: bytes) -> None:
        """A part of the body. Returns when there is room for more, or nobody reads it any more."""
        if self.closed or self._transport.is_closing():
            return
        self._transport.write(data)
        self._heard_at = self._loop.time()
        if self._drained is not None:
            await self._drained

    def body_sent(self) -> None:
        """All of the request is sent: from here on the instance is waited for."""
        self.awaits_client, self._heard_at = False, self._loop.time()

    async def head(self) -> None:
        """Wait for status and headers. Raises UpstreamError, or what `fail` was given."""
        while not self._head_seen:
            if self._error is not None:
                raise self._error
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def fail(self, error: Exception) -> None:
        """End the exchange with that error, for whoever waits, and the connection."""
        if self._error is None:
            self._error = error
        self.body.fail(error)
        self.abort()
        self._wake()
        self._call_then()

    def _call_then(self) -> None:
        then, self._then = self._then, None
        if then is not None:
            then()

    @property
    def error(self) -> Exception | None:
        """What the exchange failed with."""
        return self._error

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._stop_timer()
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    @property
    def reusable(self) -> bool:
        """Whether another request may follow on this connection."""
        return (
            self.body.complete
            and self.keeps_open
            and not self.body.paused
            and not self.closed
            and self._error is None
        )

    def _pause_reading(self) -> None:
        self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if not self.closed:
            self._transport.resume_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _check_within(self, seconds: float) -> None:
        """One timer goes on through many exchanges: most of them end long before it."""
        due = self._heard_at + seconds
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due, self._timer = due, self._loop.call_at(due, self._check_silence)

    def _check_silence(self) -> None:
        self._timer = None
        if self.body.complete or self._error is not None:
            return
        now = self._loop.time()
        left = self._heard_at + self._patience - now
        if self.body.paused or self.awaits_client:
            left = self._patience  # it waits for the client to read, or to send
        if left <= 0:
            self.fail(AnswerTimeout(f"silent for {self._patience:g} s"))
        else:
            self._due, self._timer = now + left, self._loop.call_at(now + left, self._check_silence)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Ticker:
    """Calls what is still here after `seconds`, or twice that, with one timer for all: each request adds something,
    and most are over long before.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._young: dict[Callable[[], object], None] = {}
        self._old: dict[Callable[[], object], None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: Callable[[], object]) -> None:
        """Call it, unless it is removed before."""
        self._young[call] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._tick)

    def remove(self, call: Callable[[], object]) -> None:
        """It is over."""
        self._young.pop(call, None)
        self._old.pop(call, None)

    def _tick(self) -> None:
        due, self._old, self._young = self._old, self._young, {}
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._tick) if self._old else None
        for call in due:
            call()


class UpstreamPool:
    """All connections to instances. `most`: how many at once; `idle_seconds`: how long one without work stays."""

    def __init__(
        self, most: int, *, connect_seconds: float = 2.0, wait_seconds: float = 10.0, idle_seconds: float = 15.0
    ) -> None:
        self._most, self._connect_seconds = most, connect_seconds
        self._wait_seconds, self._idle_seconds = wait_seconds, idle_seconds
        self._idle: dict[Endpoint, list[UpstreamConnection]] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._count = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self._late = Ticker(_LATE_SECONDS)

    def __len__(self) -> int:
        return self._count

    def take_idle(self, endpoint: Endpoint) -> UpstreamConnection | None:
        """A connection to it that has nothing to do, for one exchange; None when there is none."""
        idle = self._idle.get(endpoint)
        while idle:
            connection = idle.pop()
            if not connection.closed:
                return connection
            self._count -= 1
        return None

    async def take(self, endpoint: Endpoint, tls: ssl.SSLContext | None) -> UpstreamConnection:
        """A connection to it, for one exchange. Raises ConnectFailed, PoolFull."""
        if (connection := self.take_idle(endpoint)) is not None:
            return connection
        if self._count >= self._most and not self._drop_idle():
            await self._room()
        self._count += 1
        try:
            return await self._connect(endpoint, tls)
        except BaseException:
            self._leave()
            raise

    def give_back(self, endpoint: Endpoint, connection: UpstreamConnection) -> None:
        """After the exchange, however it ended. One that cannot be used again is closed."""
        if not connection.reusable:
            connection.abort()
            self._leave()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.setdefault(endpoint, []).append(connection)
        if self._waiting:
            self._let_in()
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._idle_seconds, self._sweep)

    def close(self) -> None:
        """Close everything that is idle; what is under way ends with its exchange."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        while self._drop_idle():
            pass

    async def _connect(self, endpoint: Endpoint, tls: ssl.SSLContext | None) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        connection, secured = partial(UpstreamConnection, loop, self._late), dict[str, Any]()
        if endpoint.name:
            # The name the certificate is checked for: an address proves nothing.
            secured = {"ssl": tls, "server_hostname": endpoint.name}
        try:
            async with asyncio.timeout(self._connect_seconds):
                if not endpoint.port:
                    _, made = await loop.create_unix_connection(connection, endpoint.host)
                else:
                    _, made = await loop.create_connection(connection, endpoint.host, endpoint.port, **secured)
        except (OSError, TimeoutError) as failed:  # as those of TLS are, too
            raise ConnectFailed(str(failed) or type(failed).__name__) from failed
        return made

    async def _room(self) -> None:
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(self._wait_seconds):
                await waiting
        except TimeoutError:
            raise PoolFull from None
        finally:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
        if self._count >= self._most:
            self._drop_idle()

    def _leave(self) -> None:
        self._count -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return

    def _drop_idle(self) -> bool:
        for endpoint, idle in tuple(self._idle.items()):
            if idle:
                idle.pop(0).abort()
                self._count -= 1
                if not idle:
                    del self._idle[endpoint]
                return True
            del self._idle[endpoint]
        return False

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._idle_seconds
        for endpoint, idle in tuple(self._idle.items()):
            kept = [each for each in idle if not each.closed and each.idle_since > oldest]
            for each in idle:
                if each not in kept:
                    each.abort()
                    self._count -= 1
            if kept:
                self._idle[endpoint] = kept
            else:
                del self._idle[endpoint]
        self._sweeper = loop.call_later(self._idle_seconds / 2, self._sweep) if self._idle else None
