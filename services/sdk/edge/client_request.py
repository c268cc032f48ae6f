"""One request to the gateway and the answer to it.

Applications see it as ASGI has it. What ASGI has no words for stands in `scope["aerekos.request"]`: the body as a
stream, and a connection that becomes a tunnel. Source: RFC 9112; RFC 9110, 10.1.1 (Expect).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from time import perf_counter
from typing import Any, Protocol
from urllib.parse import unquote

from services.sdk.asgi import Message, is_streaming
from services.sdk.edge.body_stream import BodyStream
from services.sdk.edge.heads import Fault, head_fault, joined_head

REQUEST = "aerekos.request"
_JOINED_BYTES = 16_384  # the most one record of TLS carries
_STATUS_LINES = {each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode() for each in HTTPStatus}
_UPGRADE_WITH_BODY = Fault(400, "a request that changes the protocol has no body")
_NO_TARGET = Fault(400, "the request target is no path, nor the URL of one on this host")


class Tunnel(Protocol):
    """The far end of a connection that carries no requests any more."""

    def take(self, data: bytes) -> None:
        """What the client sent."""
        ...

    def leave(self) -> None:
        """The client has gone."""
        ...

    def pause(self) -> None:
        """The client reads too slowly: send it nothing for now."""
        ...

    def resume(self) -> None:
        """It has read what waited."""
        ...


class Client(Protocol):
    """What a request needs of its connection (`services.sdk.edge.client_connection.ClientConnection`)."""

    address: tuple[str, int]
    gone: bool

    def date(self) -> bytes: ...
    def extensions(self) -> dict[str, Any]: ...
    def write(self, data: bytes) -> None: ...
    def soon(self, work: Callable[[], object]) -> None: ...
    async def drained(self) -> None: ...
    async def left(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def become_tunnel(self, tunnel: Tunnel) -> None: ...
    def over(self, request: ClientRequest) -> None: ...
    def answer_in_task(self, request: ClientRequest) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


class ClientLeft(Exception):
    """The client went before its request was complete."""


class ClientRequest:
    """One request and the answer to it. `began`: by the finest clock, when its head was there; `sent`: bytes of the
    answer's body, or of the tunnel it became. `abandon`: what to do when the client leaves, where nobody
    asks `receive`.
    """

    __slots__ = (
        "_chunked",
        "_client",
        "_head",
        "_read",
        "abandon",
        "answered",
        "began",
        "body",
        "expects_continue",
        "headers",
        "keep_alive",
        "method",
        "scope",
        "sent",
        "status",
        "target",
        "tunnelled",
        "upgrade",
        "version",
    )

    def __init__(self, client: Client) -> None:
        self._client = client
        self.method = self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.version = "1.1"
        self.body = BodyStream(client.pause_reading, client.resume_reading)
        self.scope: dict[str, Any] = {}
        self.status, self.answered, self.keep_alive, self.tunnelled = 0, False, True, False
        self.upgrade = self.expects_continue = self._chunked = self._read = False
        self._head = b""
        self.began, self.sent = 0.0, 0
        self.abandon: Callable[[], object] | None = None

    @property
    def address(self) -> str:
        """Where the client is."""
        return self._client.address[0]

    @property
    def seconds(self) -> float:
        """How long it has taken so far; 0 for one whose head never came."""
        return perf_counter() - self.began if self.began else 0.0

    @property
    def is_streaming(self) -> bool:
        """Whether its answer may never end."""
        return is_streaming(self.target.partition(b"?")[2])

    async def receive(self) -> Message:
        """The next part of the body; after it, word of the client's leaving."""
        if self._read:
            await self._client.left()
            return {"type": "http.disconnect"}
        self.let_body_come()
        try:
            await self.body.changed()
        except ClientLeft:
            return {"type": "http.disconnect"}
        part = self.body.take_next()
        self._read = self.body.complete and not self.body.parts
        return {"type": "http.request", "body": part, "more_body": not self._read}

    def let_body_come(self) -> None:
        """Tell a client that waits for it that its body is wanted."""
        if self.expects_continue and not self.status and not self.body.seen:
            self._client.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.expects_continue = False

    async def __call__(self, message: Message) -> None:
        """ASGI's `send`: the head of the answer, then its parts. Returns when the client takes more."""
        if self.answered or self._client.gone:
            return
        if message["type"] == "http.response.start":
            self._begin(message["status"], message.get("headers", ()))
            # Most bodies come at once, and go out with the head; a watch may be silent for long after it.
            self._client.soon(self._send_head)
            return
        part, more = message.get("body", b""), message.get("more_body", False)
        if self.method == b"HEAD" or self.status in (204, 304):
            part = b""
        elif self._chunked:
            self.sent += len(part)
            part = (b"%x\r\n%b\r\n" % (len(part), part) if part else b"") + (b"" if more else b"0\r\n\r\n")
        else:
            self.sent += len(part)
        if self._head and len(part) <= _JOINED_BYTES:
            part, self._head = self._head + part, b""
        self._send_head()
        if part:
            self._client.write(part)
        self.answered = not more
        await self._client.drained()

    @property
    def client_gone(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self._client.gone

    def over(self) -> None:
        """Whoever took this request at once is through with it."""
        self._client.over(self)

    def answer_in_task(self) -> None:
        """Whoever took this request at once leaves it to the application after all."""
        self._client.answer_in_task(self)

    async def send_whole(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """An answer whose body is at hand. Returns when the client takes more."""
        self.write_whole(status, headers, body)
        await self._client.drained()

    def write_whole(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """The same for who need not know when the client takes more."""
        if self.answered or self._client.gone:
            return
        self._begin(status, headers)
        if self.method == b"HEAD" or status in (204, 304):
            body = b""
        self.sent += len(body)
        if self._chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
        head, self._head = self._head, b""
        self._write_joined(head, body)

    def write_ready(self, status: int, lines: bytes, body: bytes) -> None:
        """An answer whose header lines are at hand, as they go over the wire: one that says how long its body is, or
        has none. For a client that speaks HTTP/1.1.
        """
        if self.answered or self._client.gone:
            return
        self.status = status
        if self.method == b"HEAD" or status in (204, 304):
            body = b""
        self.sent += len(body)
        line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
        end = b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n"
        self._write_joined(b"%b%b%b%b" % (line, self._client.date(), lines, end), body)

    def _write_joined(self, head: bytes, body: bytes) -> None:
        """In one record of TLS, where one can carry both."""
        if len(body) <= _JOINED_BYTES:
            self._client.write(head + body)
        else:
            self._client.write(head)
            self._client.write(body)
        self.answered = True

    def _begin(self, status: int, headers: Any) -> None:
        self.status, length, close = status, False, not self.keep_alive
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status, self._client.date()]
        for name, value in headers:
            lines.append(b"%b: %b\r\n" % (name, value))
            if name == b"content-length":
                length = True
            elif name == b"connection" and value.lower() == b"close":
                close, self.keep_alive = False, False
        if not length and self.method != b"HEAD" and status not in (204, 304):
            if self.version == "1.1":
                self._chunked = True
                lines.append(b"transfer-encoding: chunked\r\n")
            else:
                close, self.keep_alive = True, False
        if close:
            lines.append(b"connection: close\r\n")
        elif self.version == "1.0" and self.keep_alive:
            lines.append(b"connection: keep-alive\r\n")
        lines.append(b"\r\n")
        try:
            self._head = joined_head(lines)
        except ValueError:
            self._client.abort()  # or the body would go out without a head
            raise

    def _send_head(self) -> None:
        head, self._head = self._head, b""
        if head:
            self._client.write(head)

    def become(self, tunnel: Tunnel) -> Client:
        """From now on the connection carries no requests: its bytes go to `tunnel`, which writes to the returned."""
        self.tunnelled = self.answered = True
        self._client.become_tunnel(tunnel)
        return self._client

    def finish_head(self) -> Fault | None:
        """Check the head, and make the scope of it."""
        fault = head_fault(self.target, self.headers, self.version)
        if fault is not None:
            return fault
        if self.upgrade:
            lengths = [value for name, value in self.headers if name in (b"content-length", b"transfer-encoding")]
            if any(value != b"0" for value in lengths):  # kubectl says that there is none
                return _UPGRADE_WITH_BODY  # where it ends, each hop would decide for itself
            self.upgrade = (b"upgrade", b"websocket") in [(name, value.lower()) for name, value in self.headers]
        target: bytes | None = self.target
        if not self.target.startswith(b"/") or b"#" in self.target:
            target = _origin_form(self.target, self.headers)
        if target is None:
            return _NO_TARGET
        self.target = target
        raw_path, _, query = target.partition(b"?")
        try:
            path = raw_path.decode("ascii")
        except UnicodeDecodeError:
            return _NO_TARGET
        for name, value in self.headers:
            if name == b"expect" and value.lower() == b"100-continue":
                self.expects_continue = True
        self.scope = {
            "type": "http",
            "http_version": self.version,
            "method": self.method.decode("ascii"),
            "scheme": "https",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self.headers,
            "client": self._client.address,
            "extensions": self._client.extensions(),
            REQUEST: self,
        }
        return None


def _origin_form(target: bytes, headers: list[tuple[bytes, bytes]]) -> bytes | None:
    """Path and query. A whole URL counts as its path if it names the host the Host header names (RFC 9112, 3.2.2)."""
    if b"#" in target:
        return None
    scheme, mark, rest = target.partition(b"://")
    if not mark or scheme.lower() not in (b"http", b"https"):
        return None
    authority, slash, path = rest.partition(b"/")
    if b"?" in authority or authority != next((value for name, value in headers if name == b"host"), b""):
        return None
    return slash + path or b"/"
