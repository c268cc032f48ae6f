"""An answer in one piece is what uvicorn makes of its two messages, to the byte; what is not plain is left to it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import pytest
from served import served

from api.asgi import Receive, Scope, Send, send_in_two
from api.whole_answers import write_whole

pytestmark = pytest.mark.anyio
Headers = list[tuple[bytes, bytes]]
PLAIN: dict[str, Any] = {"http": "httptools", "date_header": False, "access_log": False}


class App:
    """Answers /whole in one piece where it can, everything else in two; notes which it was."""

    def __init__(self, code: int, headers: Headers, body: bytes) -> None:
        self._answer = code, headers, body
        self.written: list[bool] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        code, headers, body = self._answer
        if scope["path"] == "/whole":
            self.written.append(write_whole(send, code, headers, body))
            if self.written[-1]:
                return
        await send_in_two(send, code, headers, body)


def plain(body: bytes) -> Headers:
    return [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]


async def asked(address: str, request: bytes, answers: int = 1) -> bytes:
    """What comes back on one connection until it ends, or is quiet after so many answers."""
    host, _, port = address.partition(":")
    got = b""
    async with await anyio.connect_tcp(host, int(port)) as stream:
        await stream.send(request)
        with suppress(anyio.EndOfStream), anyio.fail_after(30):
            while got.count(b"HTTP/1.1 ") < answers or not got.endswith((b"}", b"Error")):
                got += await stream.receive()
    return got


async def both(app: App, method: str = "GET", version: str = "1.1") -> tuple[bytes, bytes]:
    """The answer in one piece, and the same in two."""
    found = []
    async with served(app, **PLAIN) as address:
        for path in ("/whole", "/two"):
            end = "connection: close\r\n" if method == "HEAD" else ""
            found.append(await asked(address, f"{method} {path} HTTP/{version}\r\nhost: x\r\n{end}\r\n".encode()))
    return found[0], found[1]


@pytest.mark.parametrize("size", [0, 1, 700, 200_000])
async def test_it_is_what_uvicorn_would_have_written(size: int) -> None:
    body = b'{"text":"%b"}' % (b"x" * size)
    app = App(200, [*plain(body), (b"x-request-id", b"a-1"), (b"warning", b'299 - "\t\xe4"')], body)
    whole, two = await both(app)
    assert whole == two
    assert whole.startswith(b"HTTP/1.1 200 OK\r\n") and whole.endswith(b"\r\n\r\n" + body)
    assert app.written == [True]


@pytest.mark.parametrize(
    ("method", "version", "more"),
    [
        ("HEAD", "1.1", []),
        ("GET", "1.0", []),
        ("GET", "1.1", [(b"connection", b"close")]),
    ],
)
async def test_what_is_not_plain_is_left_to_uvicorn(method: str, version: str, more: Headers) -> None:
    app = App(200, [*plain(b"{}"), *more], b"{}")
    whole, two = await both(app, method, version)
    assert whole == two
    assert b"connection: close\r\n" in whole
    assert app.written == [False]


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r", b"\0", b"\x7f"])
async def test_no_value_ends_its_line(end: bytes) -> None:
    app = App(200, [*plain(b"{}"), (b"x-name", b"a" + end + b"set-cookie: b=c")], b"{}")
    whole, two = await both(app)
    assert app.written == [False]
    assert whole == two == b""  # uvicorn ends the connection


async def test_requests_without_a_pause_are_answered_in_order() -> None:
    app = App(200, plain(b"{}"), b"{}")
    request = b"GET /whole HTTP/1.1\r\nhost: x\r\n\r\n"
    async with served(app, **PLAIN) as address:
        got = await asked(address, request * 3, answers=3)
    assert got.count(b"HTTP/1.1 200 OK\r\n") == got.count(b"\r\n\r\n{}") == 3
    assert app.written == [True] * 3


async def test_a_send_of_somebody_else_is_left_alone() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    assert not write_whole(send, 200, plain(b"{}"), b"{}")
    assert sent == []
