"""The plan from the NAT rules the kernel has to those it should have. Pure; nothing to do is an empty list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.addressing.nat_rules import CUT, IN, OUT, NatRules

LABEL = "lo:aerekos"
# Where each of our chains hangs. Docker's own, and everybody else's, are not touched.
HOOKS = {OUT: ("nat", "OUTPUT"), IN: ("nat", "INPUT"), CUT: ("filter", "OUTPUT")}


@dataclass(frozen=True)
class NatState:
    """What of ours is in the kernel: `rules` of the table nat and `cuts` of filter as `iptables -S` prints them, the
    chains there are and those that are hooked in, and the addresses on the loopback interface: with our mark, and
    without it.
    """

    rules: tuple[str, ...] = ()
    cuts: tuple[str, ...] = ()
    chains: frozenset[str] = frozenset()
    hooked: frozenset[str] = frozenset()
    loopback: frozenset[str] = frozenset()
    foreign: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Addresses:
    """Lines for `ip -batch`: what the loopback interface is given, or what is taken from it."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Restore:
    """Lines for `iptables-restore --noflush`: each table changes at once or not at all."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class ForgetConnections:
    """Connections the kernel remembers, as options of `conntrack -D`; else they go on as before the change."""

    options: tuple[tuple[str, str], ...]


Step = Addresses | Restore | ForgetConnections


def plan(desired: NatRules, seen: NatState) -> list[Step]:
    """Return the steps from `seen` to `desired`, in an order in which each works.

    A connection is reset only while its address is still there.
    """
    lines = _table("nat", (OUT, IN), desired.rules, seen.rules, seen)
    lines += _table("filter", (CUT,), desired.cuts, seen.cuts, seen)
    # Of scope host: the kernel must never choose it as the source of what it sends to others.
    keep = sorted(set(desired.loopback) - seen.loopback - seen.foreign)
    drop = sorted(seen.loopback - set(desired.loopback))
    forget = _remembered({*map(_words, desired.rules)} ^ {*map(_words, seen.rules)})
    return [
        *([Addresses(tuple(f"addr add {each}/32 dev lo scope host label {LABEL}" for each in keep))] if keep else []),
        *([Restore(tuple(lines))] if lines else []),
        *([ForgetConnections(forget)] if forget else []),
        *([Addresses(tuple(f"addr del {each}/32 dev lo" for each in drop))] if drop else []),
    ]


def state_after(desired: NatRules, before: NatState) -> NatState:
    """Return the state after every step of `plan(desired, before)` has worked."""
    chains = frozenset({OUT, IN} if desired.rules else ()) | frozenset({CUT} if desired.cuts else ())
    loopback = frozenset(desired.loopback) - before.foreign
    return NatState(desired.rules, desired.cuts, chains, chains, loopback, before.foreign)


def _table(
    name: str, chains: Sequence[str], desired: Sequence[str], seen_rules: Sequence[str], seen: NatState
) -> list[str]:
    needed = frozenset(chains) if desired else frozenset[str]()
    there, hooked = seen.chains & set(chains), seen.hooked & set(chains)
    if needed == there == hooked and [*map(_words, desired)] == [*map(_words, seen_rules)]:
        return []
    if not needed:
        return [f"*{name}", *_taken_away(there, hooked), "COMMIT"] if there else []
    # A chain that is named here is made, or emptied.
    made = [f":{each} - [0:0]" for each in chains]
    hooks = [f"-I {HOOKS[each][1]} 1 -j {each}" for each in chains if each not in hooked]
    return [f"*{name}", *made, *desired, *hooks, "COMMIT"]


def _taken_away(there: Iterable[str], hooked: Iterable[str]) -> list[str]:
    unhooked = [f"-D {HOOKS[each][1]} -j {each}" for each in sorted(hooked)]
    return [*unhooked, *(f"{verb} {each}" for each in sorted(there) for verb in ("-F", "-X"))]


def _words(rule: str) -> frozenset[str]:
    """Programs of different age print the parts of a rule in different order."""
    return frozenset(rule.split())


def _remembered(changed: Iterable[frozenset[str]]) -> tuple[tuple[str, str], ...]:
    """Each search goes through all the kernel remembers, ten milliseconds: not more of them than needed.

    From and to an identity; and from a real address. What goes to a real address is no business of ours.
    """
    found: set[tuple[str, str]] = set()
    for words in changed:
        address = next((word.removesuffix("/32") for word in words if word.endswith("/32")), "")
        if "DNAT" in words:
            found |= {("--orig-src", address), ("--orig-dst", address)}
        elif "SNAT" in words:
            found.add(("--orig-src", address))
    return tuple(sorted(found))
