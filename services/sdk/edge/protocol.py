"""uvicorn's HTTP protocol with limits: small heads that come in time, bodies that go on, answers that are read.

A request that comes whole, as nearly all do, sets no timer.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.sdk.edge.connections import EXTENSION, Connection
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
    head_fault,
)

GOODBYE_SECONDS = 0.2
_SLOW_HEAD = Fault(408, f"the request head did not come within {HEAD_SECONDS:g} s")
_SLOW_BODY = Fault(408, f"the request body came slower than {LEAST_BYTES_PER_SECOND} bytes per second")
_BIG_HEAD = Fault(431, f"the request head is larger than {MOST_HEAD_BYTES} bytes")
_PIPELINED = Fault(400, f"more than {MOST_PIPELINED} requests were sent without waiting for an answer")


class LimitedProtocol(HttpToolsProtocol):
    """`connection`: the place this connection has; None where nobody counts."""

    connection: Connection | None = None
    _in_head, _in_body = True, False
    _head_bytes = _body_bytes = _body_seen = _ignored = 0
    _refused: Fault | None = None
    _timer: asyncio.TimerHandle | None = None
    _idle_since: float | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if self.connection is not None:
            self.connection.drop = transport.abort
        self._timer = self.loop.call_later(HEAD_SECONDS, self._give_up, _SLOW_HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        for timer in (self._stalled, self.timeout_keep_alive_task):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        if self.connection is not None:
            self.connection.release()

    def data_received(self, data: bytes) -> None:
        if self._refused is not None:
            return
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MOST_HEAD_BYTES:
            self.refuse(_BIG_HEAD)
        elif self._timer is None and not self.transport.is_closing():
            if self._in_head and self._head_bytes:
                self._timer = self.loop.call_later(HEAD_SECONDS, self._give_up, _SLOW_HEAD)
            elif self._in_body:
                self._watch_body()

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, self._head_bytes or 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body, self._head_bytes, self._body_bytes = False, True, 0, 0
        self._stop_timer()
        if self._refused is not None:
            return
        fault = head_fault(self.url, self.headers, self.parser.get_http_version())
        if fault is None and len(self.pipeline) >= MOST_PIPELINED:
            fault = _PIPELINED
        if fault is not None:
            self.refuse(fault)
            return
        super().on_headers_complete()
        if self.connection is not None:
            extensions: dict[str, Any] = cast(dict[str, Any], self.scope).setdefault("extensions", {})
            extensions[EXTENSION] = self.connection

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._refused is not None:
            return
        super().on_body(body)
        if self.cycle.response_complete:
            # Answered before it was read: the rest is thrown away, so that the client reads why. Not all of it.
            self._ignored += len(body)
            if self._ignored > MOST_IGNORED_BYTES:
                self.transport.abort()

    def on_message_complete(self) -> None:
        self._in_head, self._in_body, self._head_bytes = True, False, 0
        self._stop_timer()
        if self._refused is None:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """As uvicorn's, but that its timer goes on through many requests: setting one for each, and taking it back,
        costs as much as reading the head."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_in(self.timeout_keep_alive)

    def _unset_keepalive_if_required(self) -> None:
        """Something came. The timer stays: it looks for itself whether the connection is idle."""
        self._idle_since = None

    def timeout_keep_alive_handler(self) -> None:
        """Ends a connection that was idle so long."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return  # at work: the end of the answer sets another
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_in(left)
        else:
            super().timeout_keep_alive_handler()

    def _look_in(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What the parser could not read; after it, nothing on this connection can be told from anything else."""
        self.refuse(Fault(400, msg))

    def refuse(self, fault: Fault) -> None:
        """Says why, unless an answer is under way, and ends the connection."""
        if self._refused is not None or self.transport.is_closing():
            return
        self._refused = fault
        self._stop_timer()
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()
            return
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(fault_answer(fault))
        self.transport.close()

    def shutdown(self) -> None:
        """The server stops: what is under way is finished first."""
        super().shutdown()
        self.loop.call_later(GOODBYE_SECONDS, self._leave)

    def _leave(self) -> None:
        """Closing TLS waits until the other side has closed too, and a client that pools this connection is not
        listening: without this, every stop took as long as it may.
        """
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()

    def _give_up(self, fault: Fault) -> None:
        self._timer = None
        if self._head_bytes == 0 and self._in_head:
            self.transport.close()  # nothing was asked
        else:
            self.refuse(fault)

    def _watch_body(self) -> None:
        self._body_seen = self._body_bytes
        patient = 3.0 if self.connection is not None and self.connection.proven else 1.0
        self._timer = self.loop.call_later(BODY_SECONDS * patient, self._check_body, BODY_SECONDS * patient)

    def _check_body(self, seconds: float) -> None:
        self._timer = None
        if not self._in_body or self.transport.is_closing():
            return
        # Who waits for us is not slow.
        ours = self.flow.read_paused or (self.cycle is not None and self.cycle.waiting_for_100_continue)
        if not ours and self._body_bytes - self._body_seen < LEAST_BYTES_PER_SECOND * seconds:
            self.refuse(_SLOW_BODY)
        else:
            self._watch_body()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
