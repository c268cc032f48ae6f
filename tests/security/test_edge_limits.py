"""What strangers do to a port before anybody knows them: too much, too slowly, or in two ways at once.

The edge is the real one, on a real socket; times are the edge's own constants, made short.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.kit.listening import CannotListen
from services.sdk.edge import acceptor, client_connection
from services.sdk.edge.acceptor import Acceptor, listen
from services.sdk.edge.connections import EXTENSION, ConnectionLimits, Connections, limits_for, prove, source_of
from services.sdk.edge.descriptors import MOST_CONNECTIONS, divide
from services.sdk.edge.heads import LONGEST_URL, MOST_HEAD_BYTES, MOST_HEADERS, head_fault, joined_head
from services.sdk.edge.http_server import AT_ONCE, HttpServer

pytestmark = pytest.mark.anyio
HELLO = b"GET / HTTP/1.1\r\nHost: cloud.test\r\n"


async def refusing(scope: Any, receive: Any, send: Any) -> None:
    """Answers before it has read the body, and asks for no other request."""
    headers = [(b"content-length", b"2"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": b"no"})


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with how many bytes came; `/known` is asked by somebody known, `/big` answers much."""
    if scope["path"] == "/known":
        prove(scope)
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(1000 if scope["path"] == "/big" else 0):
        await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})
    await send({"type": "http.response.body", "body": str(size).encode()})


def shorten(monkeypatch: pytest.MonkeyPatch, name: str, seconds: float) -> None:
    monkeypatch.setattr(client_connection, name, seconds)


@asynccontextmanager
async def served(
    limits: ConnectionLimits = ConnectionLimits(),  # noqa: B008
    app: Any = app,
) -> AsyncIterator[HttpServer]:
    server = HttpServer(app, await listen("127.0.0.1", 0, 2048), None, limits)
    server.start()
    try:
        yield server
    finally:
        await server.stop(AT_ONCE)


def port_of(server: HttpServer) -> int:
    return int(server.sockets[0].getsockname()[1])


async def connect(server: HttpServer) -> anyio.abc.SocketStream:
    return await anyio.connect_tcp("127.0.0.1", port_of(server))


async def read_all(stream: anyio.abc.SocketStream) -> bytes:
    """Until the server ends the connection."""
    told = b""
    with anyio.fail_after(30):
        while True:
            try:
                told += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return told


async def ask(server: HttpServer, sent: bytes) -> bytes:
    """Everything that is answered until the server ends the connection."""
    async with await connect(server) as stream:
        await stream.send(sent)
        return await read_all(stream)


async def eventually(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not holds():  # noqa: ASYNC110 (nobody tells)
            await anyio.sleep(0.01)


CLOSE = b"Connection: close\r\n\r\n"
BAD_HEADS = {
    "a target that is too long": (414, b"GET /" + b"a" * LONGEST_URL + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
    "too many headers": (431, HELLO + b"A: b\r\n" * MOST_HEADERS + b"\r\n"),
    "a head that is too big": (431, HELLO + b"A: " + b"b" * MOST_HEAD_BYTES + b"\r\n\r\n"),
    "a head that is too big and never ends": (431, HELLO + b"A: " + b"b" * MOST_HEAD_BYTES),
    "two Host headers": (400, HELLO + b"Host: other\r\n\r\n"),
    "no Host header": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two lengths": (400, HELLO + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
    "two lengths in one": (400, HELLO + b"Content-Length: 1, 1\r\n\r\na"),
    "a length and chunks": (400, HELLO + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "another coding": (400, HELLO + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "a coding after chunked": (400, HELLO + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    "a folded header": (400, HELLO + b"A: b\r\n c\r\n\r\n"),
    "a space before the colon": (400, HELLO + b"A : b\r\n\r\n"),
    "a bad chunk": (400, HELLO + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n"),
    "a chunk of negative size": (400, HELLO + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n"),
    "a chunk too big to count": (400, HELLO + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n"),
    "a bare line feed in a head": (400, b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    "a zero in a header": (400, HELLO + b"A: b\0c\r\n\r\n"),
    "noise": (400, b"\x16\x03\x01\x02\x00\x01"),
}


@pytest.mark.parametrize("what", BAD_HEADS)
async def test_a_head_that_is_no_head_is_refused_at_the_edge(what: str) -> None:
    code, sent = BAD_HEADS[what]
    async with served() as server:
        told = await ask(server, sent)
        assert told.startswith(b"HTTP/1.1 %d " % code), told[:200]
        assert (await ask(server, HELLO + CLOSE)).startswith(b"HTTP/1.1 200")  # and others are served


async def test_what_is_within_the_limits_is_served() -> None:
    async with served() as server:
        headers = b"A: b\r\n" * (MOST_HEADERS - 3) + b"Long: " + b"x" * (MOST_HEAD_BYTES // 2) + b"\r\n"
        assert (await ask(server, HELLO + headers + CLOSE)).startswith(b"HTTP/1.1 200")
        body = HELLO + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        assert b"\r\n3\r\n0\r\n" in await ask(server, body)


async def test_of_requests_in_one_go_few_are_kept_and_all_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    most, begun = 0, client_connection.ClientConnection._begin_answering

    def noted(connection: client_connection.ClientConnection) -> None:
        nonlocal most
        most = max(most, len(connection._waiting))
        begun(connection)

    monkeypatch.setattr(client_connection.ClientConnection, "_begin_answering", noted)
    bodies = b"".join(HELLO + b"Content-Length: %d\r\n\r\n%b" % (size, b"x" * size) for size in range(200))
    async with served() as server:
        told = await ask(server, (HELLO + b"\r\n") * 1000 + bodies + HELLO + b"Connection: close\r\n\r\n")
    chunks = [part.partition(b"\r\n\r\n")[2].split(b"\r\n") for part in told.split(b"HTTP/1.1 200 ")[1:]]
    assert [int(each[1]) for each in chunks] == [0] * 1000 + list(range(200)) + [0]
    assert most <= client_connection.MOST_PIPELINED


@pytest.mark.parametrize("sent", [b"", b"GET / HT", HELLO, HELLO + b"A: b", b"\r\n"])
async def test_a_head_that_does_not_come_in_time_is_the_last(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, "HEAD_SECONDS", 0.2)
    async with served() as server:
        async with await connect(server) as stream:
            if sent:
                await stream.send(sent)
            told = await read_all(stream)
        assert told == b"" or told.startswith(b"HTTP/1.1 408 ")
        await eventually(lambda: server.places is not None and len(server.places) == 0)


async def test_a_head_that_trickles_is_not_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, "HEAD_SECONDS", 0.3)
    async with served() as server, await connect(server) as stream:
        with pytest.raises((anyio.BrokenResourceError, ConnectionError)), anyio.fail_after(30):
            for byte in HELLO * 100:
                await stream.send(bytes([byte]))
                await anyio.sleep(0.02)


async def test_a_second_head_has_no_more_time_than_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, "HEAD_SECONDS", 0.2)
    async with served() as server, await connect(server) as stream:
        await stream.send(HELLO + b"\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 200")
        await stream.send(b"GET /")
        assert b"408" in await read_all(stream)


async def test_a_body_must_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, "BODY_SECONDS", 0.2)
    async with served() as server:
        told = await ask(server, HELLO + b"Content-Length: 1000000\r\n\r\nabc")
        assert told.startswith(b"HTTP/1.1 408 ")
        told = await ask(server, HELLO + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        assert told.startswith(b"HTTP/1.1 408 ")


async def test_a_slow_but_honest_body_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, "BODY_SECONDS", 0.2)
    async with served() as server, await connect(server) as stream:
        await stream.send(HELLO + b"Content-Length: 4096\r\nConnection: close\r\n\r\n")
        for _ in range(8):
            await anyio.sleep(0.05)
            await stream.send(b"x" * 512)
        assert b"\r\n4096\r\n" in await read_all(stream)


@pytest.mark.parametrize("size", [1, 20 << 20, client_connection.MOST_IGNORED_BYTES - (1 << 20)])
async def test_an_answer_before_the_body_was_read_arrives(size: int) -> None:
    """Though the client sends on, and the connection ends with it; what comes behind is not answered."""
    async with served(app=refusing) as server, await connect(server) as stream:
        await stream.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size >> 20):
            await stream.send(b"x" * (1 << 20))
        await stream.send(b"x" * (size & 0xFFFFF) + HELLO + b"\r\n")
        told = await read_all(stream)
        assert told.count(b"HTTP/1.1") == 1 and told.startswith(b"HTTP/1.1 403") and told.endswith(b"no")


async def test_of_a_body_without_end_not_all_is_ignored() -> None:
    async with served(app=refusing) as server, await connect(server) as stream:
        await stream.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
        sent = 0
        with pytest.raises(anyio.BrokenResourceError):
            while sent < 4 * client_connection.MOST_IGNORED_BYTES:
                await stream.send(b"x" * (1 << 20))
                sent += 1 << 20


async def test_an_ignored_body_must_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, "BODY_SECONDS", 0.2)
    async with served(app=refusing) as server:
        told = await ask(server, b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx")
        assert told.count(b"HTTP/1.1") == 1 and told.startswith(b"HTTP/1.1 403")


async def test_who_waits_to_be_asked_for_a_body_is_not_waited_for() -> None:
    async with served(app=refusing) as server:
        told = await ask(server, b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
        assert told.startswith(b"HTTP/1.1 403") and told.endswith(b"no")


async def test_an_answer_nobody_reads_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, "STALLED_SECONDS", 0.2)
    async with served() as server, await connect(server) as stream:
        await stream.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        await eventually(lambda: server.places is not None and len(server.places) == 1)
        await eventually(lambda: server.places is not None and len(server.places) == 0)


SMALL = ConnectionLimits(total=60, per_address=60, unproven=50, unproven_per_address=40)


async def test_half_heads_do_not_keep_others_out() -> None:
    """520 connections that say half a word, and more than fit: who asks properly is answered, again and again."""
    async with served(SMALL) as server, anyio.create_task_group() as group:
        known = await connect(server)
        await known.send(b"GET /known HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await known.receive()).startswith(b"HTTP/1.1 200")

        async def hang() -> None:
            async with await connect(server) as stream:
                await stream.send(HELLO)
                await read_all(stream)

        for _ in range(520):
            group.start_soon(hang)
        for _ in range(5):
            assert (await ask(server, HELLO + CLOSE)).startswith(b"HTTP/1.1 200")
        assert server.places is not None and server.places.unproven <= SMALL.unproven
        await known.send(b"GET /known HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await known.receive()).startswith(b"HTTP/1.1 200")  # who has proven who they are stays
        await known.aclose()
        await eventually(lambda: server.places is not None and server.places.dropped > 400)
        group.cancel_scope.cancel()


async def test_places_are_given_back() -> None:
    async with served(SMALL) as server:
        for _ in range(3 * SMALL.total):
            assert (await ask(server, HELLO + CLOSE)).startswith(b"HTTP/1.1 200")
        await eventually(lambda: server.places is not None and len(server.places) == server.places.unproven == 0)


async def test_accepting_survives_a_lack_of_descriptors() -> None:
    """EMFILE three times, a client that vanished, and then all is well."""
    loop = asyncio.get_running_loop()
    left = [errno.EMFILE, errno.ENFILE, errno.ECONNABORTED, errno.EMFILE]
    real = loop.sock_accept

    async def failing(listener: socket.socket) -> Any:
        if left:
            raise OSError(left.pop(), "no")
        return await real(listener)

    loop.sock_accept = failing  # type: ignore[method-assign]
    try:
        async with served() as server:
            assert (await ask(server, HELLO + CLOSE)).startswith(b"HTTP/1.1 200")
            assert not left
    finally:
        del loop.sock_accept  # type: ignore[method-assign]


async def test_a_port_that_is_taken_is_said() -> None:
    [listener] = await listen("127.0.0.1", 0, 1)
    with pytest.raises(CannotListen, match="cannot listen"):
        await listen("127.0.0.1", listener.getsockname()[1], 1)
    listener.close()


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["come", "prove", "leave"])), max_size=120))
def test_no_limit_is_ever_passed(steps: list[tuple[str, str]]) -> None:
    limits = ConnectionLimits(total=8, per_address=6, unproven=5, unproven_per_address=3)

    async def play() -> None:
        clock = Clock()
        house = Connections(limits, clock.now)
        living: dict[str, list[Any]] = {}
        for address, step in steps:
            clock.time += 1
            among = living.setdefault(address, [])
            if step == "come" and (made := house.admit(address)) is not None:
                made.drop = lambda made=made, among=among: among.remove(made)
                among.append(made)
            elif step == "prove" and among:
                among[0].prove()
            elif step == "leave" and among:
                among.pop(0).release()
            held = [each for group in living.values() for each in group]
            assert len(house) == len(held) <= limits.total
            assert house.unproven == sum(not each.proven for each in held) <= limits.unproven
            for group in living.values():
                assert len(group) <= limits.per_address
                assert sum(not each.proven for each in group) <= limits.unproven_per_address

    asyncio.run(play())


async def test_an_address_of_ipv6_is_its_network() -> None:
    assert source_of("2001:db8::1") == source_of("2001:db8::ffff:1") != source_of("2001:db8:0:1::1")
    assert source_of("::ffff:10.0.0.1") == "10.0.0.1" == source_of("10.0.0.1")


@given(st.integers(8, 2**20))
def test_some_descriptors_are_always_kept(limit: int) -> None:
    budget = divide(limit)
    assert 0 < budget.connections <= MOST_CONNECTIONS and budget.upstream > 0
    assert budget.connections + budget.upstream <= max(limit - min(256, limit // 3), 6)
    assert limits_for(budget.connections).total == budget.connections


@given(st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=20)), max_size=8))
def test_any_headers_are_judged(headers: list[tuple[bytes, bytes]]) -> None:
    head_fault(b"/", headers, "1.1")


async def test_who_is_known_is_told_the_edge_by_the_scope() -> None:
    house = Connections(SMALL, lambda: 0.0)
    made = house.admit("a")
    assert made is not None and house.unproven == 1
    prove({"extensions": {EXTENSION: made}})
    prove({})
    assert made.proven and house.unproven == 0


def test_the_edge_is_what_a_gateway_can_take_along() -> None:
    assert {Acceptor.__module__, acceptor.__name__} == {"services.sdk.edge.acceptor"}


@given(st.binary(max_size=20), st.sampled_from([b"\r\n", b"\n", b"\r", b"\0"]), st.binary(max_size=20), st.booleans())
def test_no_header_of_an_answer_brings_another_one(before: bytes, end: bytes, after: bytes, named: bool) -> None:
    """What is behind a line break would be a header, or the answer to the next request of this connection."""
    name, value = (before + end + after, b"x") if named else (b"location", before + end + after)
    lines = [b"HTTP/1.1 301 Moved Permanently\r\n", b"%b: %b\r\n" % (name, value), b"\r\n"]
    with pytest.raises(ValueError, match="line break"):
        joined_head(lines)


async def test_an_answer_that_would_be_two_breaks_the_connection() -> None:
    async def two(scope: Any, receive: Any, send: Any) -> None:
        places = b"/x\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK"
        with suppress(ValueError):
            await send({"type": "http.response.start", "status": 301, "headers": [(b"location", places)]})
        await send({"type": "http.response.body", "body": b"forged"})

    async with served(app=two) as server:
        assert await ask(server, HELLO + b"\r\n") == b""
