"""Raw ASGI: its types, and what every handler does with a request and an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, quote

import orjson

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

_LONGEST_NOTE = 1280
_HEADER_MAP = "aerekos.header_map"
_AUDIT_HEADERS = {
    name: b"x-aerekos-audit-" + name.encode()
    for name in ("action", "resource", "caller", "decision", "reason", "decided")
}


def note_action(
    scope: Scope,
    action: str = "",
    resource: str = "",
    *,
    caller: str = "",
    forbidden: bool = False,
    reason: str = "",
    decided: Mapping[str, Any] | None = None,
) -> None:
    """Tell the conductor's audit log what this request did (`kms:Decrypt`), to what (an ARN), and for whom.

    Of what is forbidden also the reason in words, and what policies decided (`described_decision`). May be called
    again as more is known; what is empty leaves what was noted. The gateway takes it off the answer.
    """
    noted: dict[str, str] = scope.setdefault("state", {}).setdefault("audit", {})
    if action:
        noted["action"] = action
    if resource:
        noted["resource"] = resource
    if caller:
        noted["caller"] = caller
    if forbidden:
        noted["decision"] = "forbid"
    if reason:
        noted["reason"] = reason
    if decided:
        noted["decided"] = orjson.dumps(decided).decode()


def audit_headers(state: MutableMapping[str, Any]) -> list[tuple[bytes, bytes]]:
    """What was noted, as headers. Quoted, because names hold whatever people named their things."""
    noted: dict[str, str] = state.get("audit") or {}
    return [(_AUDIT_HEADERS[name], _quoted(value[:_LONGEST_NOTE])) for name, value in noted.items()]


@lru_cache(1024)
def _quoted(value: str) -> bytes:
    """Remembered: few actions, resources and callers make up most requests."""
    return quote(value, safe=":/*").encode()


def header_map(scope: Scope) -> dict[bytes, bytes]:
    """The first header of each (lower case) name. Made once for a request, as long as it keeps its headers."""
    headers = scope["headers"]
    known: tuple[Any, dict[bytes, bytes]] | None = scope.get(_HEADER_MAP)
    if known is None or known[0] is not headers:
        known = scope[_HEADER_MAP] = (headers, dict(reversed(headers)))
    return known[1]


def header_of(scope: Scope, name: str) -> str | None:
    """The first header of that (lower case) name."""
    value = header_map(scope).get(name.encode())
    return None if value is None else value.decode("latin-1")


def media_type(content_type: str | None) -> str:
    """`application/json` of `Application/JSON; charset=utf-8`; empty for none."""
    return (content_type or "").partition(";")[0].strip().lower()


def replaying(body: bytes, receive: Receive, *, more: bool = False) -> Receive:
    """`receive` as it was before `body` was read: that as one message, then whatever else the connection tells.
    `more`: whether the body goes on there.
    """
    left = [body]

    async def again() -> Message:
        return {"type": "http.request", "body": left.pop(), "more_body": more} if left else await receive()

    return again


async def read_body(receive: Receive, limit: int) -> bytes | None:
    """The whole body, or None when it is longer than `limit` bytes."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client left")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            return None
        more = bool(message.get("more_body"))
    return b"".join(parts)


async def send_json(send: Send, status: int, body: Any) -> None:
    """A JSON answer."""
    await send_bytes(send, status, orjson.dumps(body), "application/json")


async def send_bytes(
    send: Send, status: int, body: bytes, content_type: str, headers: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """A whole answer at once."""
    own = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    await send_whole(send, status, [*own, *headers], body)


async def send_whole(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """An answer whose body is at hand: in one piece where `send` has a `send_whole`, else in two messages."""
    whole = getattr(send, "send_whole", None)
    if whole is not None:
        await whole(status, headers, body)
        return
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def read_params(query: bytes) -> dict[str, str]:
    """The query string as a dict; a repeated parameter keeps its last value."""
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {}


def is_streaming(query: bytes) -> bool:
    """Whether the answer may never end: a watch, or logs that are followed. However the name was written."""
    if not query:
        return False
    params = read_params(query)
    return any(params.get(name, "").lower() not in ("", "0", "f", "false") for name in ("watch", "follow"))
