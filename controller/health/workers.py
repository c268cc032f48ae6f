"""Findings about workers: silent ones, full disks and memories as their heartbeats tell, clocks that differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from controller.health.finding import Code, Finding, about
from controller.health.machine import Room, disk_finding, memory_finding
from controller.kit.leases import Lease, Leases
from crds.kinds.worker import WORKER
from crds.meta import ObjectKey
from crds.quantity import parse_quantity

Body = Mapping[str, Any]
SKEW_SECONDS = 30.0
"""Signatures and tokens allow for minutes; more than this, and something does not keep the clock."""


def of_workers(workers: Sequence[Body], leases: Leases, own: str = "") -> Iterator[Finding]:
    """`own`: the worker on the conductor's own disk, which is looked at there."""
    ready = [each for each in workers if _ready(each).get("status") == "True"]
    if not ready:
        text = "no worker is ready: nothing can run" if workers else "there is no worker: nothing can run"
        yield Finding("critical", Code.NO_WORKER_READY, text, "is its agent running? is the network up?")
    for each in workers:
        yield from _of_worker(each, leases.get(each["metadata"]["name"]), own)


def _of_worker(worker: Body, lease: Lease | None, own: str) -> Iterator[Finding]:
    name = worker["metadata"]["name"]
    key, known = WORKER.key(name), _ready(worker)
    if known.get("status") == "False":
        text = f"worker {name} is silent: {known.get('message', '')}"
        fix = "is aerekos-agent running there? is the network up?"
        yield about("critical", Code.WORKER_NOT_READY, WORKER, key, text, fix)
        return
    if worker.get("spec", {}).get("unschedulable"):
        text = f"worker {name} is cordoned: nothing new is placed there"
        yield about("warning", Code.WORKER_CORDONED, WORKER, key, text, f"kubectl uncordon {name}")
    if lease is not None:
        yield from _of_lease(worker, lease, key, own)


def _of_lease(worker: Body, lease: Lease, key: ObjectKey, own: str) -> Iterator[Finding]:
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
    return next((each for each in conditions if each.get("type") == "Ready"), {})


def _room(used: float, total: object) -> Room:
    return Room(used, float(parse_quantity(str(total or 0))))
