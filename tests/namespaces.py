"""Two machines on a wire of their own: network namespaces with a veth pair between them. Needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from clouds import Said, run

NETWORK_4, NETWORK_6 = "10.99.83", "fd99:83:"


@dataclass(frozen=True)
class Machine:
    """One end of the wire. `cable`: its interface there."""

    namespace: str
    cable: str
    address: str
    address_6: str

    def run(self, command: list[str], env: dict[str, str], text: str | None = None, timeout: float = 120) -> Said:
        """Whatever comes of that command, there."""
        return run(self.inside(command), env, text, timeout)

    def inside(self, command: list[str]) -> list[str]:
        """The command that runs `command` there."""
        return ["ip", "netns", "exec", self.namespace, *command]

    def ip(self, *arguments: str) -> None:
        """`ip` about that machine's own network."""
        _ip("-n", self.namespace, *arguments)


def why_not() -> str:
    """Why there can be no namespaces here; empty when there can."""
    if os.geteuid() != 0:
        return "needs root, to make network namespaces"
    if shutil.which("ip") is None:
        return "needs ip (iproute2)"
    probe = f"aerekos-probe-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "del", probe], capture_output=True, check=False)
    return f"no network namespaces here: {made.stderr.strip()}" if made.returncode else ""


@contextmanager
def two_machines(*names: str) -> Iterator[tuple[Machine, Machine]]:
    """The second one knows the first by `names`. Both are gone afterwards."""
    mark = os.getpid()
    first = Machine(f"aerekos-a-{mark}", f"va{mark}", f"{NETWORK_4}.1", f"{NETWORK_6}:1")
    second = Machine(f"aerekos-b-{mark}", f"vb{mark}", f"{NETWORK_4}.2", f"{NETWORK_6}:2")
    hosts = Path("/etc/netns") / second.namespace / "hosts"
    try:
        for each in (first, second):
            _ip("netns", "add", each.namespace)
        _ip("-n", first.namespace, "link", "add", first.cable, "type", "veth", "peer", "name", second.cable,
            "netns", second.namespace)  # fmt: skip
        for each in (first, second):
            each.ip("link", "set", "lo", "up")
            each.ip("addr", "add", f"{each.address}/24", "dev", each.cable)
            each.ip("addr", "add", f"{each.address_6}/64", "dev", each.cable, "nodad")
            each.ip("link", "set", each.cable, "up")
        hosts.parent.mkdir(parents=True)  # ip-netns(8) shows it as /etc/hosts there
        hosts.write_text(f"127.0.0.1 localhost\n{first.address} {' '.join(names)}\n")
        yield first, second
    finally:
        for each in (first, second):
            subprocess.run(["ip", "netns", "del", each.namespace], capture_output=True, check=False)
        shutil.rmtree(hosts.parent, ignore_errors=True)
        with suppress(OSError):
            hosts.parent.parent.rmdir()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True)
