"""What was seen → ServiceStatus. Holds no volatile field: the same truth written again changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from controller.runtime.driver import ObservedInstance
from controller.scheduler.placing import PlacementDecision
from crds.kinds.service import Instance, Refusal, Service, ServiceSpec
from crds.kinds.service_rules import foreign_fields
from crds.meta import Condition, set_condition

Phase = Literal[
    "Disabled",
    "Scaled to zero",
    "Waiting",
    "Starting",
    "Ready",
    "Degraded",
    "Updating",
    "Stopping",
    "Failed",
    "Completed",
]


IGNORED = "FieldsIgnored"


def desired_replicas(
    service: Service, seen: Sequence[ObservedInstance], decision: PlacementDecision | None = None
) -> int:
    """How many there should be; of a daemon, one on each worker that is Ready and that it may run on."""
    if not service.spec.enabled:
        return 0
    if service.spec.mode != "daemon":
        return service.spec.replicas
    there = sum(each.phase != "Stopping" for each in seen)
    return max(len(decision.chosen) if decision else 0, there, 1)


def _is_healthy(each: ObservedInstance) -> bool:
    return each.ready or each.phase == "Completed"


def note_instances(service: Service, seen: Sequence[ObservedInstance], revision: str, wanted: int) -> None:
    """Instances and the counts people read: ready `n/m`, updated."""
    status = service.status
    status.instances = [_instance(each) for each in seen]
    starts = {each.name: (each.started_at, each.restarts) for each in status.instances}
    notes = status.instance_notes.items()
    status.instance_notes = {
        name: each for name, each in notes if starts.get(name) == (each.started_at, each.restarts)
    }
    status.replicas = len(seen)
    status.ready_replicas = sum(_is_healthy(each) for each in seen)
    status.updated_replicas = sum(each.revision == revision for each in seen)
    status.revision = revision
    status.ready = f"{status.ready_replicas}/{wanted}"
    status.observed_generation = service.metadata.generation


def _instance(seen: ObservedInstance) -> Instance:
    return Instance(
        name=seen.name,
        worker=seen.worker,
        address=seen.address,
        ready=seen.ready,
        phase=seen.phase,
        restarts=seen.restarts,
        # The wire keeps whole seconds; a fraction here would differ from what is read back each time.
        started_at=seen.started_at.replace(microsecond=0) if seen.started_at else None,
        revision=seen.revision,
        message=seen.message,
    )


def phase_of(service: Service, seen: Sequence[ObservedInstance], revision: str, wanted: int) -> Phase:
    """One word for a service that is wanted and may run."""
    ready = sum(_is_healthy(each) for each in seen)
    if seen and any(each.revision != revision for each in seen):
        return "Updating"
    if service.spec.mode == "job":
        return _phase_of_a_job(seen, wanted)
    # A copy too many is on its way to another machine, or leaves.
    if ready >= wanted > 0:
        return "Ready"
    if service.status.phase == "Updating" and not any(each.phase in ("Failed", "BackingOff") for each in seen):
        return "Updating"  # the last new copy is on its way
    if ready:
        return "Degraded"
    if seen and all(each.phase in ("Failed", "BackingOff") for each in seen):
        return "Failed"
    return "Starting"


def _phase_of_a_job(seen: Sequence[ObservedInstance], wanted: int) -> Phase:
    """Running is what a job is there for, and failing once is nothing: it tries again."""
    if sum(each.phase == "Completed" for each in seen) >= wanted:
        return "Completed"
    if any(each.ready for each in seen):
        return "Ready"
    broken = seen and all(each.phase in ("Failed", "BackingOff", "Completed") for each in seen)
    return "Failed" if broken else "Starting"


def sentence(service: Service, seen: Sequence[ObservedInstance], phase: Phase, wanted: int) -> str:
    """Why it is or is not Ready, naming the first instance that stands in the way."""
    ready = sum(_is_healthy(each) for each in seen)
    text = f"{ready} of {wanted} instances {'completed' if phase == 'Completed' else 'ready'}"
    stuck = next((each for each in seen if not _is_healthy(each)), None)
    if stuck is None or phase in ("Ready", "Completed"):
        return text
    because = f": {stuck.message}" if stuck.message else ""
    return f"{text}; {stuck.name} is {stuck.phase}{because}"


def note(service: Service, kind: str, ok: bool, reason: str, message: str, now: datetime) -> None:
    """One condition. A Ready is kept first, because the wide table shows the first one."""
    new = Condition(type=kind, status="True" if ok else "False", reason=reason, message=message)
    set_condition(service.status.conditions, new, now=now)
    service.status.conditions.sort(key=lambda each: each.type != "Ready")


def note_ignored(service: Service, now: datetime) -> Service:
    """The service as its manifest allows it: fields stored before they were refused do not count, and it is told."""
    given = service.spec.wire()
    ignored = foreign_fields(given) if service.spec.managed else []
    known = any(each.type == IGNORED for each in service.status.conditions)
    if not ignored:
        if known:
            note(service, IGNORED, False, "NothingIgnored", "", now)
        return service
    text = f"{service.spec.managed} runs what its manifest says; not taken: {', '.join(ignored)}. Leave them out"
    note(service, IGNORED, True, "FromManifestOnly", text, now)
    kept = {field: value for field, value in given.items() if field not in ignored}
    return service.model_copy(update={"spec": ServiceSpec.model_validate(kept)})


def note_isolation(service: Service, lacks: Sequence[str], now: datetime) -> None:
    """Condition Isolated: whether this machine can wall its processes in, and what it cannot do."""
    note(service, "Isolated", not lacks, "Partly" if lacks else "WalledIn", "; ".join(lacks), now)


def note_placed(service: Service, decision: PlacementDecision, message: str, now: datetime) -> None:
    """Condition Placed, and every worker's refusal."""
    service.status.refusals = [Refusal(worker=each.worker, reason=each.reason) for each in decision.refusals]
    ok = bool(decision.chosen)
    note(service, "Placed", ok, "WorkersChosen" if ok else "Unplaceable", message, now)


def note_missing(service: Service, missing: Sequence[str], now: datetime) -> None:
    """Condition Degraded while a running service misses something it needs; silent when it never did."""
    known = any(each.type == "Degraded" for each in service.status.conditions)
    if missing:
        note(service, "Degraded", True, "NeedMissing", f"runs on, but waits for {', '.join(missing)}", now)
    elif known:
        note(service, "Degraded", False, "NeedsMet", "everything it needs is Ready", now)
