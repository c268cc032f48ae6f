"""An idle connection ends when it was idle so long, whatever came before; one at work does not."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from api.asgi import Receive, Response, Scope, Send, send_answer
from controller.kit.virtual import VirtualLoop
from services.sdk.edge.client_connection import KEEP_ALIVE_SECONDS as KEEP_ALIVE
from services.sdk.edge.client_connection import ClientConnection

pytestmark = pytest.mark.anyio
REQUEST = b"GET /quick HTTP/1.1\r\nhost: x\r\n\r\n"
SLOW = REQUEST.replace(b"quick", b"slow")
SLOW_SECONDS = 3.5 * KEEP_ALIVE


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return ("asyncio", {"loop_factory": VirtualLoop})


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and when it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.closed_at = b"", 0.0

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed_at > 0

    def close(self) -> None:
        self.closed_at = self.closed_at or anyio.current_time()

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/slow":
        await anyio.sleep(SLOW_SECONDS)
    await send_answer(send, Response(200, b"{}"))


def connected() -> tuple[ClientConnection, Wire]:
    connection, wire = ClientConnection(app, lambda: b"date: now\r\n"), Wire()
    connection.connection_made(wire)
    return connection, wire


async def test_it_ends_so_long_after_the_last_answer() -> None:
    protocol, wire = connected()
    for _ in range(7):
        protocol.data_received(REQUEST)
        await anyio.sleep(KEEP_ALIVE * 0.7)
        assert not wire.is_closing()
    asked_last = anyio.current_time() - KEEP_ALIVE * 0.7
    await anyio.sleep(KEEP_ALIVE + 1)
    assert wire.closed_at == pytest.approx(asked_last + KEEP_ALIVE, abs=1.5)
    assert wire.written.count(b"200 OK") == 7


async def test_what_comes_on_one_connection_is_no_other_ones() -> None:
    """All read into one place, in turn."""
    (one, first), (other, second) = connected(), connected()
    for part, protocol in ((SLOW[:20], one), (REQUEST[:9], other), (SLOW[20:], one), (REQUEST[9:], other)):
        place = protocol.get_buffer(-1)
        place[: len(part)] = part
        protocol.buffer_updated(len(part))
    await anyio.sleep(1)
    assert (first.written.count(b"200 OK"), second.written.count(b"200 OK")) == (0, 1)
    await anyio.sleep(SLOW_SECONDS)
    assert first.written.count(b"200 OK") == 1


async def test_one_at_work_is_not_idle() -> None:
    protocol, wire = connected()
    protocol.data_received(REQUEST)
    await anyio.sleep(1)
    protocol.data_received(SLOW)
    answered = anyio.current_time() + SLOW_SECONDS
    await anyio.sleep(SLOW_SECONDS + KEEP_ALIVE - 1)
    assert wire.written.count(b"200 OK") == 2 and not wire.is_closing()
    await anyio.sleep(2)
    assert wire.closed_at == pytest.approx(answered + KEEP_ALIVE, abs=1.5)


async def test_half_a_head_is_no_idleness() -> None:
    """How long a head may take is another limit's matter."""
    protocol, wire = connected()
    protocol.data_received(REQUEST)
    await anyio.sleep(KEEP_ALIVE - 1)
    protocol.data_received(REQUEST[:20])
    await anyio.sleep(2)
    assert not wire.is_closing()
    protocol.data_received(REQUEST[20:])
    await anyio.sleep(1)
    assert wire.written.count(b"200 OK") == 2


async def test_requests_without_a_pause_are_all_answered_first() -> None:
    protocol, wire = connected()
    protocol.data_received(REQUEST * 5)
    await anyio.sleep(KEEP_ALIVE - 1)
    assert wire.written.count(b"200 OK") == 5 and not wire.is_closing()
    await anyio.sleep(2)
    assert wire.is_closing()
