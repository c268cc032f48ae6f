"""The conductor as a process: which pid it has, whether it is really that one, and how it is stopped.

A pid alone proves nothing, since numbers are used again; the start time beside it does.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller.kit.files import write_private
from controller.main.errors import UserError
from controller.main.settings import Settings, as_told

_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Running:
    """The conductor that `run/conductor.json` names. `start_time` is in clock ticks since boot (proc(5), stat field
    22).

    `told`: the settings it was started with, less secrets; empty for one that did not write them.
    """

    pid: int
    start_time: int
    port: int
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Whether that very process lives; a zombie does not."""
        return start_time(self.pid) == self.start_time


def recorded(settings: Settings) -> Running | None:
    """The conductor this home last had, dead or alive."""
    try:
        kept = json.loads((settings.run / "conductor.json").read_text())
        return Running(int(kept["pid"]), int(kept["startTime"]), int(kept["port"]), dict(kept.get("told") or {}))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def running(settings: Settings) -> Running | None:
    """The conductor of this home, when it lives."""
    found = recorded(settings)
    return found if found and found.alive else None


@contextmanager
def the_only_one(settings: Settings) -> Iterator[None]:
    """Inside, this process is the conductor of that home, and `run/conductor.json` says so.

    The kernel holds the lock, so a killed conductor leaves none behind. Raises UserError when another one lives:
    two would fight over its data.
    """
    with (settings.run / "conductor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise _taken(settings) from None
        me: dict[str, Any] = {"pid": os.getpid(), "startTime": start_time(os.getpid()), "port": settings.port}
        me["told"] = as_told(settings)
        write_private(settings.run / "conductor.json", json.dumps(me).encode())
        try:
            yield
        finally:
            (settings.run / "conductor.json").unlink(missing_ok=True)


def _taken(settings: Settings) -> UserError:
    found = running(settings)
    who = f" (pid {found.pid}, port {found.port})" if found else ""
    return UserError(
        f"a conductor already runs in {settings.home}{who}", hint="aerekos down, or another AEREKOS_HOME"
    )


def start_time(pid: int) -> int | None:
    """When that process started, or None when there is none (or only a zombie)."""
    if sys.platform != "linux":
        return _start_time_elsewhere(pid)
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command may hold spaces and brackets; everything after the last ")" is plain.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _start_time_elsewhere(pid: int) -> int | None:
    import psutil

    try:
        return int(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def stop(found: Running, *, grace_seconds: float) -> bool:
    """SIGTERM, then SIGKILL when it takes too long. Whether it went by itself."""
    _signal(found, signal.SIGTERM)
    if _gone(found, grace_seconds):
        return True
    _signal(found, signal.SIGKILL)
    _gone(found, 5.0)
    return False


def _signal(found: Running, number: signal.Signals) -> None:
    if found.alive:
        with suppress(ProcessLookupError):
            os.kill(found.pid, number)


def _gone(found: Running, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while found.alive:
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True
