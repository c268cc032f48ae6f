"""Networks in which machines of a cloud may have addresses. Pure.

Both sides judge by it: the conductor what workers say of themselves, each agent what anybody says of the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
# "This network", IETF protocol assignments, what is reserved: of no machine, and not globally reachable either.
_NEVER = tuple(ip_network(each) for each in ("0.0.0.0/8", "192.0.0.0/24", "240.0.0.0/4"))
PRIVATE = "private"


@dataclass(frozen=True)
class NodeNetworks:
    """`private`: also every address that is not globally reachable (RFC 6890), but for link-local ones."""

    networks: tuple[Network, ...] = ()
    private: bool = True

    def allows(self, address: str) -> bool:
        """Never loopback, multicast, unspecified or reserved ones, whatever is allowed."""
        try:
            found = ip_address(address)
        except ValueError:
            return False
        if _is_no_machine(found):
            return False
        if any(found in each for each in self.networks):
            return True
        return self.private and not found.is_global and not found.is_link_local

    def with_networks(self, more: Iterable[Network]) -> NodeNetworks:
        """The same policy with these networks besides."""
        return NodeNetworks((*self.networks, *more), self.private)

    def __str__(self) -> str:
        return ", ".join([*([PRIVATE] if self.private else []), *map(str, self.networks)])


def parse_networks(text: str) -> NodeNetworks:
    """`private,203.0.113.0/24`; empty means `private`. Raises ValueError naming the part that is no network."""
    parts = [each.strip() for each in text.split(",") if each.strip()]
    named = [each for each in parts if each != PRIVATE]
    return NodeNetworks(tuple(ip_network(each) for each in named), private=not parts or PRIVATE in parts)


def _is_no_machine(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return True  # another way to write an address that would be judged by other rules
    reserved = any(address in each for each in _NEVER)
    return address.is_loopback or address.is_multicast or address.is_unspecified or reserved
