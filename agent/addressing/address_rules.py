"""Rules of addresses that no other machine is believed to have, whoever says so: the agent's own judgement, made
last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from controller.kit.clock import Clock
from controller.kit.networks import Network, NodeNetworks

REMEMBERED_SECONDS = 5.0


@dataclass(frozen=True)
class LocalNetwork:
    """`networks` this machine is in, and its `routers` and `resolvers`: who is one of them is no worker."""

    networks: tuple[Network, ...] = ()
    routers: frozenset[str] = frozenset()
    resolvers: frozenset[str] = frozenset()


class AddressRules:
    """`networks` as the settings allow them; those this machine is in are allowed besides."""

    def __init__(self, networks: NodeNetworks, clock: Clock, look: Callable[[], LocalNetwork]) -> None:
        self._networks, self._clock, self._look = networks, clock, look
        self._here, self._until = LocalNetwork(), 0.0

    def why_not(self, address: str) -> str:
        """Return why no machine of this cloud can have that address; empty when one may."""
        here = self._current()
        allowed = self._networks.with_networks(here.networks)
        if not allowed.allows(address):
            return f"{address} is in no network of this cloud ({allowed}); to allow it: AEREKOS_NODE_NETWORKS"
        if address in here.routers | here.resolvers:
            return f"{address} is this machine's router or resolver"
        return ""

    def _current(self) -> LocalNetwork:
        now = self._clock.monotonic()
        if now >= self._until:
            self._here, self._until = self._look(), now + REMEMBERED_SECONDS
        return self._here
