"""The caller at the other end of a local TCP connection: the user that owns the connecting socket.

TCP has no SO_PEERCRED, but the kernel's table of connections names each socket's owner. Whoever borrows this worker's
rights at a port of 127.0.0.1 must be root, which the Docker daemon is, the daemon's own user, or this agent's.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from ipaddress import IPv6Address
from pathlib import Path

import anyio

End = tuple[str, int]
Admits = Callable[[End, End], Awaitable[bool]]
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
# Only of a connection that stands: what is left of a closed one belongs to nobody, and is shown as root's.
_ESTABLISHED = "01"


class LocalCallers:
    """`docker`: URL of the daemon, whose socket's owner is one of those admitted."""

    def __init__(self, docker: str | None = None) -> None:
        self._users = frozenset({0, os.geteuid(), *_owner_of(docker)})

    async def admits(self, caller: End, called: End) -> bool:
        """Whether that connection, as the caller sees it, is one of theirs. Who cannot be identified is not."""
        owner = await anyio.to_thread.run_sync(_owner, caller, called)
        return owner in self._users


def _owner(caller: End, called: End) -> int | None:
    for table in _TABLES:
        with suppress(OSError):
            found = owner_in(table.read_text(encoding="ascii").splitlines(), caller, called)
            if found is not None:
                return found
    return None


def owner_in(table: Iterable[str], caller: End, called: End) -> int | None:
    """The uid in a table of proc(5): number, local and remote end, state, queues, timer, retransmissions, uid."""
    local, remote = _written(caller), _written(called)
    for line in table:
        told = line.split()
        if len(told) > 7 and told[1] in local and told[2] in remote and told[3] == _ESTABLISHED:
            return int(told[7])
    return None


def _written(end: End) -> tuple[str, str]:
    """As the kernel writes it: words of four bytes in its own order. Also as an IPv4 address within IPv6."""
    address, port = end
    plain = socket.inet_aton(address) if ":" not in address else IPv6Address(address).packed
    mapped = plain if len(plain) == 16 else b"\0" * 10 + b"\xff\xff" + plain
    return _words(plain, port), _words(mapped, port)


def _words(packed: bytes, port: int) -> str:
    parts = (packed[at : at + 4] for at in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(each, sys.byteorder):08X}" for each in parts) + f":{port:04X}"


def _owner_of(docker: str | None) -> tuple[int, ...]:
    if docker is None or not docker.startswith("unix://"):
        return ()
    with suppress(OSError):
        return (Path(docker.removeprefix("unix://")).stat().st_uid,)
    return ()
