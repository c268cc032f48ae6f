"""Addresses that a host setting means, and sockets that listen there. The reason of a refusal is told apart: an
unknown host, an address of another machine, a port that is taken.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from enum import StrEnum

LOOPBACK = "localhost"
FIRST_INHERITED = 3
"""The number of the first socket a process was handed, as systemd has it. Source: sd_listen_fds(3)."""
MOST_INHERITED = 16
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 (compared, and meant where somebody asks for it)
_NO_SUCH_FAMILY = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPFNOSUPPORT, errno.EPROTONOSUPPORT})


class Why(StrEnum):
    """What is wrong with a place one cannot listen at."""

    UNKNOWN_HOST = "unknown host"
    NOT_OURS = "not an address of this machine"
    TAKEN = "taken"
    PRIVILEGED = "needs root"
    OTHER = "other"


class CannotListen(Exception):
    """The address cannot be listened on. The message says which, and why; `why` says it to programs."""

    def __init__(self, message: str, why: Why = Why.OTHER) -> None:
        super().__init__(message)
        self.why = why


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """One address to listen at. `optional`: where the machine does not have it, nothing is missed."""

    family: socket.AddressFamily
    address: str
    port: int
    scope: int = 0
    optional: bool = False

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if self.family == socket.AF_INET6 else f"{self.address}:{self.port}"

    @property
    def bound_to(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """As `socket.bind` wants it."""
        if self.family == socket.AF_INET6:
            return self.address, self.port, 0, self.scope
        return self.address, self.port


def listen_addresses(host: str, port: int) -> list[ListenAddress]:
    """`localhost`: the loopback of IPv4, and of IPv6 where there is one. `::`: every address of both. Any other
    address or name: itself. Raises CannotListen for a name nobody knows.
    """
    four, six = socket.AF_INET, socket.AF_INET6
    if host == LOOPBACK:  # not asked of a resolver, which may know of one family only, or of an address elsewhere
        return [ListenAddress(four, "127.0.0.1", port), ListenAddress(six, "::1", port, optional=True)]
    if host == "::":
        return [ListenAddress(six, "::", port), ListenAddress(four, "0.0.0.0", port)]  # noqa: S104 (asked for)
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as unknown:
        text = unknown.strerror if isinstance(unknown, socket.gaierror) else unknown
        raise CannotListen(f"cannot listen on {host}: {text}", Why.UNKNOWN_HOST) from unknown
    told = [(family, where) for family, _, _, _, where in dict.fromkeys(found) if family in (four, six)]
    return [ListenAddress(family, str(at[0]), port, at[3] if len(at) > 3 else 0) for family, at in told]


def open_listeners(host: str, port: int, backlog: int, *, shared: bool = False) -> list[socket.socket]:
    """Non-blocking, at each of the places that host means. `shared`: other processes of this user may listen there,
    too, and the kernel divides the connections among them. Raises CannotListen; then none is open.
    """
    opened: list[socket.socket] = []
    try:
        for address in listen_addresses(host, port):
            listener = _open(address, backlog, shared=shared)
            if listener is not None:
                opened.append(listener)
    except CannotListen:
        for listener in opened:
            listener.close()
        raise
    return opened


def inherited_listeners(count: int) -> list[socket.socket]:
    """Listening sockets this process was started with. Raises CannotListen."""
    try:
        found = [socket.socket(fileno=FIRST_INHERITED + at) for at in range(count)]
    except OSError as refused:
        raise CannotListen(f"no socket was handed over: {refused.strerror}") from refused
    for each in found:
        each.set_inheritable(False)
        each.setblocking(False)
    return found


def _open(address: ListenAddress, backlog: int, *, shared: bool) -> socket.socket | None:
    listener = None
    try:
        # The protocol is named, for asyncio turns Nagle's delay off only where it is.
        listener = socket.socket(address.family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if address.family == socket.AF_INET6:
            # Each family has a socket of its own: IPv4 clients keep their address, by which they are judged.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind(address.bound_to)
        listener.listen(backlog)
        return listener
    except OSError as refused:
        if listener is not None:
            listener.close()
        if address.optional and refused.errno in _NO_SUCH_FAMILY:
            return None
        raise CannotListen(f"cannot listen on {address}: {refused.strerror or refused}", _why(refused)) from refused


def _why(refused: OSError) -> Why:
    if refused.errno == errno.EADDRINUSE:
        return Why.TAKEN
    if refused.errno in _NO_SUCH_FAMILY:
        return Why.NOT_OURS
    return Why.PRIVILEGED if refused.errno in (errno.EACCES, errno.EPERM) else Why.OTHER
