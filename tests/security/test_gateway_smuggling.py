"""No request is seen by two services, nor by one it was not for, however its framing is written; and what clients and
instances do not read stays where it is. The gateway's server and chain are the real ones, on real sockets; what the
instances take for requests is said by another parser (h11).
"""

from __future__ import annotations

import asyncio
import gc
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.lowlevel
import h11
import pytest
from fuzz.heads import BENDS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.api.components import ADMIN, House, make_house

from api.chain import RequestChain
from api.gateway.handlers import gateway_handlers
from services.sdk.edge.acceptor import listen
from services.sdk.edge.client_connection import ClientConnection
from services.sdk.edge.client_request import ClientRequest
from services.sdk.edge.connections import ConnectionLimits
from services.sdk.edge.http_server import AT_ONCE, HttpServer

pytestmark = pytest.mark.anyio
MEBIBYTE = 2**20
MOST_HELD = 24 * MEBIBYTE
"""What may be under way between two sockets whose far ends stand still: mostly the kernel's, on both sides."""


@dataclass
class Instance:
    """Answers 200 to everything, and keeps what it was asked. A request that is none by h11 is kept as `broken`."""

    asked: list[bytes] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    open: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=2**20)
        self.open += 1
        try:
            while data := await reader.read(65_536):
                parser.receive_data(data)
                self._answer(parser, writer)
        except h11.RemoteProtocolError as wrong:
            self.broken.append(str(wrong))
        except OSError:
            pass
        finally:
            self.open -= 1
            writer.close()

    def _answer(self, parser: h11.Connection, writer: asyncio.StreamWriter) -> None:
        while (event := parser.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Request):
                self.asked.append(event.target)
            elif isinstance(event, h11.EndOfMessage):
                writer.write(parser.send(h11.Response(status_code=200, headers=[("content-length", "0")])) or b"")
                writer.write(parser.send(h11.EndOfMessage()) or b"")
                if parser.our_state is not h11.DONE:
                    writer.close()
                    return
                parser.start_next_cycle()


@dataclass
class Front:
    """A gateway with two services, `left` and `right`, and a caller who may ask both."""

    house: House
    server: HttpServer
    left: Instance
    right: Instance

    @property
    def port(self) -> int:
        return int(self.server.sockets[0].getsockname()[1])

    def head(self, line: bytes, *more: bytes) -> bytes:
        token = self.house.bearer(ADMIN)["authorization"].encode()
        return b"\r\n".join([line, b"Host: cloud.test", b"Authorization: " + token, *more]) + b"\r\n\r\n"

    async def tell(self, sent: bytes) -> bytes:
        """Everything that is answered to those bytes, until the gateway ends the connection or is asked no more."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        told = b""
        with suppress(OSError):
            writer.write(sent)
            with anyio.move_on_after(0.25 if sent else 0):
                while chunk := await reader.read(65_536):
                    told += chunk
        writer.close()
        return told


@asynccontextmanager
async def a_front(folder: Path) -> AsyncIterator[Front]:
    house = await make_house(folder)
    left, right = Instance(), Instance()
    servers = [await asyncio.start_server(each.serve, "127.0.0.1", 0) for each in (left, right)]
    for name, each in zip(("left", "right"), servers, strict=True):
        await house.add_service(name, f"127.0.0.1:{each.sockets[0].getsockname()[1]}")
    chain = RequestChain(
        gateway_handlers(house.gateway, house.authenticator),
        authenticator=house.authenticator,
        guard=house.guard,
        metrics=house.metrics,
        audit=house.audit,
        otherwise=nobody,
    )
    server = HttpServer(chain, await listen("127.0.0.1", 0, 64), None, ConnectionLimits())
    server.start()
    yield Front(house, server, left, right)
    await server.stop(AT_ONCE)
    for each in servers:
        each.close()
    await house.close()


async def nobody(scope: object, receive: object, send: Callable[..., object]) -> None:
    """What is no gateway's: the conductor would answer."""
    await send({"type": "http.response.start", "status": 404, "headers": []})  # type: ignore[misc]
    await send({"type": "http.response.body", "body": b""})  # type: ignore[misc]


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with a_front(tmp_path) as made:
        yield made


HIDDEN = b"GET /services/right/hidden HTTP/1.1\r\nHost: cloud.test\r\nX: "
LENGTH, CHUNKED = b"Content-Length: %d" % len(HIDDEN), b"Transfer-Encoding: chunked"
AS_CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
SMUGGLED = {
    "a body that looks like a request": ((LENGTH,), HIDDEN),
    "a chunk that looks like a request": ((CHUNKED,), AS_CHUNK),
    "length and chunks, the end first": ((LENGTH, CHUNKED), b"0\r\n\r\n" + HIDDEN),
    "chunks and length, the end first": ((CHUNKED, LENGTH), b"0\r\n\r\n" + HIDDEN),
    "a short length before chunks": ((b"Content-Length: 4", CHUNKED), AS_CHUNK),
    "two lengths": ((b"Content-Length: 0", LENGTH), HIDDEN),
    "two lengths in one": ((b"Content-Length: 0, %d" % len(HIDDEN),), HIDDEN),
    "the same length twice": ((LENGTH, LENGTH), HIDDEN),
    "a length with a sign": ((b"Content-Length: +%d" % len(HIDDEN),), HIDDEN),
    "a negative length": ((b"Content-Length: -1",), HIDDEN),
    "a length in hex": ((b"Content-Length: 0x%x" % len(HIDDEN),), HIDDEN),
    "a length with a space within": ((b"Content-Length: 0 1",), HIDDEN),
    "an empty length": ((b"Content-Length:",), HIDDEN),
    "a length that overflows": ((b"Content-Length: 18446744073709551616",), HIDDEN),
    "chunked in capitals": ((b"Transfer-Encoding: CHUNKED",), AS_CHUNK),
    "chunked after a tab": ((b"Transfer-Encoding:\tchunked",), AS_CHUNK),
    "chunked after a vertical tab": ((b"Transfer-Encoding:\x0bchunked",), b"0\r\n\r\n" + HIDDEN),
    "chunked before a comma": ((b"Transfer-Encoding: chunked,",), b"0\r\n\r\n" + HIDDEN),
    "chunked after identity": ((b"Transfer-Encoding: identity, chunked",), AS_CHUNK),
    "chunked twice": ((CHUNKED, CHUNKED), AS_CHUNK),
    "chunked in quotes": ((b'Transfer-Encoding: "chunked"',), b"0\r\n\r\n" + HIDDEN),
    "another coding": ((b"Transfer-Encoding: xchunked",), b"0\r\n\r\n" + HIDDEN),
    "a space before the colon": ((b"Transfer-Encoding : chunked", LENGTH), b"0\r\n\r\n" + HIDDEN),
    "a folded coding": ((b"Transfer-Encoding:\r\n chunked",), b"0\r\n\r\n" + HIDDEN),
    "a folded length": ((b"X: y\r\n " + LENGTH,), HIDDEN),
    "a bare carriage return in a header": ((b"X: y\rContent-Length: 0",), HIDDEN),
    "a bare line feed before a header": ((b"X: y\nTransfer-Encoding: chunked",), b"0\r\n\r\n" + HIDDEN),
    "a zero in a name": ((b"Transfer-Enc\0oding: chunked",), b"0\r\n\r\n" + HIDDEN),
    "an underscore for a hyphen": ((b"Transfer_Encoding: chunked",), b""),
    "the length is for this hop only": ((b"Connection: content-length", LENGTH), HIDDEN),
    "the coding is for this hop only": ((b"Connection: transfer-encoding", CHUNKED), AS_CHUNK),
    "the host is for this hop only": ((b"Connection: host", LENGTH), HIDDEN),
    "an extension of a chunk with a line feed": ((CHUNKED,), b"0;a\nb\r\n\r\n" + HIDDEN),
    "a chunk that ends with a line feed": ((CHUNKED,), b"1\r\na\n0\r\n\r\n" + HIDDEN),
    "a chunk whose size has a sign": ((CHUNKED,), b"+1\r\na\r\n0\r\n\r\n"),
    "a chunk whose size has an underscore": ((CHUNKED,), b"1_0\r\n" + b"a" * 16 + b"\r\n0\r\n\r\n"),
    "a chunk that is longer than it says": ((CHUNKED,), b"1\r\nabc\r\n0\r\n\r\n"),
    "trailers that say a length": ((CHUNKED,), b"0\r\n" + LENGTH + b"\r\n\r\n"),
    "an upgrade with a body": ((b"Connection: upgrade", b"Upgrade: websocket", LENGTH), HIDDEN),
    "an upgrade to what is none": ((b"Connection: upgrade", b"Upgrade: h2c"), HIDDEN),
    "somebody else's identity": ((b"X-Aerekos-Identity: a.b.c", LENGTH), HIDDEN),
    "expects to go on": ((b"Expect: 100-continue", LENGTH), HIDDEN),
}
LINES = {
    "a whole URL of another host": b"GET http://evil.test/services/right/hidden HTTP/1.1",
    "a whole URL with a query for a host": b"GET http://cloud.test?/services/right/hidden HTTP/1.1",
    "an authority": b"CONNECT cloud.test:443 HTTP/1.1",
    "an asterisk": b"OPTIONS * HTTP/1.1",
    "a space in the target": b"GET /services/left/first /services/right/hidden HTTP/1.1",
    "a tab in the target": b"GET /services/left/first\t/services/right/hidden HTTP/1.1",
    "a fragment": b"GET /services/left/first#/services/right/hidden HTTP/1.1",
    "a version there is not": b"GET /services/right/hidden HTTP/9.9",
    "no version": b"GET /services/right/hidden",
}


def codes(told: bytes) -> list[int]:
    """The codes of all answers; bodies of these have no status lines."""
    return [int(part[:3]) for part in told.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("what", SMUGGLED)
async def test_what_is_in_a_body_is_no_request(front: Front, what: str) -> None:
    lines, body = SMUGGLED[what]
    first = front.head(b"POST /services/left/first HTTP/1.1", *lines) + body
    told = await front.tell(first + front.head(b"GET /services/left/after HTTP/1.1"))
    assert front.right.asked == []
    assert front.left.broken == []
    assert sorted(set(front.left.asked)) == sorted(front.left.asked), "twice"
    assert set(front.left.asked) <= {b"/first", b"/after"}
    assert all(code < 500 for code in codes(told)), told[:300]


@pytest.mark.parametrize("what", LINES)
async def test_a_target_that_could_be_two_is_refused(front: Front, what: str) -> None:
    told = await front.tell(front.head(LINES[what]) + front.head(b"GET /services/left/after HTTP/1.1"))
    assert codes(told)[:1] in ([400], [404], [405]), told[:300]
    assert front.right.asked == []
    assert set(front.left.asked) <= {b"/after"}


async def test_a_whole_url_of_this_host_is_its_path(front: Front) -> None:
    assert codes(await front.tell(front.head(b"GET https://cloud.test/services/left/first HTTP/1.1"))) == [200]
    assert front.left.asked == [b"/first"]


async def test_a_request_of_http_1_0_goes_on_as_a_whole_one_of_http_1_1(front: Front) -> None:
    token = front.house.bearer(ADMIN)["authorization"].encode()
    told = await front.tell(b"GET /services/left/first HTTP/1.0\r\nAuthorization: %b\r\n\r\n" % token)
    assert (codes(told), front.left.asked, front.left.broken) == ([200], [b"/first"], [])


async def test_requests_in_one_go_are_answered_in_their_order_by_who_they_are_for(front: Front) -> None:
    names = [random.Random(7).choice((b"left", b"right")) for _ in range(12)]
    sent = [front.head(b"GET /services/%b/%d HTTP/1.1" % (name, n)) for n, name in enumerate(names)]
    assert codes(await front.tell(b"".join(sent))) == [200] * 12
    assert front.left.asked == [b"/%d" % n for n, name in enumerate(names) if name == b"left"]
    assert front.right.asked == [b"/%d" % n for n, name in enumerate(names) if name == b"right"]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_whatever_becomes_of_a_request_it_is_nobody_else_s(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """Good requests to `left`, each bent in one to three places, on one connection each; `make fuzz` sends more."""

    async def run() -> None:
        rng = random.Random(seed)
        async with a_front(tmp_path_factory.mktemp("bent")) as front:
            sent = [bent_for_left(front, rng, number) for number in range(16)]
            told = await asyncio.gather(*map(front.tell, sent))
            assert front.right.asked == []
            assert front.left.broken == []
            assert sorted(set(front.left.asked)) == sorted(front.left.asked), "twice"
            assert not [code for each in told for code in codes(each) if code >= 500]

    asyncio.run(run())


def bent_for_left(front: Front, rng: random.Random, number: int) -> bytes:
    lines, body = rng.choice([*SMUGGLED.values()])
    data = front.head(b"POST /services/left/%d HTTP/1.1" % number, *lines) + body
    for _ in range(rng.randrange(1, 4)):
        data = rng.choice(BENDS)(rng, data) or b"\r\n"
    return data.replace(b"/services/right", b"/services/other").replace(b"hidden", b"%d-hidden" % number)


async def test_half_closed_connections_are_forgotten(front: Front) -> None:
    """Some after half a head, some in a body, some after a whole request."""
    whole = front.head(b"GET /services/left/first HTTP/1.1")
    half = front.head(b"POST /services/left/first HTTP/1.1", b"Content-Length: 1000") + b"abc"
    sockets = []
    for sent in [whole[:40], half, whole] * 20:
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(sent)
        writer.write_eof()
        sockets.append((reader, writer))
    for reader, writer in sockets:
        with anyio.fail_after(30):
            told = await reader.read()
        assert not [code for code in codes(told) if code >= 500], told[:200]
        writer.close()
    with anyio.fail_after(30):
        while front.server.clients or len(front.server.places):  # noqa: ASYNC110 (nobody tells)
            await anyio.sleep(0.01)
    assert front.right.asked == []


def standing_still(port: int) -> socket.socket:
    """A connection whose kernel takes little."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
    made.connect(("127.0.0.1", port))
    made.setblocking(False)
    return made


async def test_who_does_not_read_an_answer_holds_its_instance_back(front: Front) -> None:
    written, stalled = 0, asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n")
        with suppress(OSError):
            while written < 2 * MOST_HELD:
                writer.write(b"x" * 65_536)
                written += 65_536
                with anyio.move_on_after(2) as patience:
                    await writer.drain()
                if patience.cancelled_caught:
                    break
        stalled.set()
        writer.close()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    await front.house.add_service("endless", f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    client = standing_still(front.port)
    await asyncio.get_running_loop().sock_sendall(client, front.head(b"GET /services/endless/ HTTP/1.1"))
    with anyio.fail_after(60):
        await stalled.wait()
    client.close()
    server.close()
    assert written < MOST_HELD


async def test_an_instance_that_does_not_read_holds_its_client_back(front: Front) -> None:
    left = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await left.wait()
        writer.close()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1024)
    await front.house.add_service("deaf", f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    client, loop, sent = standing_still(front.port), asyncio.get_running_loop(), 0
    await loop.sock_sendall(client, front.head(b"PUT /services/deaf/ HTTP/1.1", b"Content-Length: 10000000000"))
    while sent < 2 * MOST_HELD:
        with anyio.move_on_after(2) as patience:
            await loop.sock_sendall(client, b"x" * 65_536)
        if patience.cancelled_caught:
            break
        sent += 65_536
    client.close()
    left.set()
    server.close()
    assert sent < MOST_HELD


async def test_requests_and_connections_leave_nothing_to_the_collector(front: Front) -> None:
    """A crowd that came and went would stay in memory until it looks, which is seldom."""
    good = front.head(b"GET /services/left/first HTTP/1.1") + front.head(b"POST /services/left/2 HTTP/1.1", LENGTH)
    await front.tell(good + HIDDEN)
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            assert codes(await front.tell(good + HIDDEN)) == [200, 200]
        with anyio.fail_after(30):
            while front.server.clients:  # noqa: ASYNC110 (nobody tells)
                await anyio.sleep(0.01)
        await anyio.lowlevel.checkpoint()
        left = [
            type(each).__name__ for each in gc.get_objects() if isinstance(each, ClientConnection | ClientRequest)
        ]
        assert left == []
    finally:
        gc.enable()
