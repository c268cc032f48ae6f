"""Peers and where they are → what the kernel must translate. Pure.

For a peer known by I that is now at C: what this machine sends to I goes to C, and what comes from C looks as if it
came from I. The second half matters as much: an overlay network refuses frames from an address it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

OUT, IN = "AEREKOS-OUT", "AEREKOS-IN"


@dataclass(frozen=True, slots=True)
class Place:
    """A machine: the address it is known by, and the one it has."""

    identity: str
    address: str

    @property
    def has_moved(self) -> bool:
        return self.identity != self.address


@dataclass(frozen=True)
class Translation:
    """`rules` of the two chains of the table nat, `loopback` addresses this machine answers to besides its own."""

    rules: tuple[str, ...] = ()
    loopback: tuple[str, ...] = ()


def translation(own: Place, peers: Iterable[Place], *, port: int) -> Translation:
    """What must stand in this machine's kernel. Announcements (UDP to `port`) are never translated: they must reach a
    machine that is back at home, whatever is believed of it. Peers whose address is our own identity cannot be told
    apart from us and are left out: two machines would have to share an address.
    """
    moved = sorted({each for each in peers if each.has_moved and each.identity != own.identity}, key=_order)
    apart = [each for each in moved if each.address != own.identity]
    if not apart:
        return Translation((), (own.identity,) if own.has_moved else ())
    plain = (f"-A {OUT} -p udp -m udp --dport {port} -j RETURN",)
    out = tuple(f"-A {OUT} -d {each.identity}/32 -j DNAT --to-destination {each.address}" for each in apart)
    in_ = tuple(f"-A {IN} -s {each.address}/32 -j SNAT --to-source {each.identity}" for each in apart)
    return Translation(plain + out + in_, (own.identity,) if own.has_moved else ())


def changed(before: Translation, now: Translation) -> set[str]:
    """Addresses named by rules that came or went: what the kernel remembers of them is wrong."""
    lines = set(before.rules) ^ set(now.rules)
    return {word.removesuffix("/32") for line in lines for word in line.split() if word.count(".") == 3}


def _order(place: Place) -> tuple[str, str]:
    return place.identity, place.address
