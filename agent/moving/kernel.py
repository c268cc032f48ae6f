"""The one door to this machine's kernel: iptables, ip and conntrack, run as programs.

Needs root (CAP_NET_ADMIN) and Debian's iptables, iproute2 and conntrack. What is there already is read first, so one
agent goes on where another ended, and what others have made is left alone: our rules stand in chains of our own, our
addresses on the loopback interface carry a label.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterable

from agent.moving.planning import HOOKS, DropAddress, Forget, KeepAddress, Restore, Standing, Step, plan
from agent.moving.translating import CUT, Translation

SECONDS = 10
LABEL = "lo:aerekos"
PACKAGES = {"iptables": "iptables", "iptables-restore": "iptables", "ip": "iproute2", "conntrack": "conntrack"}


class KernelRefused(Exception):
    """A program is missing or said no; the message has its words."""


class Kernel:
    """Blocking: call it through the thread door."""

    def apply(self, wanted: Translation) -> int:
        """Let `wanted` stand, whatever stood before; how many steps that took. Raises KernelRefused."""
        steps = plan(wanted, self.seen())
        for step in steps:
            _do(step)
        return len(steps)

    def seen(self) -> Standing:
        """What of ours stands. Raises KernelRefused."""
        tables = {table for table, _ in HOOKS.values()}
        lines = {table: _run(["iptables", "-w", "5", "-t", table, "-S"]).splitlines() for table in tables}
        chains = {name for name, (table, _) in HOOKS.items() if f"-N {name}" in lines[table]}
        hooked = {name for name, (table, hook) in HOOKS.items() if f"-A {hook} -j {name}" in lines[table]}
        return Standing(
            rules=_rules(lines["nat"], chains - {CUT}),
            cuts=_rules(lines["filter"], chains & {CUT}),
            chains=frozenset(chains),
            hooked=frozenset(hooked),
            loopback=frozenset(_marked()),
        )


def _rules(lines: Iterable[str], chains: Iterable[str]) -> tuple[str, ...]:
    """In the order in which we write them: as they are printed, the one for what is sent first."""
    ordered = [name for name in HOOKS if name in set(chains)]
    return tuple(line for name in ordered for line in lines if line.startswith(f"-A {name} "))


def _marked() -> list[str]:
    """Addresses of the loopback interface that we have put there."""
    try:
        (told,) = json.loads(_run(["ip", "-j", "-4", "addr", "show", "dev", "lo"]))
        return [each["local"] for each in told["addr_info"] if each.get("label") == LABEL]
    except (ValueError, KeyError, TypeError) as odd:
        raise KernelRefused(f"ip: not understood what it prints: {odd!r}") from odd


def _do(step: Step) -> None:
    match step:
        case KeepAddress(address):
            _keep(address)
        case DropAddress(address):
            _run(["ip", "addr", "del", f"{address}/32", "dev", "lo"])
        case Restore(lines):
            _run(["iptables-restore", "--noflush", "--wait", "5"], "\n".join(lines) + "\n")
        case Forget(address):
            _forget(address)


def _keep(address: str) -> None:
    """Of scope host: the kernel must never choose it as the source of what it sends to others."""
    command = ["ip", "addr", "add", f"{address}/32", "dev", "lo", "scope", "host", "label", LABEL]
    _run(command, fine=("File exists",))  # somebody else has put it there: all is well, and not ours to remove


def _forget(address: str) -> None:
    for side in ("--src", "--dst", "--reply-src", "--reply-dst"):
        _run(["conntrack", "-D", side, address], fine=("0 flow entries",))


def _run(command: list[str], text: str | None = None, *, fine: tuple[str, ...] = ()) -> str:
    """What it printed. `fine`: words with which it may say no."""
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=SECONDS)
    except FileNotFoundError as missing:
        package = PACKAGES[command[0]]
        raise KernelRefused(f"{command[0]} is not installed: apt-get install {package}") from missing
    except (OSError, subprocess.TimeoutExpired) as failed:
        raise KernelRefused(f"{command[0]}: {failed}") from failed
    if done.returncode and not any(words in done.stderr for words in fine):
        raise KernelRefused(_words(command, done.stderr.strip() or f"ended with {done.returncode}"))
    return done.stdout


def _words(command: list[str], said: str) -> str:
    denied = "denied" in said or "not permitted" in said
    return f"{shlex.join(command)}: {said}" + (" (the agent needs root, or CAP_NET_ADMIN)" if denied else "")
