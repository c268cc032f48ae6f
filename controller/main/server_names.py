"""Names and addresses by which this cloud is reached, as they are now: what its server's certificate is for."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from urllib.parse import urlsplit

import anyio
import psutil
import structlog

from agent.collect import addresses
from controller.docker.node_info import SwarmNodeInfo
from controller.docker.swarm_admin import SwarmAdmin
from controller.kit.listening import EVERYWHERE
from controller.main.host_names import is_address, is_name
from controller.main.settings import Settings
from controller.runtime.driver import DriverError

log = structlog.get_logger("conductor")
# A certificate is sent with every handshake: a machine with a thousand addresses does not get one of 20 kB.
MOST_ADDRESSES = 64
_ASK_SECONDS = 5.0
# A daemon at rest is asked little. Who moves the machine of a stack starts its conductor anew, which asks at once.
ASK_EVERY_LOOKS = 6


class ServerNames:
    """`current` is what was found at the last look."""

    def __init__(
        self,
        settings: Settings,
        swarm: SwarmAdmin | None = None,
        node: SwarmNodeInfo | None = None,
        own_addresses: Callable[[], list[str]] = addresses,
        host_name: Callable[[], str] = socket.gethostname,
    ) -> None:
        self._settings, self._swarm, self._node = settings, swarm, node
        self._own_addresses, self._host_name = own_addresses, host_name
        self.current: tuple[str, ...] = ()
        self._addresses: list[str] = []
        self._looks = 0

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names among what was found, without addresses."""
        return tuple(each for each in self.current if not is_address(each))

    async def look(self) -> tuple[str, ...]:
        """Names and addresses as they are now, in a stable order. What cannot be found out now stays as it was."""
        if self._swarm is not None and self._settings.stack is not None and self._looks % ASK_EVERY_LOOKS == 0:
            await self._ask(self._swarm)
        self._looks += 1
        self.current = tuple(_usable(self._all()))
        return self.current

    async def _ask(self, swarm: SwarmAdmin) -> None:
        """From inside a container, only Docker sees the addresses of the machine."""
        with anyio.move_on_after(_ASK_SECONDS):
            try:
                self._node = await swarm.node()
            except DriverError as lost:
                log.debug("the Swarm does not say where this node is", because=str(lost))

    def _all(self) -> Iterable[str]:
        host = self._host_name().lower()
        yield from ("localhost", "127.0.0.1", "::1", host, self._settings.host, *self._settings.names)
        if "." not in host:
            yield f"{host}.local"  # as multicast DNS calls it (RFC 6762)
        if self._settings.stack is not None:
            yield urlsplit(self._settings.stack.url).hostname or ""
        if self._node is not None:
            yield from (self._node.name.lower(), self._node.address)
            yield from (each.rpartition(":")[0] for each in self._node.managers)
        with suppress(psutil.Error, OSError):
            self._addresses = self._own_addresses()[:MOST_ADDRESSES]
        yield from self._addresses


def below(names: Iterable[str]) -> list[str]:
    """`*.cloud.lan` and `*.s3-website.cloud.lan` for `cloud.lan`: buckets, and the websites in them, as host names.
    Names of one label get none, for no client takes that.
    """
    named = [each for each in names if "." in each and not is_address(each)]
    return [f"*.{before}{each}" for each in named for before in ("", "s3-website.")]


def _usable(names: Iterable[str]) -> list[str]:
    """Sorted, each once; addresses that mean "all" are no name, nor is what no certificate can hold."""
    bare = (each.partition("%")[0].strip("[]") for each in names)
    return sorted({each for each in bare if each not in EVERYWHERE and (is_address(each) or is_name(each))})
