"""A gateway that stops: what was begun is finished, the next one can take the rest, and nothing lasts for ever."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from api.asgi import Receive, Scope, Send
from api.tls import CertificateAuthority
from controller.kit.listening import open_listeners
from services.sdk.edge.connections import ConnectionLimits
from services.sdk.edge.http_server import AT_ONCE, HttpServer, Patience

pytestmark = pytest.mark.anyio
IDLE_SECONDS = 0.5


@dataclass
class Slow:
    """An application that answers when it is let go."""

    asked: anyio.Event = field(default_factory=anyio.Event)
    go: anyio.Event = field(default_factory=anyio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            self.asked.set()
            await self.go.wait()
        length = [] if scope["query_string"] else [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        await send({"type": "http.response.body", "body": b"ok", "more_body": bool(scope["query_string"])})
        while scope["query_string"]:
            if (await receive())["type"] == "http.disconnect":
                return


@dataclass
class Stopping:
    server: HttpServer
    app: Slow
    port: int

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@asynccontextmanager
async def served() -> AsyncIterator[Stopping]:
    app, listeners = Slow(), open_listeners("127.0.0.1", 0, 16)
    server = HttpServer(app, listeners, None, ConnectionLimits())
    server.start()
    port = listeners[0].getsockname()[1]
    try:
        yield Stopping(server, app, port)
    finally:
        await server.stop(AT_ONCE)


def ask(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode()


async def head_of(reader: asyncio.StreamReader) -> bytes:
    return (await reader.readuntil(b"\r\n\r\n")).lower()


async def test_a_request_under_way_is_answered(anyio_backend: str) -> None:
    async with served() as here, anyio.create_task_group() as group:
        reader, writer = await here.connect()
        writer.write(ask("/slow"))
        await here.app.asked.wait()
        group.start_soon(here.server.stop, Patience(30.0, IDLE_SECONDS))
        await anyio.sleep(IDLE_SECONDS * 2)
        here.app.go.set()
        assert b"connection: close" in await head_of(reader)
        assert await reader.read() == b"ok"
        writer.close()


async def test_a_client_whose_next_request_is_on_its_way_is_answered(anyio_backend: str) -> None:
    async with served() as here, anyio.create_task_group() as group:
        reader, writer = await here.connect()
        writer.write(ask("/"))
        assert b"connection: close" not in await head_of(reader)
        await reader.readexactly(2)
        group.start_soon(here.server.stop, Patience(30.0, IDLE_SECONDS))
        await anyio.sleep(IDLE_SECONDS / 5)
        writer.write(ask("/"))
        assert b"connection: close" in await head_of(reader)
        assert await reader.read() == b"ok"
        writer.close()


async def test_nothing_that_lasts_begins_any_more(anyio_backend: str) -> None:
    async with served() as here, anyio.create_task_group() as group:
        reader, writer = await here.connect()
        writer.write(ask("/"))
        await head_of(reader)
        await reader.readexactly(2)
        group.start_soon(here.server.stop, Patience(30.0, 25.0))
        await anyio.sleep(0.1)
        writer.write(ask("/x?watch=1"))
        assert b"503 service unavailable" in await head_of(reader)
        assert b"ask again" in await reader.read()
        writer.close()


async def test_who_asks_nothing_and_what_lasts_for_ever_do_not_hold_it_up(anyio_backend: str) -> None:
    async with served() as here:
        idle, idle_writer = await here.connect()
        watching, watching_writer = await here.connect()
        watching_writer.write(ask("/x?watch=1"))
        await head_of(watching)
        while here.server.clients < 2:  # noqa: ASYNC110 (a connection is let in unheard)
            await anyio.sleep(0.01)
        with anyio.fail_after(IDLE_SECONDS + 10):
            await here.server.stop(Patience(60.0, IDLE_SECONDS))
        assert await idle.read() == b""
        await watching.read()
        idle_writer.close()
        watching_writer.close()


async def test_a_watch_that_begins_while_it_stops_does_not_hold_it_up(anyio_backend: str) -> None:
    async with served() as here, anyio.create_task_group() as group:
        reader, writer = await here.connect()
        writer.write(ask("/"))
        await head_of(reader)
        await reader.readexactly(2)
        ended = anyio.Event()

        async def stop() -> None:
            await here.server.stop(Patience(60.0, IDLE_SECONDS))
            ended.set()

        group.start_soon(stop)
        await anyio.sleep(IDLE_SECONDS / 5)
        writer.write(ask("/x?watch=1"))
        await head_of(reader)
        with anyio.fail_after(15):
            await ended.wait()
            await reader.read()
        writer.close()


async def test_a_client_that_does_not_listen_to_its_connection_does_not_hold_it_up(tmp_path: Path) -> None:
    """As those do that pool connections: the end of TLS is not answered."""
    authority = CertificateAuthority(tmp_path, now=datetime.now(UTC))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.server(["localhost"]))
    trust = ssl.create_default_context(cafile=str(authority.ca_file))
    listeners = open_listeners("127.0.0.1", 0, 16)
    server = HttpServer(Slow(), listeners, tls, ConnectionLimits())
    server.start()
    port = listeners[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust, server_hostname="localhost")
    writer.write(ask("/"))
    await head_of(reader)
    await reader.readexactly(2)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    with anyio.fail_after(15):  # not the half minute it would wait
        await server.stop(Patience(60.0, IDLE_SECONDS))
    writer.transport.abort()


async def test_clients_wait_for_the_next_one_where_its_socket_is_kept(anyio_backend: str) -> None:
    async with served() as here:
        kept = [socket.socket(fileno=each.detach()) for each in map(socket.socket.dup, here.server.sockets)]
        await here.server.stop(AT_ONCE)
        reader, writer = await here.connect()
        writer.write(ask("/"))
        following = HttpServer(here.app, kept, None, ConnectionLimits())
        following.start()
        assert b"200 ok" in await head_of(reader)
        writer.close()
        await following.stop(AT_ONCE)
