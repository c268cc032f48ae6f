"""Sockets with a path: only who may write to the path can connect. Source: unix(7)."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

_LONGEST_PATH = 107


def listen_on(path: Path, backlog: int = 2048) -> socket.socket:
    """A socket at that path, for its owner alone. What an earlier process left there goes. Raises OSError."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setblocking(False)
    try:
        os.fchmod(listener.fileno(), 0o600)  # before it has a path: the mode of its file, on Linux
        listener.bind(short_path(path))
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


@cache
def short_path(path: Path) -> str:
    """Another name where its own is longer than a socket may have (107 bytes, unix(7)). Its folder stays open."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        return str(path)
    folder = os.open(path.parent, os.O_PATH | os.O_CLOEXEC)
    return f"/proc/self/fd/{folder}/{path.name}"
