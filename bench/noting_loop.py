"""An event loop whose connections are never written to the kernel: what is written is noted, and answered at once.

For measuring what a server's own code costs: no TLS, no system calls, no client that shares the processor. Protocols
are the real ones, made by the real servers; only their transports are these.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import uvloop


class NotingTransport:
    """`answer`: called with what was written."""

    def __init__(self, protocol: Any, answer: Callable[[NotingTransport, bytes], object]) -> None:
        self.protocol, self._answer = protocol, answer
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written = data
        self._answer(self, data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 50_000) if name == "peername" else default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    def resume_reading(self) -> None:
        """Nothing comes by itself."""

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close


class NotingLoop(uvloop.Loop):
    """`upstream`: a part of the paths of sockets whose connections are noted, and the whole answer each request gets
    there. Connections that are accepted are noted where `accepts` says so, and stand in `accepted`.
    """

    upstream: tuple[str, bytes] = ("", b"")
    accepts = False

    def __init__(self) -> None:
        super().__init__()
        self.accepted: list[NotingTransport] = []
        self._taken: list[socket.socket] = []
        self.answers = 0

    async def connect_accepted_socket(self, factory: Any, taken: Any, **options: Any) -> Any:
        if not self.accepts:
            return await super().connect_accepted_socket(factory, taken, **options)
        self._taken.append(taken)
        transport = self._noted(factory, self._count)
        self.accepted.append(transport)
        return transport, transport.protocol

    async def create_unix_connection(self, factory: Any, path: Any = None, **options: Any) -> Any:
        if not self.upstream[0] or self.upstream[0] not in str(path):
            return await super().create_unix_connection(factory, path, **options)
        transport = self._noted(factory, self._answer_soon)
        return transport, transport.protocol

    def _noted(self, factory: Any, answer: Callable[[NotingTransport, bytes], object]) -> NotingTransport:
        transport = NotingTransport(factory(), answer)
        transport.protocol.connection_made(transport)
        return transport

    def _count(self, transport: NotingTransport, data: bytes) -> None:
        self.answers += 1

    def _answer_soon(self, transport: NotingTransport, data: bytes) -> None:
        self.call_soon(transport.protocol.data_received, self.upstream[1])
