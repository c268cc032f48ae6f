"""The interfaces of this machine: their addresses of its interfaces, and word from the kernel when they change."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable
from contextlib import closing, suppress
from ipaddress import ip_interface
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM
from typing import Protocol

import anyio
import psutil

from agent.addressing.address_rules import LocalNetwork
from controller.kit.networks import Network

# Asked for a route only; nothing is sent (an address set aside for documentation, RFC 5737).
_ANYWHERE = "192.0.2.1"
_LOOPBACK = "lo"
# rtnetlink(7): links, IPv4 addresses, IPv4 routes.
_GROUPS = 0x1 | 0x10 | 0x40
_TOGETHER_SECONDS = 0.02
_ROUTES, _RESOLVERS = Path("/proc/net/route"), Path("/etc/resolv.conf")
_VIA_GATEWAY = 0x2  # RTF_GATEWAY


class InterfaceMonitor(Protocol):
    """`LocalInterfaces` is the real one."""

    def current(self, identity: str, towards: Iterable[str]) -> str | None:
        """Where this machine is now: its identity address while an interface that is up has it, else the address it
        would use towards the others. None while it has none.
        """
        ...

    def broadcasts(self) -> set[str]:
        """Return the broadcast addresses of this machine's networks."""
        ...

    async def wait_for_change(self, seconds: float) -> None:
        """Wait until an address may have changed, at most so many seconds."""
        ...

    def close(self) -> None: ...


class LocalInterfaces:
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
        # Computed, not asked for: an address may be given without its broadcast address.
        return {str(each.broadcast_address) for each in own_networks()}

    async def wait_for_change(self, seconds: float) -> None:
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


def own_networks() -> set[Network]:
    """IPv4 networks this machine has an address in, but those of Docker's bridges, which lead nowhere."""
    return {
        ip_interface(f"{each.address}/{each.netmask}").network
        for name, found in psutil.net_if_addrs().items()
        if _named(name) and not name.startswith(("docker", "veth", "br-"))
        for each in found
        if each.family == AF_INET and each.netmask and each.netmask != "255.255.255.255"
    }


def local_network() -> LocalNetwork:
    """Return this machine's networks, routers and resolvers; what cannot be read is left out."""
    via: set[str] = set()
    asked: set[str] = set()
    with suppress(OSError, ValueError):
        via = routers(_ROUTES.read_text(encoding="ascii"))
    with suppress(OSError):
        asked = resolvers(_RESOLVERS.read_text(encoding="utf-8", errors="replace"))
    return LocalNetwork(tuple(own_networks()), frozenset(via), frozenset(asked))


def routers(table: str) -> set[str]:
    """Gateways in /proc/net/route (proc(5)): addresses as hexadecimal in the machine's own byte order."""
    lines = (line.split() for line in table.splitlines()[1:])
    found = {each[2] for each in lines if len(each) > 3 and int(each[3], 16) & _VIA_GATEWAY}
    return {socket.inet_ntoa(int(each, 16).to_bytes(4, sys.byteorder)) for each in found}


def resolvers(text: str) -> set[str]:
    """Return the name servers that resolv.conf(5) lists."""
    words = (line.split() for line in text.splitlines())
    return {each[1] for each in words if len(each) > 1 and each[0] == "nameserver"}


def _named(interface: str) -> str:
    """Return the interface's name without an address label (`eth0:1`); empty for the loopback interface."""
    name = interface.partition(":")[0]
    return "" if name == _LOOPBACK else name


def source_towards(target: str) -> str:
    """This machine's own address on the way there; nothing is sent. Raises OSError when there is no way."""
    with closing(socket.socket(AF_INET, SOCK_DGRAM)) as probe:
        probe.connect((target, 9))
        return str(probe.getsockname()[0])
