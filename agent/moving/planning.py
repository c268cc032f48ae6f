"""What should stand in the kernel and what does → the steps between them. Pure; nothing to do is an empty list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.moving.translating import CUT, IN, OUT, Translation

# Where each of our chains hangs. Docker's own, and everybody else's, are not touched.
HOOKS = {OUT: ("nat", "OUTPUT"), IN: ("nat", "INPUT"), CUT: ("filter", "OUTPUT")}


@dataclass(frozen=True)
class Standing:
    """Ours, as seen: `rules` of the table nat and `cuts` of filter as `iptables -S` prints them, the chains there are
    and those that are hooked in, and the addresses on the loopback interface that carry our mark.
    """

    rules: tuple[str, ...] = ()
    cuts: tuple[str, ...] = ()
    chains: frozenset[str] = frozenset()
    hooked: frozenset[str] = frozenset()
    loopback: frozenset[str] = frozenset()


@dataclass(frozen=True)
class KeepAddress:
    """On the loopback interface, so that this machine answers to it."""

    address: str


@dataclass(frozen=True)
class DropAddress:
    address: str


@dataclass(frozen=True)
class Restore:
    """Lines for `iptables-restore --noflush`: each table changes at once or not at all."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Forget:
    """What the kernel remembers of connections with that address; else it goes on as before the change."""

    address: str


Step = KeepAddress | DropAddress | Restore | Forget


def plan(wanted: Translation, seen: Standing) -> list[Step]:
    """In an order in which every step works: a connection is reset only while its address is still there."""
    lines = _table("nat", (OUT, IN), wanted.rules, seen.rules, seen)
    lines += _table("filter", (CUT,), wanted.cuts, seen.cuts, seen)
    keep: list[Step] = [KeepAddress(each) for each in sorted(set(wanted.loopback) - seen.loopback)]
    drop: list[Step] = [DropAddress(each) for each in sorted(seen.loopback - set(wanted.loopback))]
    forget: list[Step] = [Forget(each) for each in sorted(_addresses(_compared(wanted.rules) ^ _compared(seen.rules)))]
    return [*keep, *([Restore(tuple(lines))] if lines else []), *forget, *drop]


def _table(
    name: str, chains: Sequence[str], wanted: Sequence[str], seen_rules: Sequence[str], seen: Standing
) -> list[str]:
    needed = frozenset(chains) if wanted else frozenset[str]()
    there, hooked = seen.chains & set(chains), seen.hooked & set(chains)
    if needed == there == hooked and [*map(_words, wanted)] == [*map(_words, seen_rules)]:
        return []
    if not needed:
        return [f"*{name}", *_taken_away(there, hooked), "COMMIT"] if there else []
    # A chain that is named here is made, or emptied.
    made = [f":{each} - [0:0]" for each in chains]
    hooks = [f"-I {HOOKS[each][1]} 1 -j {each}" for each in chains if each not in hooked]
    return [f"*{name}", *made, *wanted, *hooks, "COMMIT"]


def _taken_away(there: Iterable[str], hooked: Iterable[str]) -> list[str]:
    unhooked = [f"-D {HOOKS[each][1]} -j {each}" for each in sorted(hooked)]
    return [*unhooked, *(f"{verb} {each}" for each in sorted(there) for verb in ("-F", "-X"))]


def _compared(rules: Iterable[str]) -> set[frozenset[str]]:
    return {_words(each) for each in rules}


def _words(rule: str) -> frozenset[str]:
    """Programs of different age print the parts of a rule in different order."""
    return frozenset(rule.split())


def _addresses(rules: Iterable[frozenset[str]]) -> set[str]:
    return {word.removesuffix("/32") for rule in rules for word in rule if word.count(".") == 3}
