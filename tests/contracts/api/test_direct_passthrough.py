"""Requests for the conductor are answered alike, whether the gateway takes them at once or in a task of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from api.chain import Handler
from api.channel.settings import GatewaySettings
from api.gateway import request_limits
from api.gateway.access_log import access_record
from api.gateway.direct_passthrough import DirectPassthrough
from api.gateway.passthrough import Passthrough
from api.gateway.request_limits import RequestLimits
from api.gateway.upstream import Endpoint
from controller.kit.unix_sockets import listen_on
from services.sdk.edge.acceptor import listen
from services.sdk.edge.body_stream import HIGH_WATER
from services.sdk.edge.client_connection import ClientConnection
from services.sdk.edge.client_request import ClientRequest
from services.sdk.edge.connections import ConnectionLimits
from services.sdk.edge.http_server import AT_ONCE, HttpServer

pytestmark = pytest.mark.anyio
Answers = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
PATCH = b"PATCH /apis/a HTTP/1.1\r\nhost: x\r\nx-request-id: mine\r\ncontent-length: 2\r\n\r\n{}"
GET = b"GET /apis/b HTTP/1.1\r\nhost: x\r\nx-request-id: mine\r\n\r\n"
KNOWN = b"x-aerekos-proven: 1\r\nx-aerekos-principal: ann%40x\r\n"


@dataclass
class Front:
    """A gateway before a conductor. `taken`: of each request, whether it was taken at once; `heads`: what the
    conductor got; `logged`: the access log; `left`: set when the conductor's side of a connection has ended.
    """

    port: int
    passthrough: Passthrough
    limits: RequestLimits
    at_once: bool
    taken: list[bool] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    logged: list[dict[str, Any]] = field(default_factory=list)
    left: anyio.Event = field(default_factory=anyio.Event)


async def echo(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = await reader.readexactly(2) if head.startswith(b"PATCH") else b"--"
    writer.write(
        b"HTTP/1.1 200 OK\r\nconnection: x-a\r\nx-a: 1\r\nx-b: 2\r\ncontent-length: 2\r\n" + KNOWN + b"\r\n" + body
    )


@asynccontextmanager
async def a_front(tmp_path: Path, answers: list[Answers], *, at_once: bool) -> AsyncIterator[Front]:
    """Each answer is used for one request; the last for all that follow."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                front.heads.append(head.lower())
                await (answers.pop(0) if len(answers) > 1 else answers[0])(head, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            front.left.set()
        finally:
            writer.close()

    path = tmp_path / "conductor.sock"
    conductor = await asyncio.start_unix_server(connected, sock=listen_on(path))
    passthrough, limits = Passthrough(Endpoint(str(path))), RequestLimits(lambda: 0.0)
    limits.use(GatewaySettings())
    front = Front(0, passthrough, limits, at_once)
    direct = DirectPassthrough(passthrough, [Handler("services", _is_a_service, _never)], limits)

    def take(request: ClientRequest) -> bool:
        front.taken.append(front.at_once and direct(request))
        return front.taken[-1]

    def finished(request: ClientRequest) -> None:
        front.logged.append(access_record(request))

    listeners = await listen("127.0.0.1", 0, 16)
    server = HttpServer(passthrough, listeners, None, ConnectionLimits(), finished, at_once=take)
    server.start()
    front.port = server.sockets[0].getsockname()[1]
    yield front
    await server.stop(AT_ONCE)
    passthrough.close()
    conductor.close()


def _is_a_service(scope: Any) -> bool:
    return bool(scope["path"].startswith("/services/"))


async def _never(*_: Any) -> None:
    raise AssertionError("what a handler of the chain answers is none of the conductor's")


@pytest.fixture(params=[True, False], ids=["at once", "in a task"])
def at_once(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, raw: bytes) -> tuple[bytes, bytes]:
    """Head and body of the answer."""
    writer.write(raw)
    with anyio.fail_after(60):
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return head, await reader.readexactly(length)


async def test_it_is_carried_and_noted_alike(tmp_path: Path, at_once: bool) -> None:
    async with a_front(tmp_path, [echo], at_once=at_once) as front:
        streams = await asyncio.open_connection("127.0.0.1", front.port)
        answers = [await ask(*streams, raw) for raw in (GET, PATCH, GET.replace(b"mine", b"b@d"))]
    assert [body for _, body in answers] == [b"--", b"{}", b"--"]
    for head, _ in answers:
        assert b"x-b: 2" in head and b"x-a" not in head and b"x-aerekos" not in head and b"\r\nconnection" not in head
    assert front.taken == [False, at_once, at_once], "the first waits for a connection"
    assert all(b"x-forwarded-for: 127.0.0.1" in head and b"traceparent: 00-" in head for head in front.heads)
    assert [b"x-request-id: mine" in head for head in front.heads] == [True, True, False]
    assert [(each["service"], each["principal"], each["status"]) for each in front.logged] == [
        ("conductor", "ann@x", 200)
    ] * 3


FORGED = b"x-remote-user: root\r\nx-remote-group: system:masters\r\nx-forwarded-for: 203.0.113.9\r\n\r\n"


async def test_nobody_but_the_gateway_says_who_asks(tmp_path: Path, at_once: bool) -> None:
    async with a_front(tmp_path, [echo], at_once=at_once) as front:
        streams = await asyncio.open_connection("127.0.0.1", front.port)
        for _ in range(2):
            await ask(*streams, GET[:-2] + FORGED)
    assert front.taken[-1] is at_once
    assert not any(b"root" in head or b"x-remote" in head or b"203.0.113.9" in head for head in front.heads)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /apis/a?watch=1 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /services/a HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.0\r\nhost: x\r\nconnection: keep-alive\r\n\r\n",
        b"PATCH / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        b"GET /a HTTP/1.1\r\nhost: x\r\nx-a: 1\r\nx-a: 2\r\n\r\n",
    ],
)
async def test_what_needs_another_look_is_not_taken(tmp_path: Path, raw: bytes) -> None:
    async with a_front(tmp_path, [echo], at_once=True) as front:
        streams = await asyncio.open_connection("127.0.0.1", front.port)
        await ask(*streams, GET)
        streams[1].write(raw)
        with anyio.fail_after(60):
            while len(front.taken) < 2:
                await anyio.lowlevel.checkpoint()
        streams[1].close()
    assert front.taken == [False, False]


async def test_a_conductor_that_breaks_off_is_told_in_words(tmp_path: Path, at_once: bool) -> None:
    async def dies(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise ConnectionError

    async with a_front(tmp_path, [echo, dies, echo], at_once=at_once) as front:
        streams = await asyncio.open_connection("127.0.0.1", front.port)
        await ask(*streams, PATCH)
        head, body = await ask(*streams, PATCH)
        assert head.startswith(b"http/1.1 503") and b"retry-after: 1" in head
        assert json.loads(body)["message"] == "the conductor broke off; try again"
        assert (await ask(*streams, PATCH))[1] == b"{}", "nothing was tried again, and the next one is carried"
        assert len(front.heads) == 3


async def test_a_client_that_leaves_takes_its_request_with_it(tmp_path: Path, at_once: bool) -> None:
    asked = anyio.Event()

    async def waits(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.readexactly(100)

    async with a_front(tmp_path, [echo, waits], at_once=at_once) as front:
        streams = await asyncio.open_connection("127.0.0.1", front.port)
        await ask(*streams, GET)
        streams[1].write(GET)
        with anyio.fail_after(60):
            await asked.wait()
            streams[1].transport.abort()
            await front.left.wait()
        assert len(front.passthrough._pool) == 0


async def test_a_long_answer_flows(tmp_path: Path, at_once: bool) -> None:
    go_on = anyio.Event()

    async def slow(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await go_on.wait()
        writer.write(b"6\r\nsecond\r\n0\r\n\r\n")

    async with a_front(tmp_path, [echo, slow], at_once=at_once) as front:
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        await ask(reader, writer, GET)
        writer.write(GET)
        with anyio.fail_after(60):
            await reader.readuntil(b"first\r\n")
            go_on.set()
            await reader.readuntil(b"second\r\n0\r\n\r\n")
        assert front.taken[-1] is at_once


async def test_who_does_not_read_is_answered_no_further(
    tmp_path: Path, at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written without waiting for the client would be kept for it without bound."""
    size, asked, held, write = 97_000, 300, [0], ClientConnection.write

    def noting(connection: ClientConnection, data: bytes) -> None:
        write(connection, data)
        held.append(connection._transport.get_write_buffer_size())

    async def large(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + head.split()[1].ljust(size))

    monkeypatch.setattr(ClientConnection, "write", noting)
    async with a_front(tmp_path, [large], at_once=at_once) as front:
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port, limit=2**16)
        for number in range(asked):
            writer.write(GET.replace(b"/b", b"/%d" % number))
            await turns(20)
        answered = -1
        while answered < len(front.heads):
            answered = len(front.heads)
            await turns(500)
        assert answered < asked and max(held) <= HIGH_WATER + 2 * size
        with anyio.fail_after(60):
            for number in range(asked):
                await reader.readuntil(b"\r\n\r\n")
                assert (await reader.readexactly(size)).rstrip() == b"/apis/%d" % number
        assert max(held) <= HIGH_WATER + 2 * size
        assert front.taken[1:] == [at_once] * (asked - 1)


async def turns(count: int) -> None:
    """So many turns of the loop."""
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


async def test_who_asks_too_often_is_left_to_the_way_that_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_limits, "_limited_source", str)  # who is on this machine is not limited otherwise
    async with a_front(tmp_path, [echo], at_once=True) as front:
        front.limits._addresses.per_second = 0.5  # a burst of one
        streams = await asyncio.open_connection("127.0.0.1", front.port)
        for _ in range(3):
            await ask(*streams, GET)
        assert front.taken == [False, True, False]
