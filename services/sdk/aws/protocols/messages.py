"""Requests and responses as a codec sees them: no connection, no framework.

Header names are in lower case. A body is whole bytes, or a stream where the model says so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

Body = bytes | AsyncIterator[bytes]


class HttpRequest(NamedTuple):
    """`path` and `query` as they came, still percent-encoded; headers sent twice are joined by a comma."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Body = b""


class HttpResponse(NamedTuple):
    """What goes back. `body` is a stream only for an operation whose output has one."""

    status: int
    headers: list[tuple[str, str]]
    body: Body = b""


def whole_body(request: HttpRequest) -> bytes:
    """The body of a request that has no stream. Raises TypeError for one that was not read: our mistake."""
    if not isinstance(request.body, bytes):
        raise TypeError("the body must be read before it is parsed")
    return request.body
