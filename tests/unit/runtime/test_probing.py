"""HTTP questions at real sockets: on which connection they are asked, and what counts as an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketStream

from controller.runtime.probes import NetworkProber
from crds.probes import HttpGet, Probe

pytestmark = pytest.mark.anyio

WELL = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Answer = Callable[[int], bytes]
PROBE = Probe(http_get=HttpGet(), timeout_seconds=0.5)


class Server:
    """Answers the n-th question of a connection with `answer(n)`; empty: hangs up; b"-": says nothing."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.questions, self.connections = answer, 0, 0
        self.address = ""

    async def serve(self, stream: SocketStream) -> None:
        self.connections += 1
        asked = 0
        async with stream:
            try:
                while await stream.receive():
                    asked += 1
                    self.questions += 1
                    answer = self.answer(asked)
                    if answer == b"-":
                        await anyio.sleep_forever()
                    if not answer:
                        return
                    for piece in (answer[:20], answer[20:]):
                        await stream.send(piece or b"")
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Server]:
    server = Server(answer)
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as group,
    ):
        server.address = f"127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
        group.start_soon(listener.serve, server.serve)
        yield server
        group.cancel_scope.cancel()


async def test_ten_questions_share_a_connection_and_the_eleventh_comes_on_a_new_one() -> None:
    prober = NetworkProber()
    async with serving(lambda _: WELL) as server:
        for _ in range(11):
            assert await prober.ask(PROBE, server.address, {}) is None
        assert (server.questions, server.connections) == (11, 2)
        await prober.forget(PROBE, server.address)
        assert await prober.ask(PROBE, server.address, {}) is None
        assert server.connections == 3


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        WELL + b"HTTP/1.1 500 left over",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n",
    ],
)
async def test_what_cannot_be_asked_again_is_left(answer: bytes) -> None:
    prober = NetworkProber()
    async with serving(lambda _: answer) as server:
        for _ in range(3):
            assert await prober.ask(PROBE, server.address, {}) is None
        assert server.connections == 3


async def test_a_connection_closed_meanwhile_is_no_failure() -> None:
    prober = NetworkProber()
    async with serving(lambda asked: WELL if asked == 1 else b"") as server:
        for _ in range(3):
            assert await prober.ask(PROBE, server.address, {}) is None
        assert server.connections == 3


async def test_who_hangs_on_a_known_connection_fails_and_the_connection_is_left() -> None:
    prober = NetworkProber()
    async with serving(lambda asked: WELL if asked == 1 else b"-") as server:
        assert await prober.ask(PROBE, server.address, {}) is None
        assert await prober.ask(PROBE, server.address, {}) == "no answer within 0.5 s"
        assert await prober.ask(PROBE, server.address, {}) is None
        assert server.connections == 2


async def test_bad_answers_and_none_are_told() -> None:
    prober = NetworkProber()
    async with serving(lambda _: b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n") as server:
        assert await prober.ask(PROBE, server.address, {}) == "GET / answered 503"
        gone = server.address
    assert "onnect" in str(await prober.ask(PROBE, gone, {}))
