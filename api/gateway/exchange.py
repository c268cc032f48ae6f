"""One request sent on, and its answer taken back, both as streams: what every proxy of the gateway does alike.

Source: RFC 9110, 7.6 (message forwarding); RFC 9112, 7.1 (chunked bodies).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Sequence, Set

from api.asgi import Message, Receive, Send
from api.gateway.upstream import Headers, UpstreamConnection
from api.whole_answers import send_whole
from crds.errors import BadRequest
from services.sdk.edge.heads import has_lines

_NOTHING = frozenset[bytes]()
_LAST_CHUNK = b"0\r\n\r\n"
_NOT_IN_TARGET = re.compile(rb"[\x00-\x20\x7f]")
HOP_BY_HOP = frozenset(
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
FAILED = "aerekos.failed"
"""Where a scope has the error of a request that is to be refused with it (`api.gateway.call_at_once`)."""
# Our own server writes a Date; two of them would be one too many.
NOT_RELAYED = HOP_BY_HOP | {b"date", b"server"}


class Exchange:
    """One request on one connection: its body goes out while the answer comes in; both end when the client goes.
    `patience`: the seconds without a byte after which it ends with AnswerTimeout.
    """

    def __init__(
        self, connection: UpstreamConnection, body: RequestBody, method: bytes, head: bytes, patience: float
    ) -> None:
        self._connection, self._body = connection, body
        self._method, self._head, self._patience = method, head, patience
        self._pumping: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Send the request, or what is there of it; to be followed by `end`, whatever happens."""
        whole = self._body.whole()
        self._connection.send_head(self._method, self._head + (whole or b""), self._patience)
        if whole is None:
            self._connection.awaits_client = True
            self._pumping = asyncio.get_running_loop().create_task(self._pump())
        # Most answers are there before it is worth looking whether somebody still waits for them.
        self._connection.late.add(self._begin_watch)

    def end(self) -> None:
        """It is over. The connection can be given back."""
        self._connection.late.remove(self._begin_watch)
        if self._watching is not None:
            self._watching.cancel()
        if self._pumping is not None and not self._pumping.done():
            self._pumping.cancel()
            self._connection.keeps_open = False  # the instance would take the rest for the next request

    def _begin_watch(self) -> None:
        self._watching = asyncio.get_running_loop().create_task(self._until_gone())

    async def _until_gone(self) -> None:
        await self._body.gone()
        self._connection.fail(ClientDisconnected())

    async def _pump(self) -> None:
        try:
            async for part in self._body.framed():
                self._connection.awaits_client = False
                await self._connection.send(part)
                self._connection.awaits_client = not self._body.ended
            self._connection.body_sent()
        except ClientDisconnected as left:
            self._connection.fail(left)


async def relay(connection: UpstreamConnection, send: Send, without: Set[bytes] = NOT_RELAYED) -> None:
    """Send the answer on as it comes, less those headers and what was for this hop. Raises UpstreamError,
    ClientDisconnected.
    """
    headers = relayed_headers(connection, without)
    whole = connection.body.whole()
    if whole is not None:
        await send_whole(send, connection.status, headers, whole)
        return
    await send({"type": "http.response.start", "status": connection.status, "headers": headers})
    async for part in connection.body:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def relayed_headers(connection: UpstreamConnection, without: Set[bytes] = NOT_RELAYED) -> Headers:
    """The headers of the answer on that connection, less those and what was for this hop."""
    if named := named_by_connection(connection.headers):
        without = without | named
    return [each for each in connection.headers if each[0] not in without]


class ClientDisconnected(Exception):
    """The client went before its request was answered: no fault of an instance."""


class RequestBody:
    """The request's body as a stream that can be read once; then, word of the client's leaving."""

    def __init__(self, receive: Receive, *, expected: bool, chunked: bool = False) -> None:
        self._receive, self.expected, self._chunked = receive, expected, chunked
        self.started = False
        self._first: Message | None = None
        self._ended = not expected
        self._waiting: asyncio.Future[None] | None = None

    @property
    def ended(self) -> bool:
        """Whether all of it has come and was read."""
        return self._ended

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
        self.started = self._ended = True
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
        self._ended = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
        if self._chunked:
            yield _LAST_CHUNK

    async def gone(self) -> None:
        """Returns when the client leaves after its request was read."""
        if not self._ended:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _chunk(part: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(part), part)


def request_head(method: bytes, target: bytes, headers: Headers) -> bytes:
    """The head of a request, as it goes out. Raises BadRequest for what would be read as something else."""
    lines, count = header_lines(headers), len(headers)
    if b"host" not in dict(headers):  # HTTP/1.0 need not say it, and what goes out is HTTP/1.1
        lines, count = lines + b"host: \r\n", count + 1
    head = b"%b %b HTTP/1.1\r\n%b" % (method, target, lines)
    if _NOT_IN_TARGET.search(target) or not has_lines(head, count + 1):
        raise BadRequest("this request cannot be passed on: its head has a line break or a space where none may be")
    return head + b"\r\n"


def header_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """As they go over the wire."""
    return b"".join([b"%b: %b\r\n" % each for each in headers])


def named_by_connection(headers: Sequence[tuple[bytes, bytes]]) -> Set[bytes]:
    """What the Connection header declares to be for this hop only (RFC 9110, 7.6.1)."""
    if b"connection" not in dict(headers):
        return _NOTHING
    listed = [value for name, value in headers if name == b"connection"]
    # A message must not lose its end, whoever asks for it.
    return {each.strip().lower() for each in b",".join(listed).split(b",")} - {b"", b"content-length", b"host"}


def is_chunked(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the body says its length in parts."""
    return b"transfer-encoding" in dict(headers)
