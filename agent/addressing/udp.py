"""Datagrams to and from other machines. The only socket of announcements."""

from __future__ import annotations

from contextlib import suppress
from socket import AF_INET, SO_BROADCAST, SO_REUSEADDR, SOCK_DGRAM, SOL_SOCKET, socket
from typing import Protocol

import anyio

from agent.addressing.announcement import LARGEST_PACKET


class DatagramTransport(Protocol):
    """`UdpTransport` is the real one."""

    def send(self, packet: bytes, address: str) -> None:
        """Send a datagram; it may get lost."""
        ...

    async def receive(self) -> bytes:
        """The next one, cut off when it is too large to be ours."""
        ...

    def close(self) -> None: ...


class UdpTransport:
    """UDP on one port, the same one everywhere. Raises OSError when it is taken."""

    def __init__(self, port: int) -> None:
        self._port, self._socket = port, socket(AF_INET, SOCK_DGRAM)
        try:
            self._socket.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            self._socket.setsockopt(SOL_SOCKET, SO_BROADCAST, 1)
            self._socket.setblocking(False)
            self._socket.bind(("", port))
        except OSError:
            self._socket.close()
            raise

    def send(self, packet: bytes, address: str) -> None:
        """No route is no error: there may be one when it is said again."""
        with suppress(OSError):
            self._socket.sendto(packet, (address, self._port))

    async def receive(self) -> bytes:
        while True:
            with suppress(OSError):  # an answer to a packet of ours that found nobody
                return self._socket.recv(LARGEST_PACKET + 1)
            await anyio.wait_readable(self._socket)

    def close(self) -> None:
        self._socket.close()
