"""Answers whose body is at hand, written in one piece.

uvicorn's own `send` takes head and body one after the other, and looks at each header by itself. What is not plain
(HEAD, a client that is slow or gone, the end of a connection) is left to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from api.asgi import Send, send_in_two

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

# Known by name: a gateway has no uvicorn, which is megabytes.
_UVICORN = ("uvicorn.protocols.http.httptools_impl", "RequestResponseCycle")
_STATUS_LINES = {each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode() for each in HTTPStatus}

_NOT_PLAIN = frozenset({b"connection", b"transfer-encoding"})
_BODILESS = frozenset({204, 304})
# What uvicorn refuses in a header's value. Lines are ended here, so a value with an end of its own is none.
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


async def send_whole(send: Send, code: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Send the whole answer by the shortest way there is. `headers`: as `write_whole`."""
    whole = getattr(send, "send_whole", None)
    if whole is not None:
        await whole(code, headers, body)
    elif not write_whole(send, code, headers, body):
        await send_in_two(send, code, headers, body)


def write_whole(send: Send, code: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bool:
    """Write the whole answer of `send`'s request. False, and nothing is written: send it as ASGI has it.

    `headers`: names in lower case, the body's length among them.
    """
    cycle = getattr(send, "__self__", None)
    if cycle is None or (type(cycle).__module__, type(cycle).__name__) != _UVICORN or not _is_plain(cycle, code):
        return False
    told = (*cycle.default_headers, *headers)
    if not _NOT_PLAIN.isdisjoint(dict(told)) or _CONTROL.search(b"".join([value for _, value in told])):
        return False
    lines = [_STATUS_LINES[code], *[b"%b: %b\r\n" % each for each in told]]
    cycle.response_started, cycle.waiting_for_100_continue = True, False
    cycle.transport.write(b"".join((*lines, b"\r\n", body)))
    cycle.response_complete = True
    cycle.message_event.set()
    cycle.on_response()
    return True


def _is_plain(cycle: RequestResponseCycle, code: int) -> bool:
    """Whether nothing but a head and a body is to be written, and nobody waited for."""
    begun = cycle.response_started or cycle.disconnected
    ends = not cycle.keep_alive or cycle.access_log
    bodiless = code in _BODILESS or cycle.scope["method"] == "HEAD"
    return not (begun or ends or bodiless or cycle.flow.write_paused)
