"""Connections to instances: which answers end them, which leave them for the next request, and how many there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from contracts.api.conftest import Instance, Serve, Served, an_instance, answering
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.gateway.upstream import (
    AnswerTimeout,
    BrokenOff,
    ConnectFailed,
    Endpoint,
    PoolFull,
    Ticker,
    UpstreamConnection,
    UpstreamError,
    UpstreamPool,
)
from services.sdk.edge.body_stream import HIGH_WATER

pytestmark = pytest.mark.anyio
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


def says(raw: bytes, *, closes: bool = False) -> Serve:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        if closes:
            writer.close()

    return serve


def endpoint_of(instance: Instance) -> Endpoint:
    host, _, port = instance.address.rpartition(":")
    return Endpoint(host, int(port))


@asynccontextmanager
async def a_pool(most: int = 8, **seconds: float) -> AsyncIterator[UpstreamPool]:
    pool = UpstreamPool(most, **seconds)
    try:
        yield pool
    finally:
        pool.close()


async def ask(
    pool: UpstreamPool, at: Endpoint, method: bytes = b"GET", patience: float = 60
) -> tuple[int, bytes, UpstreamConnection]:
    """Status and body of one exchange, and the connection it took. Raises UpstreamError."""
    connection = await pool.take(at, None)
    try:
        connection.send_head(method, GET.replace(b"GET", method), patience)
        await connection.head()
        return connection.status, b"".join([part async for part in connection.body]), connection
    finally:
        pool.give_back(at, connection)


@pytest.mark.parametrize(
    ("raw", "status", "body", "again"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi", True),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx: y\r\n\r\n", 200, b"hi", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", 304, b"", True),
        (
            b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            200,
            b"hi",
            True,
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", 404, b"", True),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi", False),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", 200, b"hi", False),
    ],
)
async def test_what_follows_an_answer_on_its_connection(raw: bytes, status: int, body: bytes, again: bool) -> None:
    async with an_instance(says(raw)) as web, a_pool() as pool:
        first = await ask(pool, endpoint_of(web))
        second = await ask(pool, endpoint_of(web))
    assert (first[:2], second[:2]) == ((status, body), (status, body))
    assert (first[2] is second[2]) == again


async def test_an_answer_may_end_with_its_connection() -> None:
    async with an_instance(says(b"HTTP/1.1 200 OK\r\n\r\nall there is", closes=True)) as web, a_pool() as pool:
        status, body, connection = await ask(pool, endpoint_of(web))
        assert (status, body, connection.reusable, len(pool)) == (200, b"all there is", False, 0)


async def test_the_answer_to_head_has_the_length_of_a_body_that_does_not_come() -> None:
    async with an_instance(says(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")) as web, a_pool() as pool:
        first = await ask(pool, endpoint_of(web), b"HEAD")
        second = await ask(pool, endpoint_of(web), b"HEAD")
    assert first[:2] == second[:2] == (200, b"")
    assert first[2] is second[2]


async def test_words_nobody_asked_for_end_the_connection() -> None:
    """Else they would be the answer to the next request, which may be somebody else's."""
    two = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
    async with an_instance(says(two + two.replace(b"hi", b"ho"))) as web, a_pool() as pool:
        first = await ask(pool, endpoint_of(web))
        second = await ask(pool, endpoint_of(web))
    assert (first[1], second[1], len(web.heads)) == (b"hi", b"hi", 2)
    assert first[2] is not second[2]


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi!",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nhi",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 300 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZ\r\nhi",
        b"",
    ],
)
async def test_what_is_no_whole_answer_is_none(raw: bytes) -> None:
    async with an_instance(says(raw, closes=True)) as web, a_pool() as pool:
        with anyio.fail_after(60), pytest.raises(BrokenOff):
            await ask(pool, endpoint_of(web))
        assert len(pool) == 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(min_size=1, max_size=200), max_size=8))
def test_whatever_an_instance_says_ends_in_an_answer_or_an_error(parts: list[bytes]) -> None:
    async def run() -> None:
        connection = UpstreamConnection(asyncio.get_running_loop(), Ticker(60))
        connection.connection_made(Nothing())
        connection.send_head(b"GET", GET, 60)
        for part in parts:
            connection.data_received(part)
        connection.connection_lost(None)
        try:
            await connection.head()
            async for _ in connection.body:
                pass
        except UpstreamError:
            assert not connection.reusable

    asyncio.run(run())


class Nothing(asyncio.Transport):
    """A transport into nowhere."""

    def write(self, data: bytes | bytearray | memoryview) -> None: ...

    def abort(self) -> None: ...

    def pause_reading(self) -> None: ...

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...


async def test_an_answer_waits_in_the_kernel_until_somebody_reads_it() -> None:
    size = 64 * HIGH_WATER

    async def large(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + bytes(size))

    async with an_instance(large) as web, a_pool() as pool:
        at = endpoint_of(web)
        connection = await pool.take(at, None)
        connection.send_head(b"GET", GET, 60)
        await connection.head()
        got = 0
        async for part in connection.body:
            assert connection.body._buffered <= 2 * HIGH_WATER
            got += len(part)
            await asyncio.sleep(0)
        pool.give_back(at, connection)
    assert got == size


async def test_silence_has_an_end() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with an_instance(silent) as web, a_pool() as pool:
        with pytest.raises(AnswerTimeout):
            await ask(pool, endpoint_of(web), patience=0.05)
        assert len(pool) == 0


async def test_there_are_no_more_connections_than_may_be() -> None:
    async with (
        an_instance(answering()) as web,
        an_instance(answering()) as other,
        a_pool(2, wait_seconds=0.05) as pool,
    ):
        at = endpoint_of(web)
        held = [await pool.take(at, None), await pool.take(at, None)]
        with pytest.raises(PoolFull):
            await pool.take(at, None)
        waiting = asyncio.ensure_future(pool.take(at, None))
        await asyncio.sleep(0)
        pool.give_back(at, held.pop())  # it was never used, and goes
        held.append(await waiting)
        assert len(pool) == 2
        for each in held:
            each.send_head(b"GET", GET, 60)
            await each.head()
            _ = [part async for part in each.body]
            pool.give_back(at, each)
        elsewhere = await pool.take(endpoint_of(other), None)
        assert len(pool) == 2, "one without work made room"
        pool.give_back(endpoint_of(other), elsewhere)


async def test_idle_connections_go_after_a_while() -> None:
    async with an_instance(answering()) as web, a_pool(idle_seconds=0.02) as pool:
        await ask(pool, endpoint_of(web))
        assert len(pool) == 1
        with anyio.fail_after(60):
            await web.left.wait()
        assert len(pool) == 0


async def test_nobody_there_is_said_in_time() -> None:
    async with an_instance(answering()) as gone:
        pass
    async with a_pool() as pool:
        with pytest.raises(ConnectFailed):
            await pool.take(endpoint_of(gone), None)
        assert len(pool) == 0


async def test_an_answer_before_the_request_was_read_is_passed_on(served: Served) -> None:
    """The rest of the body must not be taken for the next request: that connection is not used again."""

    async def refuses(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")

    async with an_instance(refuses) as web:
        await served.house.add_service("web", web.address)
        reader, writer = await served.connect()
        writer.write(served.head("POST", "/services/web/", "content-length: 100") + b"GET /smuggled HTTP/1.1\r\n")
        with anyio.fail_after(60):
            assert b" 413 " in await reader.readuntil(b"\r\n\r\n")
            await web.left.wait()
        writer.close()
    assert len(web.heads) == 1
