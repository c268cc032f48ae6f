"""Where this machine is: the addresses of its interfaces, and word from the kernel when they change."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import closing, suppress
from ipaddress import ip_interface
from socket import AF_INET, SOCK_DGRAM
from typing import Protocol

import anyio
import psutil

# Asked for a route only; nothing is sent (an address set aside for documentation, RFC 5737).
_ANYWHERE = "192.0.2.1"
_LOOPBACK = "lo"
# rtnetlink(7): links, IPv4 addresses, IPv4 routes.
_GROUPS = 0x1 | 0x10 | 0x40
_TOGETHER_SECONDS = 0.02


class Looks(Protocol):
    """`Here` is the real one."""

    def current(self, identity: str, towards: Iterable[str]) -> str | None:
        """Where this machine is now: its identity address while an interface that is up has it, else the address it
        would use towards the others. None while it has none.
        """
        ...

    def broadcasts(self) -> set[str]:
        """Where everybody on a network of ours listens."""
        ...

    async def change(self, seconds: float) -> None:
        """Until something may have changed, at most so long."""
        ...

    def close(self) -> None: ...


class Here:
    """This machine. Where the kernel gives no word of changes, only time passes."""

    def __init__(self) -> None:
        self._word = _listening()

    def current(self, identity: str, towards: Iterable[str]) -> str | None:
        own = interface_addresses()
        if identity in own:
            return identity
        for target in (*towards, _ANYWHERE):
            with suppress(OSError):
                source = source_towards(target)
                if source in own:
                    return source
        return None

    def broadcasts(self) -> set[str]:
        listed = psutil.net_if_addrs().items()
        # Computed, not asked for: an address may be given without its broadcast address.
        return {
            str(ip_interface(f"{each.address}/{each.netmask}").network.broadcast_address)
            for name, found in listed
            if _named(name) and not name.startswith(("docker", "veth", "br-"))
            for each in found
            if each.family == AF_INET and each.netmask and each.netmask != "255.255.255.255"
        }

    async def change(self, seconds: float) -> None:
        if self._word is None:
            await anyio.sleep(seconds)
            return
        with anyio.move_on_after(seconds):
            await anyio.wait_readable(self._word)
            await anyio.sleep(_TOGETHER_SECONDS)  # one change comes as several
        with suppress(OSError):  # until there are no more; or so many that some were lost, a change in any case
            while True:
                self._word.recv(65536)

    def close(self) -> None:
        if self._word is not None:
            self._word.close()


def _listening() -> socket.socket | None:
    try:
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        opened.bind((0, _GROUPS))
    except (AttributeError, OSError):
        return None
    opened.setblocking(False)
    return opened


def interface_addresses() -> set[str]:
    """IPv4 addresses of every interface that is up, but the loopback: what is there, nobody else reaches."""
    up = {name for name, stats in psutil.net_if_stats().items() if stats.isup}
    listed = psutil.net_if_addrs().items()
    return {each.address for name, found in listed if _named(name) in up for each in found if each.family == AF_INET}


def _named(interface: str) -> str:
    """Without the label of an address (`eth0:1`); empty for the loopback interface."""
    name = interface.partition(":")[0]
    return "" if name == _LOOPBACK else name


def source_towards(target: str) -> str:
    """This machine's own address on the way there; nothing is sent. Raises OSError when there is no way."""
    with closing(socket.socket(AF_INET, SOCK_DGRAM)) as probe:
        probe.connect((target, 9))
        return str(probe.getsockname()[0])
