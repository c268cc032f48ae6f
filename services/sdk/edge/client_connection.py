"""One client's connection to the gateway: requests parsed once, answered one after the other, bodies as streams.

Limits are those of every server here (services/sdk/edge): small heads that come in time, bodies that go on, answers
that are read. Source: RFC 9112.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Any

import httptools

from services.sdk.asgi import Asgi
from services.sdk.edge.body_stream import HIGH_WATER, LARGE_BODY, LOW_WATER, length_said
from services.sdk.edge.client_request import ClientLeft, ClientRequest, Tunnel
from services.sdk.edge.connections import EXTENSION, Connection
from services.sdk.edge.ended_transport import ENDED
from services.sdk.edge.heads import (
    BODY_SECONDS,
    HEAD_SECONDS,
    LEAST_BYTES_PER_SECOND,
    MOST_HEAD_BYTES,
    MOST_IGNORED_BYTES,
    MOST_PIPELINED,
    STALLED_SECONDS,
    Fault,
    fault_answer,
)

KEEP_ALIVE_SECONDS, GOODBYE_SECONDS = 75.0, 1.0
_SLOW_HEAD = Fault(408, f"the request head did not come within {HEAD_SECONDS:g} s")
_SLOW_BODY = Fault(408, f"the request body came slower than {LEAST_BYTES_PER_SECOND} bytes per second")
_BIG_HEAD = Fault(431, f"the request head is larger than {MOST_HEAD_BYTES} bytes")
_LEAVING = Fault(503, "this server stops, and another one takes over: ask again on a new connection")
_PIPELINED = Fault(400, f"more than {MOST_PIPELINED} requests were sent without waiting for an answer")
_HEAD_END = b"\r\n\r\n"
_READ = memoryview(bytearray(128 * 1024))
"""Where the kernel or TLS puts what has come, of whichever connection: it is copied before another one's turn. uvloop
would take 256 KiB from the system for each read of TLS, and give it back: three system calls, and fresh pages.
"""

AnswersAtOnce = Callable[[ClientRequest], bool]
"""Takes a request whose body is there, or leaves it to the application. Whether it took it: then it says when that is
`over`, and not before it has returned.
"""


class ClientConnection(asyncio.BufferedProtocol):
    """`connection`: the place it has among all; None where nobody counts. `date`: the Date header of this second.
    `peer`: its subject, where that is known without a certificate.
    `opened` and `closed` are told of it, `finished` of each request that is over. `at_once`: what may take a request
    whose body is there, in place of `app` and without a task.
    """

    __slots__ = (
        "_app",
        "_at_once",
        "_body_left",
        "_body_seen",
        "_closed",
        "_connection",
        "_current",
        "_drained",
        "_due",
        "_finished",
        "_head_bytes",
        "_head_since",
        "_ignored",
        "_in_head",
        "_left",
        "_lingers",
        "_loop",
        "_opened",
        "_parser",
        "_peer",
        "_quiet_since",
        "_reading",
        "_refused",
        "_served",
        "_stalled_since",
        "_task",
        "_timer",
        "_transport",
        "_tunnel",
        "_tunnelled",
        "_unparsed",
        "_waiting",
        "address",
        "date",
        "gone",
        "stopping",
    )

    def __init__(
        self,
        app: Asgi,
        date: Callable[[], bytes],
        connection: Connection | None = None,
        opened: Callable[[ClientConnection], object] = lambda _: None,
        closed: Callable[[ClientConnection], object] = lambda _: None,
        finished: Callable[[ClientRequest], object] = lambda _: None,
        *,
        peer: tuple[Any, ...] = (),
        at_once: AnswersAtOnce | None = None,
    ) -> None:
        self._app, self.date, self._connection, self._at_once = app, date, connection, at_once
        self._opened, self._closed, self._finished = opened, closed, finished
        self._loop = asyncio.get_running_loop()
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: Any = None
        self._waiting: list[ClientRequest] = []  # a few; a deque of none has 600 bytes
        self._unparsed = b""  # what came behind as many requests as may wait: nothing more is read meanwhile
        self._reading: ClientRequest | None = None  # whose head or body comes now
        self._current: ClientRequest | None = None  # which is being answered
        self._task: asyncio.Task[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._left: asyncio.Future[None] | None = None
        self._tunnel: Tunnel | None = None
        self._tunnelled: ClientRequest | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._quiet_since = self._stalled_since = self._head_since = self._due = 0.0
        self._head_bytes = self._body_seen = self._body_left = self._ignored = 0
        self._in_head, self._refused, self._served, self._lingers = True, False, False, False
        self.gone = self.stopping = False
        self.address: tuple[str, int] = ("", 0)
        self._peer = peer

    def extensions(self) -> dict[str, Any]:
        """What an application may know of the connection."""
        known: dict[str, Any] = {"aerekos.peer": self._peer}
        if self._connection is not None:
            known[EXTENSION] = self._connection
        return known

    # What asyncio calls.

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)
        peer = transport.get_extra_info("peername")
        self.address = (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else ("", 0)
        self._peer = self._peer or peer_subject(transport)
        if self._connection is not None:
            self._connection.drop = transport.abort
        self._quiet_since = self._loop.time()
        self._check_within(HEAD_SECONDS)
        self._opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        if self._timer is not None:
            self._timer.cancel()
        for request in (self._reading, self._current, *self._waiting):
            if request is not None and not request.body.complete:
                request.body.fail(ClientLeft())
            if request is not None and request is not self._current:
                request.scope = {}
        self._waiting.clear()
        self._unparsed = b""
        if self._left is not None and not self._left.done():
            self._left.set_result(None)
        if self._current is not None and self._current.abandon is not None:
            self._current.abandon()
        self.resume_writing()
        if self._tunnel is not None:
            self._tunnel.leave()
        if self._tunnelled is not None:
            self._finished(self._tunnelled)
            self._tunnelled.scope = {}
        if self._connection is not None:
            self._connection.release()
        self._closed(self)
        self._transport, self._parser = ENDED, None

    def get_buffer(self, sizehint: int) -> memoryview:
        return _READ

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(_READ[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """What has come next, of a head or a body."""
        if self._tunnel is not None:
            self._tunnel.take(data)
            if self._tunnelled is not None:
                self._tunnelled.body.seen += len(data)
            return
        if self._refused:
            return
        behind, self._unparsed = bool(self._unparsed), self._unparsed + data
        if behind:
            return
        self._parse_on()
        if self._waiting and self._current is None:
            self._begin_answering()

    def _parse_on(self) -> None:
        """Parse what has come. Behind as many requests as may wait, the rest does, and in the kernel what follows."""
        data, self._unparsed, at = self._unparsed, b"", 0
        singly = len(self._waiting) + data.count(_HEAD_END) > MOST_PIPELINED
        while at < len(data) and not self._refused:
            if self._in_head and len(self._waiting) >= MOST_PIPELINED:
                self._unparsed = data[at:]
                self.pause_reading()
                break
            at = self._parse(data, at, self._end_of_next(data, at) if singly else len(data))
        if not self._in_head:
            self._check_within(self._patience)
        elif self._head_bytes > MOST_HEAD_BYTES:
            self.refuse(_BIG_HEAD)
        elif self._head_bytes:
            self._check_within(HEAD_SECONDS)

    def _end_of_next(self, data: bytes, at: int) -> int:
        """Where the head or the body ends that goes on there; the end of all, where nothing says it."""
        if self._in_head:
            end = data.find(_HEAD_END, at)
            return end + len(_HEAD_END) if end >= 0 else len(data)
        request = self._reading
        left = length_said(request.headers) - request.body.seen if request is not None else 0
        return min(at + left, len(data)) if left > 0 else len(data)

    def _parse(self, data: bytes, at: int, end: int) -> int:
        """Parse the part between these; returns where the next begins."""
        if self._body_left:
            end = min(at + self._body_left, len(data))
            self._take_body(data[at:end])
            return end
        if self._in_head:
            if not self._head_bytes:
                self._head_since = self._loop.time()
            self._head_bytes += end - at
        try:
            self._parser.feed_data(data[at:end])
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded(data[at + upgrade.args[0] :])
            return len(data)
        except httptools.HttpParserError as wrong:
            self.refuse(Fault(400, f"no HTTP request: {wrong}"))
        else:
            if not self._in_head and self._reading is not None:
                self._pass_parser(self._reading)
        return end

    def _pass_parser(self, request: ClientRequest) -> None:
        """Where much of a body of known length is still to come, only its end need be found. Behind a request that
        is the last one the parser finds what may not come.
        """
        left = length_said(request.headers) - request.body.seen
        if left >= LARGE_BODY and request.keep_alive and not self._refused:
            self._body_left, self._parser = left, httptools.HttpRequestParser(self)

    def _take_body(self, part: bytes) -> None:
        """A part of the body that goes past the parser."""
        self._body_left -= len(part)
        self.on_body(part)
        if not self._body_left:
            self.on_message_complete()

    def pause_writing(self) -> None:
        self._drained, self._stalled_since = self._loop.create_future(), self._loop.time()
        if self._tunnel is not None:
            self._tunnel.pause()
        self._check_within(STALLED_SECONDS)

    def resume_writing(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None
        if self._tunnel is not None and not self.gone:
            self._tunnel.resume()
        if self._waiting and self._current is None:
            self._loop.call_soon(self._begin_answering)

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._reading = ClientRequest(self)
        self._in_head, self._head_bytes = True, self._head_bytes or 1

    def on_url(self, url: bytes) -> None:
        if self._reading is not None:
            self._reading.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._reading is not None:
            self._reading.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        request = self._reading
        self._in_head, self._head_bytes, self._body_seen = False, 0, 0
        self._quiet_since = self._loop.time()
        if request is None or self._refused:
            return
        request.began = perf_counter()  # the loop's time is in whole milliseconds
        request.method, request.version = self._parser.get_method(), self._parser.get_http_version()
        request.keep_alive = self._parser.should_keep_alive() and not self.stopping
        request.upgrade = self._parser.should_upgrade()
        fault = request.finish_head()
        if fault is None and len(self._waiting) >= MOST_PIPELINED:
            fault = _PIPELINED
        if fault is None and self.stopping and request.is_streaming:
            fault = _LEAVING
        if fault is not None:
            self.refuse(fault)
            return
        self._waiting.append(request)

    def on_body(self, body: bytes) -> None:
        request = self._reading
        if request is None or self._refused:
            return
        if not request.answered:
            request.body.feed(body)
            return
        # Answered before it was read: the rest is thrown away, so that the client reads why. Not all of it.
        request.body.seen += len(body)
        self._ignored += len(body)
        if self._ignored > MOST_IGNORED_BYTES:
            self._transport.abort()

    def on_message_complete(self) -> None:
        if self._reading is not None:
            self._reading.body.finish()
        self._reading = None
        self._in_head, self._head_bytes = True, 0
        self._quiet_since = self._loop.time()
        if self._lingers:
            self._refused = True  # what comes behind it is nobody's
            self._transport.close()

    # What requests need.

    def write(self, data: bytes) -> None:
        """Send; see `drained`."""
        if not self.gone:
            self._transport.write(data)
            if self._tunnelled is not None:
                self._tunnelled.sent += len(data)

    def soon(self, work: Callable[[], object]) -> None:
        """Do that at the end of this turn of the loop."""
        self._loop.call_soon(work)

    async def drained(self) -> None:
        """Returns when there is room for more, or nobody reads any more."""
        if self._drained is not None:
            await self._drained

    async def left(self) -> None:
        """Returns when the client is gone."""
        if self.gone:
            return
        if self._left is None:
            self._left = self._loop.create_future()
        await asyncio.shield(self._left)

    def pause_reading(self) -> None:
        """Let the rest wait in the kernel."""
        if not self.gone:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on reading, unless something else forbids it."""
        paused = self._reading is not None and self._reading.body.paused
        if not self.gone and not self._unparsed and not paused:
            self._transport.resume_reading()

    def become_tunnel(self, tunnel: Tunnel) -> None:
        """See `ClientRequest.become`."""
        self._tunnel, self._tunnelled = tunnel, self._current
        if self._timer is not None:
            self._timer.cancel()
        if self._current is not None and self._current.body.parts:
            tunnel.take(self._current.body.take())
        if self._drained is not None:
            tunnel.pause()
        if self.gone:
            tunnel.leave()

    def close(self) -> None:
        """After everything that was written."""
        self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way."""
        at_work = self._current is not None or self._waiting or self._tunnel is not None
        return not at_work and self._in_head and self._head_bytes == 0

    def stop(self) -> None:
        """The server stops: what is under way is finished first, but what would last for hours."""
        self.stopping = True
        if self._lasts:
            self._leave()
        elif self._current is not None:
            self._current.keep_alive = False

    @property
    def _lasts(self) -> bool:
        """Whether it is in the middle of what has no end: there is always more to write, and nobody misses it."""
        return self._tunnel is not None or (self._current is not None and self._current.is_streaming)

    def stop_idle(self) -> None:
        """Close it where no request is under way, or one without an end: that came after the server began to stop."""
        if self.is_idle or self._lasts:
            self._leave()

    def _leave(self) -> None:
        """Close once everything is sent. Closing TLS waits half a minute for a client that pools this connection and
        does not listen to it.
        """
        self._transport.close()
        self._loop.call_later(GOODBYE_SECONDS, self._leave_for_good)

    def _leave_for_good(self) -> None:
        if self.gone:
            return
        if self._transport.get_write_buffer_size() and not self._lasts:
            self._loop.call_later(GOODBYE_SECONDS, self._leave_for_good)
        else:
            self._transport.abort()

    def refuse(self, fault: Fault) -> None:
        """Say why, unless an answer is under way, and end the connection."""
        if self._refused or self.gone:
            return
        self._refused = True
        if self._reading is not None and self._reading.answered:
            self._transport.abort()  # its body is ignored: there is no more to say
            return
        for request in (self._reading, self._current):
            if request is not None and not request.body.complete:
                request.body.fail(ClientLeft())
        if self._current is not None and self._current.status and not self._current.answered:
            self._transport.abort()
            return
        refused = self._current or self._reading or ClientRequest(self)
        refused.answered, refused.status = True, fault.code
        self._transport.write(fault_answer(fault))
        self._transport.close()
        if refused is not self._current:
            self._finished(refused)

    def _begin_answering(self) -> None:
        """Whoever waits longest is answered next, once the client has read what it was answered before: most of that
        was written without waiting for it.
        """
        if self.gone or self._current is not None or self._drained is not None:
            return
        if self._unparsed and not self._waiting:
            self._parse_on()
            self.resume_reading()
        if not self._waiting:
            return
        request = self._current = self._waiting.pop(0)
        if self._at_once is None or not request.body.complete or not self._at_once(request):
            self.answer_in_task(request)

    def answer_in_task(self, request: ClientRequest) -> None:
        """By `app`: from the start, or where what was to answer it at once could not."""
        request.abandon = None
        self._task = self._loop.create_task(self._answer(request))

    async def _answer(self, request: ClientRequest) -> None:
        try:
            await self._app(request.scope, request.receive, request)
        except asyncio.CancelledError:
            self._transport.abort()
            raise
        finally:
            self.over(request)

    def over(self, request: ClientRequest) -> None:
        """That one was answered, or will not be."""
        request.abandon = None
        self._ended(request)
        self._current = self._task = None
        self._quiet_since = self._loop.time()
        if self._waiting or self._unparsed:
            self._loop.call_soon(self._begin_answering)

    def _ended(self, request: ClientRequest) -> None:
        self._served = True
        if not request.tunnelled:
            self._finished(request)
            request.scope = {}  # which has the request: together they would wait for the collector
        if request.tunnelled or self.gone:
            return
        if not request.answered:
            self._transport.abort()  # half an answer: only a broken connection is honest now
        elif self.stopping:
            self._leave()
        elif not request.keep_alive and (request.body.complete or request.expects_continue):
            self._transport.close()
        elif not request.body.complete:
            # The rest is ignored as it comes: closing with bytes unread would take the answer away (RFC 9112, 9.6).
            self._lingers = not request.keep_alive
            request.body.take()

    def _upgraded(self, rest: bytes) -> None:
        """What follows an upgrade is the tunnel's, if it becomes one; else the connection ends with the answer."""
        request = self._current or (self._waiting[-1] if self._waiting else None)
        if request is None:
            return
        request.keep_alive = False
        if rest and request.upgrade:
            request.body.parts.append(rest)
        self._parser = httptools.HttpRequestParser(self)

    # Time. A request that comes whole sets no timer.

    @property
    def _patience(self) -> float:
        return BODY_SECONDS * (3.0 if self._connection is not None and self._connection.proven else 1.0)

    def _check_within(self, seconds: float) -> None:
        due = self._loop.time() + seconds
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due, self._timer = due, self._loop.call_later(seconds, self._check)

    def _check(self) -> None:
        self._timer = None
        wait = self._judge(self._loop.time())
        if wait > 0 and not self.gone:
            self._check_within(wait)

    def _judge(self, now: float) -> float:
        """Seconds until it must be looked at again; 0 when it was ended."""
        if self._drained is not None and now - self._stalled_since >= STALLED_SECONDS:
            self._transport.abort()
            return 0
        if self._unparsed:  # who waits for us is not slow
            self._head_since = self._quiet_since = now
            return HEAD_SECONDS
        if not self._in_head:
            return self._judge_body(now)
        if self._head_bytes:
            left = HEAD_SECONDS - (now - self._head_since)
            if left <= 0:
                self.refuse(_SLOW_HEAD)
            return left
        if self._current is not None or self._waiting:
            return KEEP_ALIVE_SECONDS
        left = (KEEP_ALIVE_SECONDS if self._served else HEAD_SECONDS) - (now - self._quiet_since)
        if left <= 0:
            self._transport.close()  # nothing was asked
        return left

    def _judge_body(self, now: float) -> float:
        """An unfinished body must go on. Who waits for us is not slow."""
        request, patience = self._reading, self._patience
        if request is None or request.body.paused or request.expects_continue:
            self._quiet_since = now
            return patience
        left = patience - (now - self._quiet_since)
        if left > 0:
            return left
        if request.body.seen - self._body_seen < LEAST_BYTES_PER_SECOND * patience:
            self.refuse(_SLOW_BODY)
            return 0
        self._body_seen, self._quiet_since = request.body.seen, now
        return patience


def peer_subject(transport: Any) -> tuple[Any, ...]:
    """The subject of the certificate the client showed (already verified by TLS); empty without one."""
    tls = transport.get_extra_info("ssl_object")
    certificate = tls.getpeercert() if tls is not None else None
    return tuple(certificate.get("subject", ())) if certificate else ()
