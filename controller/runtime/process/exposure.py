"""Whether a program lets in more than it was told: at every address of the machine, where nobody logs in.

Containers are not reached there unless a port is published. Landlock knows ports, not addresses, so it is looked up
when the program has begun to answer. Source: proc(5), /proc/net/tcp and tcp6.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENING = "0A"
_LOOPBACK_V4, _MAPPED, _LOOPBACK_V6 = "7F", "0000000000000000FFFF0000", "00000000000000000000000001000000"


def exposed(ports: Container[int]) -> str:
    """Which of these somebody listens at for other machines, in words; empty when there is none. Blocks shortly."""
    return next((text for table in _tables() for text in _wide(table, ports)), "")


def _tables() -> Iterator[str]:
    for path in _TABLES:
        try:
            yield path.read_text()
        except OSError:  # no IPv6 here
            continue


def _wide(table: str, ports: Container[int]) -> Iterator[str]:
    for line in table.splitlines()[1:]:
        fields = line.split()
        address, _, number = fields[1].partition(":")
        if fields[3] == _LISTENING and int(number, 16) in ports and not _is_loopback(address):
            yield (
                f"it listens at its port {int(number, 16)} for every machine that reaches this one: listen at the "
                "address HOST says (127.0.0.1), or publish the port (ports[].published)"
            )


def _is_loopback(address: str) -> bool:
    """In the byte order of the machine, which is little endian wherever we have walls."""
    if len(address) == 8:
        return address.endswith(_LOOPBACK_V4)
    return address == _LOOPBACK_V6 or (address.startswith(_MAPPED) and address.endswith(_LOOPBACK_V4))
