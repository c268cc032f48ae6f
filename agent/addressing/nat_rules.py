"""Peers and where they are → what the kernel must translate. Pure.

For a peer known by I that is now at C: what this machine sends to I goes to C, and what comes from C looks as if it
came from I. The second half matters as much: an overlay network refuses frames from an address it does not know.

Where two claims cannot both be right, the newer one is followed; where none can be followed, the reason is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

OUT, IN, CUT = "AEREKOS-OUT", "AEREKOS-IN", "AEREKOS-CUT"


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """A machine: the address it is known by, the one it has, and what says how new that is."""

    identity: str
    address: str
    worker: str = ""
    sequence: int = 0

    @property
    def has_moved(self) -> bool:
        return self.identity != self.address


@dataclass(frozen=True)
class NatRules:
    """`rules` of the two chains of the table nat; `loopback`: addresses this machine answers to besides its own;
    `cuts`: rules that end connections from an address it has just left; `refused`: who is left out, and why.
    """

    rules: tuple[str, ...] = ()
    loopback: tuple[str, ...] = ()
    cuts: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def nat_rules(
    own: PeerAddress,
    peers: Iterable[PeerAddress],
    *,
    port: int,
    left: Iterable[str] = (),
    refuses: Callable[[str], str] = lambda address: "",
) -> NatRules:
    """Return what must stand in this machine's kernel. `refuses` says why an address is none of a peer's, whoever
    claims it; empty when it may be one. Announcements (UDP to `port`) are never translated: they must reach a
    machine that is back at home, whatever is believed of it.

    `left`: addresses this machine had until a moment ago. Connections from there would wait for minutes for answers
    that cannot come; reset, their owners (Docker above all) make new ones at once.
    """
    believed, odd = _allowed_peers(peers, refuses)
    known = sorted(believed, key=_newest_first)
    apart, refused = _followable(own, known)
    gone = sorted(set(left) - {own.address} - {each.address for each in known})
    # Not what goes over lo: there the address left behind still is this machine's own.
    cuts = tuple(f"-A {CUT} -s {each}/32 ! -o lo -p tcp -j REJECT --reject-with tcp-reset" for each in gone)
    loopback = tuple(sorted({*gone, *((own.identity,) if own.has_moved else ())}))
    return NatRules(_rules(apart, port), loopback, cuts, (*refused, *odd))


def _allowed_peers(
    peers: Iterable[PeerAddress], refuses: Callable[[str], str]
) -> tuple[list[PeerAddress], list[str]]:
    """Return the peers whose addresses may belong to this cloud; and in words, why the others' may not.

    Judged last of all, here, because nobody is above it: a conductor in foreign hands could name any address.
    """
    believed: list[PeerAddress] = []
    odd: list[str] = []
    for each in peers:
        why = next((why for one in (each.identity, each.address) if (why := refuses(one))), "")
        if why:
            odd.append(f"{each.worker or each.identity} is not followed: {why}")
        else:
            believed.append(each)
    return believed, sorted(odd)


def _followable(own: PeerAddress, known: Sequence[PeerAddress]) -> tuple[list[PeerAddress], list[str]]:
    """Return the moved peers that can be followed, by identity; and in words, who cannot. `known`: newest first."""
    apart: list[PeerAddress] = []
    refused: list[str] = []
    identities, addresses = {own.identity: own}, {own.address: own, own.identity: own}
    for each in known:
        holder = identities.setdefault(each.identity, each)
        why_not = _why_not(own, each, holder, addresses.setdefault(each.address, each))
        if not each.has_moved and not holder.has_moved:
            continue
        if why_not:
            refused.append(why_not)
        else:
            apart.append(each)
    return sorted(apart, key=lambda each: each.identity), sorted(refused)


def _why_not(own: PeerAddress, peer: PeerAddress, holder: PeerAddress, at_its_address: PeerAddress) -> str:
    """Return why a peer cannot be followed; empty when it can.

    `holder`: of its identity address. `at_its_address`: who came there last.
    """
    who = peer.worker or peer.identity
    if holder is not peer:
        return f"{who} and {_name(holder, own)} are both known by {peer.identity}: remove the worker that is gone"
    if at_its_address is own:
        return f"{who} is at {peer.address}, this machine's own address: they reach each other when one of them moves"
    if at_its_address is not peer:
        return f"{who} is said to be at {peer.address}, where {_name(at_its_address, own)} has come since"
    if peer.identity == own.address:
        # Frames for it would stay in this machine: the kernel delivers to its own addresses before it translates.
        return f"{who} is known by {own.address}, where this machine is: they reach each other when it moves on"
    return ""


def _rules(apart: Sequence[PeerAddress], port: int) -> tuple[str, ...]:
    if not apart:
        return ()
    plain = (f"-A {OUT} -p udp -m udp --dport {port} -j RETURN",)
    out = tuple(f"-A {OUT} -d {each.identity}/32 -j DNAT --to-destination {each.address}" for each in apart)
    in_ = tuple(f"-A {IN} -s {each.address}/32 -j SNAT --to-source {each.identity}" for each in apart)
    return plain + out + in_


def _newest_first(place: PeerAddress) -> tuple[int, str, str]:
    return -place.sequence, place.worker, place.identity


def _name(place: PeerAddress, own: PeerAddress) -> str:
    return "this machine" if place is own else place.worker or place.identity
