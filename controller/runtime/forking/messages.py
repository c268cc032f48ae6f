"""Messages between the conductor and its fork server: a length, then JSON; descriptors travel with the length."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from typing import Any

from controller.kit.listening import MOST_INHERITED

_LENGTH = struct.Struct("=I")
MOST_BYTES = 4 * 2**20
MOST_DESCRIPTORS = 2 + MOST_INHERITED


def send(control: socket.socket, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Raises OSError, ValueError for a message that is too long."""
    body = json.dumps(message).encode()
    if len(body) > MOST_BYTES:
        raise ValueError(f"what is said to the fork server is {len(body)} bytes long; {MOST_BYTES} at most")
    socket.send_fds(control, [_LENGTH.pack(len(body))], list(descriptors))
    control.sendall(body)


def receive(control: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The next message and its descriptors, which close on exec. Raises EOFError when the other side is gone,
    OSError.
    """
    head, descriptors, _, _ = socket.recv_fds(control, _LENGTH.size, MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
    (length,) = _LENGTH.unpack(head + _read(control, _LENGTH.size - len(head), begun=bool(head)))
    message: dict[str, Any] = json.loads(_read(control, length))
    return message, descriptors


def _read(control: socket.socket, length: int, *, begun: bool = True) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = control.recv(length - len(parts))
        if not part:
            raise EOFError("the other side of the fork server's socket is gone" if begun else "nothing more is said")
        parts += part
    return bytes(parts)
