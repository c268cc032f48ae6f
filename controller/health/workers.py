"""Findings about workers: silent ones, full disks and memories as their heartbeats tell, clocks that differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from controller.health.finding import Code, Finding, about
from controller.health.machine import Room, disk_finding, memory_finding
from controller.kit.leases import HeartbeatLease, Leases
from crds.conditions import ConditionType
from crds.kinds.worker import WORKER
from crds.meta import ObjectKey
from crds.quantity import parse_quantity

Body = Mapping[str, Any]
ONE_BY_ONE, NAMED = 3, 6
"""Silent workers that are told one by one at most, and how many are named of those that are told together."""
SKEW_SECONDS = 30.0
"""Signatures and tokens allow for minutes; more than this, and something does not keep the clock."""


def of_workers(workers: Sequence[Body], leases: Leases, own: str = "") -> Iterator[Finding]:
    """`own`: the worker on the conductor's own disk, which is looked at there."""
    ready = [each for each in workers if _ready(each).get("status") == "True"]
    if not ready:
        text = "no worker is ready: nothing can run" if workers else "there is no worker: nothing can run"
        yield Finding("critical", Code.NO_WORKER_READY, text, "is its agent running? is the network up?")
    silent = [each for each in workers if _ready(each).get("status") == "False"]
    if len(silent) > ONE_BY_ONE:
        yield _silent_together(silent, len(workers))
    for each in workers:
        if each not in silent:
            yield from _of_worker(each, leases.get(each["metadata"]["name"]), own)
        elif len(silent) <= ONE_BY_ONE:
            yield _silent(each)


def _silent(worker: Body) -> Finding:
    name = worker["metadata"]["name"]
    text = f"worker {name}: {_ready(worker).get('message') or 'no heartbeat'}"
    fix = "is aerekos-agent running there? is the network up?"
    return about("critical", Code.WORKER_NOT_READY, WORKER, WORKER.key(name), text, fix)


def _silent_together(silent: Sequence[Body], count: int) -> Finding:
    """One finding: so many at once have one cause."""
    names = sorted(each["metadata"]["name"] for each in silent)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    text = f"{len(names)} of {count} workers have no heartbeat: {', '.join(names[:NAMED])}{more}"
    fix = "look at their network and power first: so many at once have one cause"
    return Finding("critical", Code.WORKER_NOT_READY, text, fix, None, WORKER.name)


def _of_worker(worker: Body, lease: HeartbeatLease | None, own: str) -> Iterator[Finding]:
    name = worker["metadata"]["name"]
    key = WORKER.key(name)
    if worker.get("spec", {}).get("unschedulable"):
        text = f"worker {name} is cordoned: nothing new is placed there"
        yield about("warning", Code.WORKER_CORDONED, WORKER, key, text, f"kubectl uncordon {name}")
    if lease is not None:
        yield from _of_lease(worker, lease, key, own)


def _of_lease(worker: Body, lease: HeartbeatLease, key: ObjectKey, own: str) -> Iterator[Finding]:
    capacity = worker.get("status", {}).get("capacity") or {}
    if lease.worker != own:
        yield from disk_finding(f"worker {key.name}", _room(lease.usage.disk, capacity.get("disk")), key, WORKER.name)
    yield from memory_finding(
        f"worker {key.name}", _room(lease.usage.memory, capacity.get("memory")), key, WORKER.name
    )
    skew = lease.clock_skew
    if skew is not None and abs(skew) > SKEW_SECONDS:
        where = "ahead of" if skew > 0 else "behind"
        text = f"the clock of worker {key.name} is {abs(skew):.0f} s {where} the conductor's"
        yield about(
            "warning", Code.CLOCK_SKEWED, WORKER, key, text, "keep both clocks by NTP: timedatectl set-ntp true"
        )


def _ready(worker: Body) -> Body:
    conditions = worker.get("status", {}).get("conditions") or ()
    return next((each for each in conditions if each.get("type") == ConditionType.READY), {})


def _room(used: float, total: object) -> Room:
    return Room(used, float(parse_quantity(str(total or 0))))
