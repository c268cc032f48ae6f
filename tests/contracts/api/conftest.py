"""The conductor's real server on a port of its own, and instances that do exactly what a test says."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest
from unit.api.components import ADMIN, House, make_house

from api.front_proxy import FrontProxy
from api.gateway.direct_passthrough import DirectPassthrough
from api.gateway.passthrough import Passthrough
from api.gateway.request_limits import RequestLimits
from api.gateway.upstream import Endpoint
from api.server import make_socket_server
from api.tls import CertificateAuthority
from controller.kit.unix_sockets import listen_on
from services.sdk.edge.acceptor import listen
from services.sdk.edge.connections import ConnectionLimits
from services.sdk.edge.http_server import AT_ONCE, HttpServer

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Instance:
    """A listening socket that notes every request's head, and serves as it is told."""

    serve: Serve
    heads: list[bytes] = field(default_factory=list)
    address: str = ""
    left: anyio.Event = field(default_factory=anyio.Event)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                await self.serve(reader, writer)
                await writer.drain()
                if writer.is_closing():
                    break
        writer.close()
        self.left.set()


@asynccontextmanager
async def an_instance(serve: Serve) -> AsyncIterator[Instance]:
    made = Instance(serve)
    server = await asyncio.start_server(made.handle, "127.0.0.1", 0)
    made.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()


def answering(body: bytes = b"hello", *lines: bytes) -> Serve:
    """A whole answer to each request without a body."""
    head = b"\r\n".join([b"HTTP/1.1 200 OK", b"content-length: %d" % len(body), *lines, b"", b""])

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head + body)

    return serve


@dataclass
class Served:
    """A house behind real TLS."""

    house: House
    port: int
    context: ssl.SSLContext

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context, server_hostname="localhost")

    def head(self, method: str, path: str, *lines: str) -> bytes:
        token = self.house.bearer(ADMIN)["authorization"]
        return "\r\n".join(
            [f"{method} {path} HTTP/1.1", "host: x", f"authorization: {token}", *lines, "", ""]
        ).encode()

    async def ask(self, method: str, path: str, *lines: str, body: bytes = b"") -> tuple[int, bytes, bytes]:
        """Code, head and body of the answer, read until the server closes."""
        reader, writer = await self.connect()
        if body:
            lines = (*lines, f"content-length: {len(body)}")
        return await read_all(reader, writer, self.head(method, path, *lines, "connection: close") + body)


async def read_all(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, raw: bytes
) -> tuple[int, bytes, bytes]:
    """What the server says to those bytes until it closes; code 0 when it says nothing."""
    writer.write(raw)
    told = b""
    with anyio.fail_after(60), suppress(OSError, ssl.SSLError):
        while chunk := await reader.read(65536):
            told += chunk
    writer.close()
    head, _, body = told.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, head.lower(), body


@asynccontextmanager
async def behind_a_gateway(
    app: Any, tmp_path: Path, now: datetime | None = None
) -> AsyncIterator[tuple[int, CertificateAuthority]]:
    """`app` on its socket, behind a gateway's server and real TLS: its port, and who vouches for it."""
    authority = CertificateAuthority(tmp_path / "tls", now=now or datetime.now(UTC))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.server(["localhost", "127.0.0.1"]))
    tls.load_verify_locations(authority.ca_file)
    tls.verify_mode = ssl.CERT_OPTIONAL
    path, conductor = tmp_path / "conductor.sock", make_socket_server(FrontProxy(app))
    running = asyncio.create_task(conductor.serve(sockets=[listen_on(path)]))
    passthrough = Passthrough(Endpoint(str(path)))
    at_once = DirectPassthrough(passthrough, [], RequestLimits(time.monotonic))
    listeners = await listen("127.0.0.1", 0, 64)
    gateway = HttpServer(passthrough, listeners, tls, ConnectionLimits(), at_once=at_once)
    gateway.start()
    try:
        yield gateway.sockets[0].getsockname()[1], authority
    finally:
        await gateway.stop(AT_ONCE)
        passthrough.close()
        conductor.should_exit = conductor.force_exit = True
        await running


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    house = await make_house(tmp_path)
    async with behind_a_gateway(house.door, tmp_path, house.clock.now()) as (port, authority):
        yield Served(house, port, ssl.create_default_context(cafile=str(authority.ca_file)))
    await house.close()
