"""Answers on the raw ASGI wire. The hot path sends bytes the store already has, so no framework stands between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

import anyio
import orjson

from api.edge.bodies import too_large
from crds.errors import ApiError, BadRequest

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
AtOnce = Callable[[bytes], bool]
"""Writes the next part of a body that has begun, now. False, and nothing is written: the client is slow, or gone."""
AT_ONCE = "aerekos.at_once"
"""Where a scope's extensions have the `AtOnce` of a watch, if its server can do that."""
JSON = b"application/json"
CLIENT_LEFT = 499
"""What is noted of a request whose client went before it was answered; nginx's code, no client sees it."""


class Response(NamedTuple):
    """A complete response."""

    code: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


def json_answer(code: int, body: Any, *, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Response:
    """`body` as JSON."""
    return Response(code, orjson.dumps(body), headers=headers)


def error_answer(error: ApiError) -> Response:
    """A Kubernetes Status, with Retry-After where trying again helps."""
    headers: list[tuple[bytes, bytes]] = []
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if error.code == 401:
        headers.append((b"www-authenticate", b'Bearer realm="aerekos"'))
    return json_answer(error.code, error.status(), headers=tuple(headers))


async def send_answer(send: Send, answer: Response, *extra: tuple[bytes, bytes]) -> None:
    """The whole response: in one piece where `send` has a `send_whole`, else in two messages."""
    headers = [
        (b"content-type", answer.content_type),
        (b"content-length", str(len(answer.body)).encode()),
        *answer.headers,
        *extra,
    ]
    whole = getattr(send, "send_whole", None)
    if whole is not None:
        await whole(answer.code, headers, answer.body)
        return
    await send_in_two(send, answer.code, headers, answer.body)


async def send_in_two(send: Send, code: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """A whole response in the two messages that every ASGI server knows."""
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def cancel_when_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    """Wait until the client leaves, after its request was read, and cancel what is done for it."""
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


BROKEN_OFF = BadRequest("the request broke off before its end")


async def read_body(receive: Receive, *, limit: int) -> bytes:
    """The request's body. Raises TooLarge once more than `limit` bytes have come, BadRequest when it breaks off."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise BROKEN_OFF
    body: bytes = message.get("body", b"")
    if not message.get("more_body") and len(body) <= limit:
        return body
    chunks, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BROKEN_OFF  # half a document may well be a whole one
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            break
    if size > limit:
        raise too_large(limit)
    return b"".join(chunks)
