"""CPU and memory of each service on this machine, read from the process runtime's records.

A record is `run/instances/<instance>.json` with at least `pid`; everything else in it is the runtime's business.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import psutil

# Children of an instance change seldom, and finding them means reading every process on the machine.
CHILDREN_EVERY_SECONDS = 10.0


class ServiceMeter:
    """Measures each recorded instance: its process and that one's children."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._families: dict[int, list[psutil.Process]] = {}
        self._found_at = -CHILDREN_EVERY_SECONDS
        self._spent: dict[int, tuple[float, float]] = {}

    def measure(self) -> dict[str, dict[str, float]]:
        """Instance → `{cpu: cores since the last call, memory: bytes}`. What cannot be read is left out."""
        pids = self._recorded()
        self._find_families(set(pids.values()))
        measured = {name: self._family(pid) for name, pid in sorted(pids.items()) if pid in self._families}
        self._spent = {pid: spent for pid, spent in self._spent.items() if pid in self._families}
        return measured

    def _recorded(self) -> dict[str, int]:
        found = {}
        for path in self._folder.glob("*.json"):
            try:
                pid = int(json.loads(path.read_text())["pid"])
            except (OSError, ValueError, KeyError, TypeError):
                continue  # half gone or not ours: the next beat will tell
            if pid > 0:
                found[path.stem] = pid
        return found

    def _find_families(self, pids: set[int]) -> None:
        due = time.monotonic() - self._found_at >= CHILDREN_EVERY_SECONDS
        if not due and pids == set(self._families):
            return
        self._found_at = time.monotonic()
        self._families = {}
        for pid in pids:
            try:
                head = psutil.Process(pid)
                self._families[pid] = [head, *head.children(recursive=True)]
            except psutil.Error:
                continue

    def _family(self, pid: int) -> dict[str, float]:
        seconds, memory = 0.0, 0
        for each in self._families[pid]:
            try:
                with each.oneshot():
                    times = each.cpu_times()
                    seconds, memory = seconds + times.user + times.system, memory + each.memory_info().rss
            except psutil.Error:
                continue
        return {"cpu": self._cores(pid, seconds), "memory": memory}

    def _cores(self, pid: int, seconds: float) -> float:
        now = time.monotonic()
        before, then = self._spent.get(pid, (seconds, now))
        self._spent[pid] = (seconds, now)
        return round(max(seconds - before, 0.0) / (now - then), 3) if now > then else 0.0
