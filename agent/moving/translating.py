"""Peers and where they are → what the kernel must translate. Pure.

For a peer known by I that is now at C: what this machine sends to I goes to C, and what comes from C looks as if it
came from I. The second half matters as much: an overlay network refuses frames from an address it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

OUT, IN, CUT = "AEREKOS-OUT", "AEREKOS-IN", "AEREKOS-CUT"


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
    """`rules` of the two chains of the table nat; `loopback`: addresses this machine answers to besides its own;
    `cuts`: rules that end connections from an address it has just left.
    """

    rules: tuple[str, ...] = ()
    loopback: tuple[str, ...] = ()
    cuts: tuple[str, ...] = ()


def translation(own: Place, peers: Iterable[Place], *, port: int, left: Iterable[str] = ()) -> Translation:
    """What must stand in this machine's kernel. Announcements (UDP to `port`) are never translated: they must reach a
    machine that is back at home, whatever is believed of it. Peers whose address is our own identity cannot be told
    apart from us and are left out: two machines would have to share an address.

    `left`: addresses this machine had until a moment ago. Connections from there would wait for minutes for answers
    that cannot come; reset, their owners (Docker above all) make new ones at once.
    """
    gone = sorted(set(left) - {own.address})
    cuts = tuple(f"-A {CUT} -s {each}/32 -p tcp -j REJECT --reject-with tcp-reset" for each in gone)
    loopback = tuple(sorted({*gone, *((own.identity,) if own.has_moved else ())}))
    moved = sorted({each for each in peers if each.has_moved and each.identity != own.identity}, key=_order)
    apart = [each for each in moved if each.address != own.identity]
    if not apart:
        return Translation((), loopback, cuts)
    plain = (f"-A {OUT} -p udp -m udp --dport {port} -j RETURN",)
    out = tuple(f"-A {OUT} -d {each.identity}/32 -j DNAT --to-destination {each.address}" for each in apart)
    in_ = tuple(f"-A {IN} -s {each.address}/32 -j SNAT --to-source {each.identity}" for each in apart)
    return Translation(plain + out + in_, loopback, cuts)


def changed(before: Translation, now: Translation) -> set[str]:
    """Addresses named by rules that came or went: what the kernel remembers of them is wrong."""
    lines = set(before.rules) ^ set(now.rules)
    return {word.removesuffix("/32") for line in lines for word in line.split() if word.count(".") == 3}


def _order(place: Place) -> tuple[str, str]:
    return place.identity, place.address
