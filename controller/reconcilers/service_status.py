"""From instances that were observed to a ServiceStatus. Holds no volatile field: the same truth written again changes
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from controller.runtime.driver import ObservedInstance
from controller.scheduler.placing import PlacementDecision
from crds.conditions import ConditionType, Reason
from crds.kinds.service import Instance, Refusal, Service, ServiceSpec
from crds.kinds.service_rules import foreign_fields
from crds.meta import Condition, set_condition
from crds.phases import InstancePhase, ServicePhase

_BROKEN = (InstancePhase.FAILED, InstancePhase.CRASH_LOOP_BACK_OFF)


def desired_replicas(
    service: Service, seen: Sequence[ObservedInstance], decision: PlacementDecision | None = None
) -> int:
    """Number of instances there should be; of a daemon, one on each worker that is Ready and that it may run on."""
    if not service.spec.enabled:
        return 0
    if service.spec.mode != "daemon":
        return service.spec.replicas
    there = sum(each.phase != InstancePhase.STOPPING for each in seen)
    return max(len(decision.chosen) if decision else 0, there, 1)


def _is_healthy(each: ObservedInstance) -> bool:
    return each.ready or each.phase == InstancePhase.COMPLETED


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


def phase_of(service: Service, seen: Sequence[ObservedInstance], revision: str, wanted: int) -> ServicePhase:
    """One word for a service that is wanted and may run."""
    ready = sum(_is_healthy(each) for each in seen)
    if seen and any(each.revision != revision for each in seen):
        return ServicePhase.UPDATING
    if service.spec.mode == "job":
        return _phase_of_a_job(seen, wanted)
    # A copy too many is on its way to another machine, or leaves.
    if ready >= wanted > 0:
        return ServicePhase.READY
    if service.status.phase == ServicePhase.UPDATING and not any(each.phase in _BROKEN for each in seen):
        return ServicePhase.UPDATING  # the last new copy is on its way
    if ready:
        return ServicePhase.DEGRADED
    if seen and all(each.phase in _BROKEN for each in seen):
        return ServicePhase.FAILED
    return ServicePhase.STARTING


def _phase_of_a_job(seen: Sequence[ObservedInstance], wanted: int) -> ServicePhase:
    """Running is what a job is there for, and failing once is nothing: it tries again."""
    if sum(each.phase == InstancePhase.COMPLETED for each in seen) >= wanted:
        return ServicePhase.COMPLETED
    if any(each.ready for each in seen):
        return ServicePhase.READY
    broken = seen and all(each.phase in (*_BROKEN, InstancePhase.COMPLETED) for each in seen)
    return ServicePhase.FAILED if broken else ServicePhase.STARTING


def sentence(service: Service, seen: Sequence[ObservedInstance], phase: ServicePhase, wanted: int) -> str:
    """A sentence that says why a Service is or is not Ready, naming the first instance that stands in the way."""
    ready = sum(_is_healthy(each) for each in seen)
    text = f"{ready} of {wanted} instances {'completed' if phase == ServicePhase.COMPLETED else 'ready'}"
    stuck = next((each for each in seen if not _is_healthy(each)), None)
    if stuck is None or phase in (ServicePhase.READY, ServicePhase.COMPLETED):
        return text
    because = f": {stuck.message}" if stuck.message else ""
    return f"{text}; {stuck.name} is {stuck.phase}{because}"


def note(service: Service, kind: ConditionType, ok: bool, reason: str, message: str, now: datetime) -> None:
    """One condition. A Ready is kept first, because the wide table shows the first one."""
    new = Condition(type=kind, status="True" if ok else "False", reason=reason, message=message)
    set_condition(service.status.conditions, new, now=now)
    service.status.conditions.sort(key=lambda each: each.type != ConditionType.READY)


def note_ignored(service: Service, now: datetime) -> Service:
    """The service as its manifest allows it: fields stored before they were refused do not count, and it is told."""
    given = service.spec.wire()
    ignored = foreign_fields(given) if service.spec.managed else []
    known = any(each.type == ConditionType.FIELDS_IGNORED for each in service.status.conditions)
    if not ignored:
        if known:
            note(service, ConditionType.FIELDS_IGNORED, False, Reason.NOTHING_IGNORED, "", now)
        return service
    text = f"{service.spec.managed} runs what its manifest says; not taken: {', '.join(ignored)}. Leave them out"
    note(service, ConditionType.FIELDS_IGNORED, True, Reason.FROM_MANIFEST_ONLY, text, now)
    kept = {field: value for field, value in given.items() if field not in ignored}
    return service.model_copy(update={"spec": ServiceSpec.model_validate(kept)})


def note_isolation(service: Service, lacks: Sequence[str], now: datetime) -> None:
    """Condition Isolated: whether this machine can wall its processes in, and what it cannot do."""
    reason = Reason.SANDBOX_INCOMPLETE if lacks else Reason.SANDBOXED
    note(service, ConditionType.ISOLATED, not lacks, reason, "; ".join(lacks), now)


def note_overfull(service: Service, overfull: Sequence[str], now: datetime) -> None:
    """Condition VolumeOverfull while a volume holds more than it is meant to; silent when none ever did."""
    if overfull or any(each.type == ConditionType.VOLUME_OVERFULL for each in service.status.conditions):
        reason = Reason.REQUEST_EXCEEDED if overfull else Reason.WITHIN_REQUEST
        note(service, ConditionType.VOLUME_OVERFULL, bool(overfull), reason, "; ".join(overfull), now)


def note_placed(service: Service, decision: PlacementDecision, message: str, now: datetime) -> None:
    """Condition Placed, and every worker's refusal."""
    service.status.refusals = [Refusal(worker=each.worker, reason=each.reason) for each in decision.refusals]
    ok = bool(decision.chosen)
    reason = Reason.WORKERS_CHOSEN if ok else Reason.UNSCHEDULABLE
    note(service, ConditionType.PLACED, ok, reason, message, now)


def note_missing(service: Service, missing: Sequence[str], now: datetime) -> None:
    """Condition Degraded while a running service misses something it needs; silent when it never did."""
    known = any(each.type == ConditionType.DEGRADED for each in service.status.conditions)
    if missing:
        note(
            service,
            ConditionType.DEGRADED,
            True,
            Reason.DEPENDENCY_MISSING,
            f"runs on, but waits for {', '.join(missing)}",
            now,
        )
    elif known:
        note(service, ConditionType.DEGRADED, False, Reason.DEPENDENCIES_MET, "everything it needs is Ready", now)
