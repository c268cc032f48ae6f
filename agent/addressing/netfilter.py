"""The only access to this machine's netfilter: iptables, ip and conntrack, run as programs.

Needs root (CAP_NET_ADMIN) and Debian's iptables, iproute2 and conntrack. What is there already is read first, so one
agent goes on where another ended, and what others have made is left alone: our rules stand in chains of our own, our
addresses on the loopback interface carry a label.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterable, Sequence
from subprocess import DEVNULL, PIPE

from agent.addressing.nat_plan import (
    HOOKS,
    LABEL,
    Addresses,
    ForgetConnections,
    NatState,
    Restore,
    Step,
    plan,
    state_after,
)
from agent.addressing.nat_rules import CUT, NatRules

SECONDS = 10
TRIES, THROUGH = 20, "flow entries have been deleted"
PACKAGES = {"iptables": "iptables", "iptables-restore": "iptables", "ip": "iproute2", "conntrack": "conntrack"}


class NetfilterError(Exception):
    """A program is missing or said no; the message has its words."""


class Netfilter:
    """Blocking: call it in a thread, one call at a time."""

    def __init__(self) -> None:
        self._state: NatState | None = None

    def apply(self, desired: NatRules, *, look: bool) -> int:
        """Apply `desired`, and return the number of steps. Raises NetfilterError.

        With `look` what stands is read first. Without, it is believed to be as it was left: a move must not wait.
        """
        before = self.observe() if look or self._state is None else self._state
        steps, self._state = plan(desired, before), None
        for step in steps:
            _do(step)
        self._state = state_after(desired, before)
        return len(steps)

    def clear(self) -> None:
        """Remove everything of ours: this machine leaves its Swarm. Raises NetfilterError."""
        self.apply(NatRules(), look=True)

    def observe(self) -> NatState:
        """Read what of ours is in the kernel. Raises NetfilterError."""
        tables = sorted({table for table, _ in HOOKS.values()})
        lines = {table: iptables(table, "-S").splitlines() for table in tables}
        chains = {name for name, (table, _) in HOOKS.items() if f"-N {name}" in lines[table]}
        hooked = {name for name, (table, hook) in HOOKS.items() if f"-A {hook} -j {name}" in lines[table]}
        on_loopback = _on_loopback()
        return NatState(
            rules=_rules(lines["nat"], chains - {CUT}),
            cuts=_rules(lines["filter"], chains & {CUT}),
            chains=frozenset(chains),
            hooked=frozenset(hooked),
            loopback=frozenset(each for each, label in on_loopback if label == LABEL),
            foreign=frozenset(each for each, label in on_loopback if label != LABEL),
        )


def _rules(lines: Iterable[str], chains: Iterable[str]) -> tuple[str, ...]:
    """Return our rules in the order in which we write them: the ones for what is sent first."""
    ordered = [name for name in HOOKS if name in set(chains)]
    return tuple(line for name in ordered for line in lines if line.startswith(f"-A {name} "))


def _on_loopback() -> list[tuple[str, str]]:
    """Addresses of the loopback interface and their labels."""
    try:
        (told,) = json.loads(_run(["ip", "-j", "-4", "addr", "show", "dev", "lo"]))
        return [(each["local"], each.get("label", "")) for each in told["addr_info"]]
    except (ValueError, KeyError, TypeError) as odd:
        raise NetfilterError(f"ip: not understood what it prints: {odd!r}") from odd


def _do(step: Step) -> None:
    match step:
        case Addresses(lines):
            _run(["ip", "-batch", "-"], lines)
        case Restore(lines):
            restore(lines)
        case ForgetConnections(options):
            _forget(options)


def _forget(options: Iterable[tuple[str, str]]) -> None:
    """All searches at once. The program gives up at the first entry that ends by itself just then, and leaves all the
    others as they are: it is asked until it comes to the end.
    """
    left = [["conntrack", "-D", *each] for each in options]
    for _ in range(TRIES):
        left = [command for command, said in zip(left, _at_once(left), strict=True) if THROUGH not in said]
        if not left:
            return
    raise _refused(left[0], "old connections are still remembered")


def _at_once(commands: Sequence[list[str]]) -> list[str]:
    """Run all commands at once; return what each wrote to stderr."""
    try:
        begun = [subprocess.Popen(each, stdout=DEVNULL, stderr=PIPE, text=True) for each in commands]
        return [each.communicate(timeout=SECONDS)[1] for each in begun]
    except (OSError, subprocess.TimeoutExpired) as failed:
        raise _refused(["conntrack"], failed) from failed


def iptables(table: str, *options: str) -> str:
    """Run iptables on that table; return what it printed. Raises NetfilterError."""
    return _run(["iptables", "-w", "5", "-t", table, *options])


def run_ip(*options: str) -> str:
    """Run iproute2's `ip`; return what it printed. Raises NetfilterError."""
    return _run(["ip", *options])


def restore(lines: Iterable[str]) -> None:
    """Tables as `iptables-restore` reads them; chains that are not named stay. Raises NetfilterError."""
    _run(["iptables-restore", "--noflush", "--wait", "5"], lines)


def _run(command: list[str], lines: Iterable[str] = ()) -> str:
    """Run a command with these lines on stdin; return what it printed."""
    text = "".join(f"{line}\n" for line in lines)
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as failed:
        raise _refused(command, failed) from failed
    if done.returncode:
        raise _refused(command, done.stderr.strip() or f"ended with {done.returncode}")
    return done.stdout


def _refused(command: list[str], said: Exception | str) -> NetfilterError:
    if isinstance(said, FileNotFoundError):
        return NetfilterError(f"{command[0]} is not installed: apt-get install {PACKAGES[command[0]]}")
    rights = any(words in str(said) for words in ("denied", "not permitted"))
    return NetfilterError(f"{shlex.join(command)}: {said}" + (" (needs root, or CAP_NET_ADMIN)" if rights else ""))
