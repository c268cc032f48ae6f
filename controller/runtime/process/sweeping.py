"""Stopping what a dead conductor left running. For `aerekos down`; never while a conductor lives."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from controller.runtime.process import records
from controller.runtime.process.processes import lives, reap, signal_group

_LOOK_EVERY_SECONDS = 0.02
_KILL_TAKES_SECONDS = 2.0


def sweep(home: Path) -> list[int]:
    """Stop every process group recorded under `home`; the pids that were still running.

    Blocks at most as long as the longest grace period (and 2 s): SIGTERM to all at once, SIGKILL for those that stay.
    """
    running = [each for each in records.read_all(home) if lives(each.pid, each.ticks)]
    for each in running:
        signal_group(each.pid, signal.SIGTERM)
        signal_group(each.pid, signal.SIGCONT)  # a stopped process hears nothing else
    began = time.monotonic()
    for each in running:
        _await_end(each, began + each.wish.stop_grace_seconds)
    for each in records.read_all(home):
        records.remove(home, each.instance)
    return [each.pid for each in running]


def _await_end(record: records.Record, deadline: float) -> None:
    while lives(record.pid, record.ticks) and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_SECONDS)
    signal_group(record.pid, signal.SIGKILL)
    while lives(record.pid, record.ticks) and time.monotonic() < deadline + _KILL_TAKES_SECONDS:
        time.sleep(_LOOK_EVERY_SECONDS)
    reap(record.pid)
