"""Checks of request heads: only small ones, and only such as all hops of a request understand alike.

Source: RFC 9112, sections 3.2 (Host), 5.2 (obs-fold), 6.1 and 6.3 (message body length); RFC 6585 (431).
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

import orjson

MOST_HEAD_BYTES, MOST_HEADERS, LONGEST_URL = 65_536, 100, 16_384
MOST_PIPELINED = 16
MOST_IGNORED_BYTES = 2**26
"""Of bodies that were refused, on one connection."""
HEAD_SECONDS, HANDSHAKE_SECONDS = 10.0, 10.0
BODY_SECONDS, LEAST_BYTES_PER_SECOND = 10.0, 512
"""An unfinished body must go on by so much in each such time; a proven client's in three times as much."""
STALLED_SECONDS = 60.0
"""So long may a client read nothing of an answer that waits for it."""
_PER_HEADER = 4
_REASONS = {
    400: "BadRequest",
    408: "Timeout",
    414: "RequestURITooLong",
    431: "RequestHeaderFieldsTooLarge",
    503: "ServiceUnavailable",
}


class Fault(NamedTuple):
    """The reason why a head is refused."""

    code: int
    message: str


def head_fault(url: bytes, headers: Sequence[tuple[bytes, bytes]], http_version: str) -> Fault | None:
    """None for a head that is taken. Header names are in lower case."""
    if len(url) > LONGEST_URL:
        return Fault(414, f"the request target is longer than {LONGEST_URL} bytes")
    if len(headers) > MOST_HEADERS:
        return Fault(431, f"the request has more than {MOST_HEADERS} headers")
    told = dict(headers)
    if len(told) < len(headers):
        return _fault_of_doubles(url, headers, http_version)
    values = b"".join(told.values())
    if b"transfer-encoding" in told and told[b"transfer-encoding"].strip().lower() != b"chunked":
        return Fault(400, "the only transfer coding taken is chunked")
    return _fault(url, b"".join(told), values, len(told)) or _fault_of_counts(
        b"host" in told, b"content-length" in told, b"transfer-encoding" in told, http_version
    )


def _fault_of_doubles(url: bytes, headers: Sequence[tuple[bytes, bytes]], http_version: str) -> Fault | None:
    """The same for a head that says something more than once."""
    names = [name for name, _ in headers]
    values = b"".join([value for _, value in headers])
    if any(name == b"transfer-encoding" and value.strip().lower() != b"chunked" for name, value in headers):
        return Fault(400, "the only transfer coding taken is chunked")
    counts = names.count(b"host"), names.count(b"content-length"), names.count(b"transfer-encoding")
    return _fault(url, b"".join(names), values, len(names)) or _fault_of_counts(*counts, http_version)


def _fault(url: bytes, names: bytes, values: bytes, count: int) -> Fault | None:
    if b"\n" in values or b"\r" in values or b"\0" in values:
        return Fault(400, "a header value has no line breaks")
    if len(url) + len(values) + len(names) + count * _PER_HEADER > MOST_HEAD_BYTES:
        return Fault(431, f"the request head is larger than {MOST_HEAD_BYTES} bytes")
    return None


def _fault_of_counts(hosts: int, lengths: int, codings: int, http_version: str) -> Fault | None:
    if hosts > 1 or (hosts == 0 and http_version == "1.1"):
        return Fault(400, "a request has one Host header")
    if lengths > 1 or codings > 1 or (lengths and codings):
        return Fault(400, "a request says once how long its body is")
    return None


def joined_head(lines: Sequence[bytes]) -> bytes:
    """The head of an answer of these lines, each with its end. Raises ValueError where a name or a value has a line
    break or a zero (RFC 9110, 5.5): what stands behind it would be a header, or the answer to somebody else.
    """
    head = b"".join(lines)
    if not has_lines(head, len(lines)):
        raise ValueError("a header of this answer has a line break or a zero in it")
    return head


def has_lines(head: bytes, count: int) -> bool:
    """Whether what was put together of so many lines has no end of a line but theirs, and no zero."""
    return head.count(b"\n") == count == head.count(b"\r") and b"\0" not in head


def fault_answer(fault: Fault) -> bytes:
    """The whole answer to a head that is refused, as it goes over the wire: a Status, and the connection's end."""
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": fault.message,
        "reason": _REASONS.get(fault.code, "BadRequest"),
        "code": fault.code,
    }
    body = orjson.dumps(status)
    head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
    line = b"HTTP/1.1 %d %b\r\n" % (fault.code, HTTPStatus(fault.code).phrase.encode())
    return line + head + body
