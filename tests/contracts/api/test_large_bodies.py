"""Large bodies go past the parser: what they carry, where they end and what comes behind them stays the same."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from contracts.api.conftest import an_instance

from api.gateway.upstream import BrokenOff, Endpoint, UpstreamConnection, UpstreamPool
from services.sdk.edge.acceptor import listen
from services.sdk.edge.body_stream import LARGE_BODY, length_said
from services.sdk.edge.connections import ConnectionLimits
from services.sdk.edge.http_server import AT_ONCE, HttpServer

pytestmark = pytest.mark.anyio
BODY = bytes(range(256)) * (3 * LARGE_BODY // 256) + b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


def put(*lines: bytes, length: int = len(BODY)) -> bytes:
    return b"\r\n".join([b"PUT /large HTTP/1.1", b"host: x", *lines, b"content-length: %d" % length, b"", b""])


@asynccontextmanager
async def a_server(*, reads: bool = True) -> AsyncIterator[tuple[int, list[tuple[str, str]]]]:
    """Its port, and path and hash of the body of each request it saw."""
    seen: list[tuple[str, str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        digest, more = hashlib.sha256(), reads
        while more:
            message = await receive()
            digest.update(message.get("body", b""))
            more = message.get("more_body", False)
        seen.append((scope["path"], digest.hexdigest()))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    server = HttpServer(app, await listen("127.0.0.1", 0, 16), None, ConnectionLimits())
    server.start()
    yield server.sockets[0].getsockname()[1], seen
    await server.stop(AT_ONCE)


async def sent(port: int, data: bytes, size: int) -> bytes:
    """Everything the server says to those bytes, sent in parts of that size."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for start in range(0, len(data), size):
        writer.write(data[start : start + size])
        await writer.drain()
        if start < 10 * size:
            await anyio.lowlevel.checkpoint()
    with anyio.fail_after(60):
        told = await reader.read(-1)
    writer.close()
    return told


@pytest.mark.parametrize("size", [997, LARGE_BODY, LARGE_BODY + 1, 10**7])
async def test_what_comes_behind_a_body_is_the_next_request(size: int) -> None:
    whole = hashlib.sha256(BODY).hexdigest()
    async with a_server() as (port, seen):
        told = await sent(port, put() + BODY + put() + BODY + LAST, size)
    assert told.count(b"HTTP/1.1 200") == 3
    assert seen == [("/large", whole), ("/large", whole), ("/last", hashlib.sha256().hexdigest())]


async def test_a_body_that_was_answered_unread_is_thrown_away() -> None:
    async with a_server(reads=False) as (port, seen):
        told = await sent(port, put() + BODY + LAST, 8191)
    assert told.count(b"HTTP/1.1 200") == 2
    assert [path for path, _ in seen] == ["/large", "/last"]


async def test_nothing_follows_the_last_request() -> None:
    async with a_server() as (port, seen):
        await sent(port, put(b"connection: close") + BODY + LAST, 10**7)
    assert [path for path, _ in seen] == ["/large"]


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ([(b"content-length", b"12")], 12),
        ([(b"host", b"x")], 0),
        ([(b"content-length", b"12"), (b"transfer-encoding", b"chunked")], 0),
        ([(b"content-length", b"+12")], 0),
    ],
)
def test_a_length_is_believed_where_it_alone_is_said(headers: list[tuple[bytes, bytes]], length: int) -> None:
    assert length_said(headers) == length


async def answered(parts: list[bytes]) -> tuple[bytes, bool]:
    """The body of an answer that comes in these parts, and whether its connection may be used again."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await anyio.lowlevel.checkpoint()
        if not parts[-1]:
            writer.close()

    async with an_instance(serve) as instance:
        host, _, port = instance.address.rpartition(":")
        endpoint, pool = Endpoint(host, int(port)), UpstreamPool(4)
        connection: UpstreamConnection = await pool.take(endpoint, None)
        connection.send_head(b"GET", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", 60.0)
        try:
            with anyio.fail_after(60):
                await connection.head()
                body = b"".join([part async for part in connection.body])
                while parts[-1] == LAST and not connection.closed:
                    await anyio.lowlevel.checkpoint()
            return body, connection.reusable
        finally:
            connection.abort()
            pool.give_back(endpoint, connection)


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(BODY)


async def test_an_answer_comes_whole_and_its_connection_is_used_again() -> None:
    assert await answered([HEAD, BODY[:1000], BODY[1000:]]) == (BODY, True)


async def test_what_comes_behind_an_answer_ends_its_connection() -> None:
    assert await answered([HEAD + BODY[:1000], BODY[1000:], LAST]) == (BODY, False)
    assert await answered([HEAD + BODY[:1000], BODY[1000:] + LAST, LAST]) == (BODY, False)


async def test_an_answer_that_breaks_off_is_none() -> None:
    with pytest.raises(BrokenOff):
        await answered([HEAD, BODY[:-1], b""])
