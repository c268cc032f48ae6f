"""Filters: each looks at one worker and returns why not, in words, or None when it has nothing against it.

Every refusal carries two texts: `short` is counted in summaries ("2 workers lack CPU"), `reason` has the numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from controller.scheduler.candidate import Candidate, Request
from crds.kinds.service import Toleration
from crds.kinds.worker import Taint
from crds.quantity import format_bytes


@dataclass(frozen=True, slots=True)
class Objection:
    """`one` and `many` finish the sentences "1 worker ..." and "2 workers ..."."""

    reason: str
    one: str
    many: str


SILENT = "is not Ready"
Filter = Callable[[Request, Candidate], Objection | None]


def tolerated(taint: Taint, tolerations: tuple[Toleration, ...]) -> bool:
    """Kubernetes rules: an empty key with Exists tolerates all, an empty effect matches every effect."""
    return any(_tolerates(each, taint) for each in tolerations)


def _tolerates(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if not toleration.key:
        return True
    if toleration.key != taint.key:
        return False
    return toleration.operator == "Exists" or toleration.value == taint.value


def reachable(request: Request, worker: Candidate) -> Objection | None:
    """The runtime must be able to start things there."""
    if request.reach is None or worker.name in request.reach:
        return None
    reason = "the process runtime starts services only on its own machine"
    return Objection(reason, "is out of the runtime's reach", "are out of the runtime's reach")


def near_its_data(request: Request, worker: Candidate) -> Objection | None:
    """Data does not travel: a copy elsewhere would start with an empty volume."""
    if not request.data_on or worker.name in request.data_on:
        return None
    reason = f"does not keep its data, which is on {' and '.join(sorted(request.data_on))}"
    return Objection(reason, "does not keep its data", "do not keep its data")


def alive(request: Request, worker: Candidate) -> Objection | None:
    """A worker without a heartbeat gets nothing new."""
    return None if worker.ready else Objection(SILENT, SILENT, "are not Ready")


def open_for_work(request: Request, worker: Candidate) -> Objection | None:
    """A cordoned worker keeps what it has and gets nothing new."""
    return Objection("is cordoned", "is cordoned", "are cordoned") if worker.cordoned else None


def taints(request: Request, worker: Candidate) -> Objection | None:
    """Hard taints must be tolerated; PreferNoSchedule only costs points."""
    for taint in worker.taints:
        if taint.effect != "PreferNoSchedule" and not tolerated(taint, request.tolerations):
            text = f"{taint.key}={taint.value}" if taint.value else taint.key
            reason = f"has the taint {text}:{taint.effect}, which is not tolerated"
            return Objection(reason, "has a taint not tolerated", "have a taint not tolerated")
    return None


def labels(request: Request, worker: Candidate) -> Objection | None:
    """Every label of the selector must be there with that value."""
    missing = [f"{k}={v}" for k, v in sorted(request.labels.items()) if worker.labels.get(k) != v]
    if not missing:
        return None
    return Objection(f"lacks the label {', '.join(missing)}", "lacks a label", "lack a label")


def enough_cpu(request: Request, worker: Candidate) -> Objection | None:
    needs, free = request.needs.cpu, worker.free.cpu
    if needs <= 0 or needs <= free:
        return None
    return Objection(f"needs {needs:g} CPU, {_rounded_down(free)} free", "lacks CPU", "lack CPU")


def enough_memory(request: Request, worker: Candidate) -> Objection | None:
    return _enough_bytes("memory", request.needs.memory, worker.free.memory)


def enough_disk(request: Request, worker: Candidate) -> Objection | None:
    return _enough_bytes("disk", request.needs.disk, worker.free.disk)


def _enough_bytes(what: str, needs: float, free: float) -> Objection | None:
    if needs <= 0 or needs <= free:
        return None
    reason = f"needs {format_bytes(int(needs))} {what}, {format_bytes(int(free))} free"
    return Objection(reason, f"lacks {what}", f"lack {what}")


def _rounded_down(cores: float) -> str:
    # Rounded to nearest, "needs 2 CPU, 2 free" could be printed for 1.996 free cores.
    return f"{int(cores * 100) / 100:g}"


# In the order people would look: first whether the worker can be used at all, then whether there is room.
FILTERS: tuple[Filter, ...] = (
    reachable,
    near_its_data,
    alive,
    open_for_work,
    taints,
    labels,
    enough_cpu,
    enough_memory,
    enough_disk,
)
