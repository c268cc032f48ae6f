"""Stopping what a dead conductor left running: all of it for `aerekos down`, or what the next one cannot go on with.

Never while a conductor lives.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from pathlib import Path

from controller.runtime.process import state_files
from controller.runtime.process.processes import lives, reap, signal_group, signal_leader

_LOOK_EVERY_SECONDS = 0.02
_KILL_TAKES_SECONDS = 2.0
_UNKNOWN_GRACE_SECONDS = 10.0
AnyRecord = state_files.InstanceRecord | state_files.UnreadableRecord


def stop_orphans(home: Path) -> list[int]:
    """Stop every process group recorded under `home`; the pids that were still running.

    Blocks at most as long as the longest grace period (and 2 s): SIGTERM to all at once, SIGKILL for those that stay.
    """
    known: list[AnyRecord] = [*state_files.read_all(home), *state_files.read_unreadable(home)]
    return _end(home, known)


def end_unreadable(home: Path) -> list[str]:
    """Stop the instances whose records this version cannot read, so that it can start them again. Their names; blocks
    as `stop_orphans` does.
    """
    found = state_files.read_unreadable(home)
    _end(home, found)
    return [each.instance for each in found]


def _end(home: Path, known: Sequence[AnyRecord]) -> list[int]:
    running = [each for each in known if lives(each.pid, each.ticks)]
    for each in running:
        _ask_to_end(each)
    began = time.monotonic()
    for each in running:
        grace = (
            each.workload.stop_grace_seconds
            if isinstance(each, state_files.InstanceRecord)
            else _UNKNOWN_GRACE_SECONDS
        )
        _await_end(each, began + grace)
    for each in known:
        state_files.remove(home, each.instance)
    return [each.pid for each in running]


def _ask_to_end(record: AnyRecord) -> None:
    stop = record.workload.stop_signal if isinstance(record, state_files.InstanceRecord) else "SIGTERM"
    if stop == "SIGTERM":
        signal_group(record.pid, signal.SIGTERM)
    else:
        signal_leader(record.pid, signal.Signals[stop])
    signal_group(record.pid, signal.SIGCONT)  # a stopped process hears nothing else


def _await_end(record: AnyRecord, deadline: float) -> None:
    while lives(record.pid, record.ticks) and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_SECONDS)
    signal_group(record.pid, signal.SIGKILL)
    while lives(record.pid, record.ticks) and time.monotonic() < deadline + _KILL_TAKES_SECONDS:
        time.sleep(_LOOK_EVERY_SECONDS)
    reap(record.pid)
