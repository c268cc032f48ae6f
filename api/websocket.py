"""WebSockets for any GET that streams lines: `wss://host/apis/.../services?watch=true`.

Browsers open at most six connections to one host, but hundreds of WebSockets; Kubernetes serves its watches this way
too. The token comes as Kubernetes has it, as the subprotocol `base64url.bearer.authorization.k8s.io.<base64url>`.
One message carries one or more whole lines. A refusal arrives as a line of type ERROR, then the socket is closed with
4000 + the HTTP code: a browser cannot read the answer to a refused upgrade.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import anyio
import orjson

from api.asgi import App, Message, Receive, Scope, Send

LINES = "aerekos.lines"
_BEARER = "base64url.bearer.authorization.k8s.io."
GOING_AWAY = 1012  # "service restart" in the IANA registry: come back
_KEPT = (b"host", b"x-request-id", b"traceparent")
_MOST_REFUSAL_BYTES = 2**16


async def serve_socket(scope: Scope, receive: Receive, send: Send, app: App) -> None:
    """Asks `app` what the socket's path would answer to GET, and passes its body on until either side ends."""
    if (await receive())["type"] != "websocket.connect":
        return
    answer = _Lines(send)
    offered = scope.get("subprotocols") or []
    await send({"type": "websocket.accept", "subprotocol": LINES if LINES in offered else None})
    try:
        async with anyio.create_task_group() as group:
            left = anyio.Event()
            group.start_soon(_until_gone, receive, left)
            await app(_as_get(scope), _WatchRequest(left), answer)
            if not left.is_set():
                await answer.close()
            group.cancel_scope.cancel()
    except anyio.get_cancelled_exc_class():
        # The server stops. Not raised again: it would be logged as a failure of this socket.
        with anyio.CancelScope(shield=True), anyio.move_on_after(1):
            await send({"type": "websocket.close", "code": GOING_AWAY})


def bearer_of(scope: Scope) -> bytes:
    """The token that came as a subprotocol; empty without one."""
    offered = scope.get("subprotocols") or []
    return next((_decoded(each) for each in offered if each.startswith(_BEARER)), b"")


def _as_get(scope: Scope) -> Scope:
    headers = [(name, value) for name, value in scope["headers"] if name in _KEPT]
    if token := bearer_of(scope):
        headers.append((b"authorization", b"Bearer " + token))
    # Without the client's certificate: a browser shows it to every page that asks, and proves nobody's wish.
    plain = {"type": "http", "method": "GET", "scheme": "https", "headers": headers, "extensions": {}}
    return {**scope, **plain}


def _decoded(protocol: str) -> bytes:
    text = protocol.removeprefix(_BEARER)
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return b""


class _WatchRequest:
    """The request's side: an empty body, then silence until the client leaves."""

    def __init__(self, left: anyio.Event) -> None:
        self._left, self._begun = left, False

    async def __call__(self) -> Message:
        if not self._begun:
            self._begun = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}


class _Lines:
    """The answer's side: whole lines leave as text messages; a refusal is kept for the end."""

    def __init__(self, send: Send) -> None:
        self._send, self._code, self._rest = send, 0, b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._code = message["status"]
            return
        self._rest += message.get("body", b"")
        if self._code >= 300:
            self._rest = self._rest[:_MOST_REFUSAL_BYTES]
            return
        lines, newline, self._rest = self._rest.rpartition(b"\n")
        if newline:
            await self._send({"type": "websocket.send", "text": lines.decode("utf-8", "replace")})

    async def close(self) -> None:
        """The end of the answer is the end of the socket."""
        if self._code >= 300:
            line = orjson.dumps({"type": "ERROR", "object": _status(self._rest, self._code)})
            await self._send({"type": "websocket.send", "text": line.decode()})
        await self._send({"type": "websocket.close", "code": 1000 if self._code < 300 else 4000 + self._code})


def _status(body: bytes, code: int) -> dict[str, Any]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        told = None
    return told if isinstance(told, dict) else {"kind": "Status", "status": "Failure", "code": code}


async def _until_gone(receive: Receive, left: anyio.Event) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass
    left.set()
