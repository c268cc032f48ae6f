"""Coarse usage: written when it moved by a tenth of the capacity, so a heartbeat is almost never a record."""

from __future__ import annotations

from controller.kit.leases import Usage
from controller.scheduler.candidate import Needs
from crds.kinds.worker import Amounts

STEP = 0.10


def moved(written: Amounts, usage: Usage, capacity: Amounts) -> bool:
    """Whether any of CPU, memory, disk is at least ten points of capacity away from what was written."""
    old, room = Needs.of(written), Needs.of(capacity)
    pairs = (
        (old.cpu, usage.cpu, room.cpu),
        (old.memory, usage.memory, room.memory),
        (old.disk, usage.disk, room.disk),
    )
    return any(total > 0 and abs(now - then) / total >= STEP - 1e-9 for then, now, total in pairs)


def amounts(usage: Usage) -> Amounts:
    """Usage as quantities: millicores and whole mebibytes, precise enough for a coarse number."""
    return Amounts(
        cpu=f"{round(usage.cpu * 1000)}m",
        memory=f"{round(usage.memory / 2**20)}Mi",
        disk=f"{round(usage.disk / 2**20)}Mi",
    )
