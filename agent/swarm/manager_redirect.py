"""Redirects new connections to the managers' port to `ConnectionHold`, for as long as it asks for that.

The rule stands all the time and matches only addresses that were named within the last seconds (iptables' `recent`):
an agent that ends or hangs is in nobody's way. Our own connections carry a mark and pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from agent.addressing.netfilter import iptables, restore

MANAGER_PORT = 2377
MARK = 0x2377
CHAIN = "AEREKOS-WAIT"
NAMED_SECONDS = 5
_NAMED = Path("/proc/net/xt_recent") / CHAIN
_TABLE = Path("/proc/net/tcp")
_ESTABLISHED = "01"


class ManagerRedirect:
    """Blocking, but for a moment only. Needs root (CAP_NET_ADMIN)."""

    def install(self, port: int) -> None:
        """Redirect to that port of 127.0.0.1. Raises NetfilterError, also where the kernel has no `recent`."""
        rule = (
            f"-A {CHAIN} -p tcp --dport {MANAGER_PORT} -m mark ! --mark {MARK:#x} "
            f"-m recent --name {CHAIN} --rcheck --seconds {NAMED_SECONDS} --rdest -j REDIRECT --to-ports {port}"
        )
        # A chain that is named is emptied first: what an agent before us left is replaced.
        restore(("*nat", f":{CHAIN} - [0:0]", rule, "COMMIT"))
        if f"-A OUTPUT -j {CHAIN}" not in iptables("nat", "-S", "OUTPUT").splitlines():
            iptables("nat", "-I", "OUTPUT", "1", "-j", CHAIN)

    def remove(self) -> None:
        """Remove the rule. Raises NetfilterError, also when there was none."""
        for options in (("-D", "OUTPUT", "-j", CHAIN), ("-F", CHAIN), ("-X", CHAIN)):
            iptables("nat", *options)

    def redirect(self, addresses: Iterable[str]) -> None:
        """Redirect calls of these managers to us for `NAMED_SECONDS`. Raises OSError."""
        for address in addresses:
            _NAMED.write_text(f"+{address}\n", encoding="ascii")

    def stop_redirecting(self) -> None:
        """Let all calls pass, at once. Raises OSError."""
        _NAMED.write_text("/\n", encoding="ascii")

    def is_connected(self) -> bool:
        """Return whether anybody on this machine is connected to a manager's port. Raises OSError."""
        return any_established(_TABLE.read_text(encoding="ascii"))


def any_established(table: str) -> bool:
    """`table` as proc(5) describes /proc/net/tcp: number, local address, remote address, state."""
    wanted = f":{MANAGER_PORT:04X}"
    lines = (line.split() for line in table.splitlines()[1:])
    return any(each[2].endswith(wanted) and each[3] == _ESTABLISHED for each in lines if len(each) > 3)
