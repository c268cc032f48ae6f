"""A GET that streams lines, over a WebSocket."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import orjson
import pytest

from api.asgi import Receive, Scope, Send
from api.websocket import serve_socket

App = Callable[[Scope, Receive, Send], Awaitable[None]]
BEARER = "base64url.bearer.authorization.k8s.io."
pytestmark = pytest.mark.anyio


class Client:
    """The browser's side of one socket."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self._left = anyio.Event()
        self._connected = False

    async def receive(self) -> dict[str, Any]:
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        await self._left.wait()
        return {"type": "websocket.disconnect"}

    async def send(self, message: Any) -> None:
        self.heard.append(dict(message))

    def leave(self) -> None:
        self._left.set()

    @property
    def texts(self) -> list[str]:
        return [message["text"] for message in self.heard if message["type"] == "websocket.send"]


def scope(token: str = "") -> dict[str, Any]:
    encoded = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    offered = ["aerekos.lines", *([BEARER + encoded] if token else [])]
    headers = [(b"host", b"here"), (b"cookie", b"a=b"), (b"authorization", b"Basic sneaky")]
    return {
        "type": "websocket",
        "path": "/x",
        "query_string": b"watch=true",
        "headers": headers,
        "subprotocols": offered,
    }


def streaming(*chunks: bytes, code: int = 200) -> App:
    async def app(asked: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": code, "headers": []})
        for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


async def test_only_whole_lines_leave() -> None:
    client = Client()
    await serve_socket(scope(), client.receive, client.send, streaming(b'{"a":', b"1}\n{}\n", b'{"b"', b":2}\n"))
    assert client.texts == ['{"a":1}\n{}', '{"b":2}']
    assert client.heard[0] == {"type": "websocket.accept", "subprotocol": "aerekos.lines"}
    assert client.heard[-1] == {"type": "websocket.close", "code": 1000}


async def test_the_token_of_the_subprotocol_is_the_only_proof_that_counts() -> None:
    seen: list[Scope] = []

    async def app(asked: Scope, receive: Receive, send: Send) -> None:
        seen.append(asked)
        await streaming()(asked, receive, send)

    for token in ("secret?>~", ""):
        client = Client()
        await serve_socket(scope(token), client.receive, client.send, app)
    assert (seen[0]["type"], seen[0]["method"]) == ("http", "GET")
    assert seen[0]["headers"] == [(b"host", b"here"), (b"authorization", b"Bearer secret?>~")]
    assert seen[1]["headers"] == [(b"host", b"here")]


async def test_a_refusal_is_told_as_a_line_before_the_end() -> None:
    client, status = Client(), {"kind": "Status", "code": 403, "message": "no"}
    await serve_socket(scope(), client.receive, client.send, streaming(orjson.dumps(status), code=403))
    assert orjson.loads(client.texts[0]) == {"type": "ERROR", "object": status}
    assert client.heard[-1]["code"] == 4403


async def test_clients_are_told_when_the_server_stops() -> None:
    client = Client()

    async def forever(asked: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await anyio.sleep_forever()

    task = asyncio.create_task(serve_socket(scope(), client.receive, client.send, forever))
    await anyio.wait_all_tasks_blocked()
    task.cancel()
    await task
    assert client.heard[-1] == {"type": "websocket.close", "code": 1012}


async def test_the_answer_ends_when_the_client_leaves() -> None:
    client = Client()

    async def app(asked: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()
        client.leave()
        assert (await receive())["type"] == "http.disconnect"

    with anyio.fail_after(60):
        await serve_socket(scope(), client.receive, client.send, app)
    assert client.heard[-1]["type"] == "websocket.accept"
