"""Which gateways of a home live: `run/gateways.json`, written before a gateway may do anything.

A gateway outlives a conductor that was killed, so that what needs no conductor goes on. The next one finds it here.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from controller.kit.files import write_private
from controller.runtime.process.processes import boot_id, lives, signal_leader

VERSION = 1
GRACE_SECONDS = 7.0
"""Longer than a gateway takes to finish what is under way (services/sdk/edge/http_server.py)."""
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class GatewayRecord:
    """One gateway. `number`: its place; of two at one, the first is about to leave. `ticks`: when it started,
    in clock ticks since boot; with `boot` it makes a pid unique. `command`: what it was started with, and `program`:
    of which version it is; the next conductor keeps those it would start.
    """

    number: int
    pid: int
    ticks: int
    boot: str
    port: int
    command: tuple[str, ...]
    program: str

    @property
    def alive(self) -> bool:
        """Whether that very process lives."""
        return self.boot == boot_id() and lives(self.pid, self.ticks)


def read_gateways(home: Path) -> list[GatewayRecord]:
    """Those that live, the oldest first. What cannot be read is nobody's."""
    try:
        kept = json.loads(_file(home).read_text())
        if kept["version"] != VERSION:
            return []
        found = [_record(each) for each in kept["gateways"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [each for each in found if each.alive]


def write_gateways(home: Path, gateways: Sequence[GatewayRecord]) -> None:
    """Durably. Raises OSError."""
    kept = {"version": VERSION, "gateways": [asdict(each) for each in gateways]}
    write_private(_file(home), json.dumps(kept, indent=1).encode())


def stop_gateways(home: Path, grace_seconds: float = GRACE_SECONDS) -> Sequence[int]:
    """End those that lost their conductor. Their pids; blocks until they are gone."""
    living = read_gateways(home)
    for each in living:
        signal_leader(each.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while (left := [each for each in living if each.alive]) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    for each in left:
        signal_leader(each.pid, signal.SIGKILL)
    with suppress(OSError):
        _file(home).unlink()
    return [each.pid for each in living]


def _record(kept: Mapping[str, object]) -> GatewayRecord:
    command, boot, program = kept["command"], str(kept["boot"]), str(kept["program"])
    if not isinstance(command, list):
        raise TypeError("command is no list")
    number, pid, ticks, port = (int(str(kept[name])) for name in ("number", "pid", "ticks", "port"))
    return GatewayRecord(number, pid, ticks, boot, port, tuple(map(str, command)), program)


def _file(home: Path) -> Path:
    return home / "run" / "gateways.json"
