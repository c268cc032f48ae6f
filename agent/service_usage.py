"""CPU and memory of each service on this machine, read from the process runtime's records.

A record is `run/instances/<instance>.json` with at least `pid`; everything else in it is the runtime's business.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

# Children of an instance change seldom, and finding them means reading every process on the machine.
CHILDREN_EVERY_SECONDS = 10.0
_LARGEST_PID = 2**22  # PID_MAX_LIMIT of Linux


class ServiceMeter:
    """Measures each recorded instance: its process and that one's children."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._now = folder, now
        self._families: dict[int, list[psutil.Process]] = {}
        self._looked_for: set[int] = set()
        self._found_at = -CHILDREN_EVERY_SECONDS
        self._spent: dict[psutil.Process, float] = {}
        self._measured_at = now()

    def measure(self) -> dict[str, dict[str, float]]:
        """Instance → `{cpu: cores since the last call, memory: bytes}`. What cannot be read is left out."""
        pids = self._recorded()
        self._find_families(set(pids.values()))
        before, self._spent = self._spent, {}
        then, self._measured_at = self._measured_at, self._now()
        elapsed = self._measured_at - then
        return {
            name: self._family(self._families[pid], before, elapsed)
            for name, pid in sorted(pids.items())
            if pid in self._families
        }

    def _recorded(self) -> dict[str, int]:
        found = {}
        for path in self._folder.glob("*.json"):
            try:
                pid = json.loads(path.read_text())["pid"]
            except (OSError, ValueError, KeyError, TypeError):
                continue  # half gone or not ours: the next beat will tell
            if type(pid) is int and 0 < pid <= _LARGEST_PID:
                found[path.stem] = pid
        return found

    def _find_families(self, pids: set[int]) -> None:
        due = self._now() - self._found_at >= CHILDREN_EVERY_SECONDS
        if not due and pids == self._looked_for:
            return
        self._found_at, self._looked_for = self._now(), pids
        children = _children() if pids else {}
        self._families = {}
        for pid in pids:
            with suppress(psutil.Error, OSError):
                self._families[pid] = _with_descendants(psutil.Process(pid), children)

    def _family(
        self, family: list[psutil.Process], before: dict[psutil.Process, float], elapsed: float
    ) -> dict[str, float]:
        """A process seen for the first time has spent nothing yet: its past is no part of this beat."""
        seconds, memory = 0.0, 0
        for each in family:
            with suppress(psutil.Error, OSError), each.oneshot():
                times = each.cpu_times()
                memory += each.memory_info().rss
                self._spent[each] = times.user + times.system
                seconds += max(self._spent[each] - before.get(each, self._spent[each]), 0.0)
        return {"cpu": round(seconds / elapsed, 3) if elapsed > 0 else 0.0, "memory": memory}


def _children() -> dict[int, list[psutil.Process]]:
    """The children of each process on this machine, found in one pass: with many services that is what counts."""
    found: dict[int, list[psutil.Process]] = {}
    for each in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            found.setdefault(each.ppid(), []).append(each)
    return found


def _with_descendants(head: psutil.Process, children: dict[int, list[psutil.Process]]) -> list[psutil.Process]:
    family, seen = [head], {head.pid}
    for each in family:  # grows as it goes
        for child in children.get(each.pid, ()):
            if child.pid not in seen and child.create_time() >= each.create_time():  # or the parent's pid was reused
                seen.add(child.pid)
                family.append(child)
    return family
