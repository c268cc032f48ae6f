"""A load client that costs little: raw HTTP/1.1 over TLS on keep-alive connections, one request at a time on each.

It writes prepared bytes and reads no more of an answer than its code and length, so that on a small machine it is
the server that is measured. A library's client would need more CPU than the server it asks.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

Requests = Callable[[], bytes]
_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Refused(Exception):
    """The server answered something else than 2xx, or hung up."""


class Connection(asyncio.Protocol):
    """One connection: `ask` writes a request and comes back when its answer is complete."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._buffer, self._needed, self._head_only = bytearray(), 0, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(Refused(f"the server hung up: {exc}"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._needed:
            head = self._buffer.find(_END)
            if head < 0:
                return
            self._needed = head + len(_END) + (0 if self._head_only else _length(bytes(self._buffer[:head])))
        if len(self._buffer) >= self._needed and self._answer and not self._answer.done():
            whole, self._buffer, self._needed = bytes(self._buffer), bytearray(), 0
            self._answer.set_result(whole)

    async def ask(self, request: bytes) -> bytes:
        """The whole answer. Raises Refused unless its code is 2xx."""
        assert self._transport is not None
        self._answer, self._head_only = asyncio.get_running_loop().create_future(), request.startswith(b"HEAD ")
        self._transport.write(request)
        answer = await self._answer
        if answer[9:10] != b"2":
            raise Refused(answer.decode("latin-1"))
        return answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _length(head: bytes) -> int:
    lowered = head.lower()
    place = lowered.find(_LENGTH)
    return int(lowered[place + len(_LENGTH) :].partition(b"\r\n")[0]) if place >= 0 else 0


async def connect(port: int, ca: Path) -> Connection:
    """A connection to this machine, its certificate checked."""
    return await open_connection(port, ssl.create_default_context(cafile=str(ca)))


async def open_connection(port: int, tls: ssl.SSLContext | None) -> Connection:
    """A connection to this machine; without `tls` in the clear."""
    name = "localhost" if tls else None
    _, made = await asyncio.get_running_loop().create_connection(
        Connection, "127.0.0.1", port, ssl=tls, server_hostname=name
    )
    return made


async def rate(port: int, ca: Path, requests: Sequence[Requests], seconds: float) -> float:
    """Answers per second, with one connection for each of `requests`, each asking as fast as it is answered."""
    return await driven([await connect(port, ca) for _ in requests], requests, seconds)


async def driven(connections: Sequence[Connection], requests: Sequence[Requests], seconds: float) -> float:
    """Answers per second; each connection asks its own requests as fast as they are answered, and is closed then."""
    for each, make in zip(connections, requests, strict=True):
        await each.ask(make())  # connections and caches are warm before the clock starts
    began = time.perf_counter()
    deadline = began + seconds

    async def drive(connection: Connection, make: Requests) -> int:
        done = 0
        while time.perf_counter() < deadline:
            await connection.ask(make())
            done += 1
        return done

    counts = await asyncio.gather(*(drive(*pair) for pair in zip(connections, requests, strict=True)))
    taken = time.perf_counter() - began
    for each in connections:
        each.close()
    return sum(counts) / taken


def request(method: str, path: str, token: str, body: bytes = b"", content_type: str = "application/json") -> bytes:
    """The bytes of one request."""
    lines = [f"{method} {path} HTTP/1.1", "host: localhost"]
    if token:
        lines.append(f"authorization: Bearer {token}")
    if body:
        lines += [f"content-type: {content_type}", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body
