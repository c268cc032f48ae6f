"""The one door to this machine's kernel: iptables, ip and conntrack, run as programs.

Needs root (CAP_NET_ADMIN) and Debian's iptables, iproute2 and conntrack. Chains of our own, two in the table nat and
one in filter, are replaced as a whole, atomically; Docker's are not touched.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

from agent.moving.translating import CUT, IN, OUT, Translation

SECONDS = 10
_HOOKS = (("nat", "OUTPUT", OUT), ("nat", "INPUT", IN), ("filter", "OUTPUT", CUT))


class KernelRefused(Exception):
    """A program is missing or said no; the message has its words."""


class Kernel:
    """Blocking: call it through the thread door."""

    def apply(self, wanted: Translation, forget: Iterable[str]) -> None:
        """Let `wanted` stand, whatever stood before; drop connections the kernel remembers of `forget`.

        Raises KernelRefused.
        """
        # First the addresses: a rule that resets a connection works only while the machine still has its address.
        self._keep_on_loopback(wanted.loopback)
        tables = _table("nat", (OUT, IN), wanted.rules) + _table("filter", (CUT,), wanted.cuts)
        _run(["iptables-restore", "--noflush", "--wait", "5"], tables)
        for table, hook, chain in _HOOKS:
            if not _succeeds(["iptables", "-w", "5", "-t", table, "-C", hook, "-j", chain]):
                _run(["iptables", "-w", "5", "-t", table, "-I", hook, "1", "-j", chain])
        for address in forget:
            for side in ("-s", "-d", "-r", "-q"):
                _succeeds(["conntrack", "-D", side, address])  # says no when there was nothing to forget

    def _keep_on_loopback(self, wanted: Iterable[str]) -> None:
        """Addresses on lo that are ours to manage: /32, not 127.0.0.0/8."""
        there = {each for each in self.on_loopback() if not each.startswith("127.")}
        for address in set(wanted) - there:
            _run(["ip", "addr", "add", f"{address}/32", "dev", "lo"])
        for address in there - set(wanted):
            _run(["ip", "addr", "del", f"{address}/32", "dev", "lo"])

    def on_loopback(self) -> list[str]:
        """IPv4 addresses of lo."""
        lines = _run(["ip", "-4", "-o", "addr", "show", "dev", "lo"]).splitlines()
        words = [line.split() for line in lines]
        return [each[each.index("inet") + 1].partition("/")[0] for each in words if "inet" in each]


def _table(name: str, chains: Iterable[str], rules: Iterable[str]) -> str:
    """As iptables-restore reads it: chains that are named are emptied first."""
    lines = [f"*{name}", *(f":{each} - [0:0]" for each in chains), *rules, "COMMIT"]
    return "\n".join(lines) + "\n"


def _run(command: list[str], text: str | None = None) -> str:
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as failed:
        raise KernelRefused(f"{command[0]}: {failed}") from failed
    if done.returncode:
        raise KernelRefused(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def _succeeds(command: list[str]) -> bool:
    try:
        _run(command)
    except KernelRefused:
        return False
    return True
