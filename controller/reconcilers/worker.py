"""Worker: Ready as long as its lease lives.

Silence is nobody's event: `Leases.watch` brings us here at the exact moment a lease runs out, and the API on the
first beat after a silence. In between, one look every half minute keeps the coarse usage true; so a thousand living
workers cost next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from controller.kit.leases import BEAT_PERIOD, LEASE_SECONDS, HeartbeatLease, Leases
from controller.reconcile.outcome import Outcome, done
from controller.reconcile.reconciler import AlsoWatch, World
from controller.reconcilers.worker_removal import WorkerRemoval
from controller.reconcilers.worker_usage import amounts, moved
from crds.conditions import ConditionType, Reason
from crds.event_reasons import EventReason
from crds.kind import Kind
from crds.kinds.worker import WORKER, Address, Worker
from crds.meta import Condition, condition, set_condition
from crds.phases import WorkerPhase

USAGE_SECONDS = 30.0
# Looking at the very moment of expiry could see a hair of life left, and then look again at once.
_AFTER_EXPIRY = 0.001


class WorkerReconciler:
    """Turns leases into the condition Ready, coarse usage and addresses."""

    kind: Kind[Worker] = WORKER
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(self, leases: Leases, leaving: WorkerRemoval | None = None) -> None:
        """With `leaving`, a worker that is deleted first leaves the Swarm."""
        self._leases, self._leaving = leases, leaving
        self.finalizer: str | None = "aerekos.cloud/swarm" if leaving else None

    async def reconcile(self, resource: Worker, world: World) -> Outcome:
        """Never raises; a worker that is away is the truth, not an error."""
        name = resource.metadata.name
        lease = self._leases.get(name)
        left = self._leases.expires_in(name) if lease else self._grace(resource, world)
        if lease is None and left > 0:
            return self._wait_for_first_beat(resource, left)
        if lease is not None:
            _note_usage(resource, lease)
            _note_addresses(resource, lease, world)
        alive = lease is not None and left > 0
        self._note_ready(resource, alive, world)
        if not alive:
            _forget_overlay(resource, world)
        resource.status.phase = phase(resource, ready=alive)
        resource.status.observed_generation = resource.metadata.generation
        return done(requeue_after=USAGE_SECONDS if alive else None)

    async def finalize(self, resource: Worker, world: World) -> Outcome:
        """Take one step of removing the worker. Only called where workers are nodes of a Swarm."""
        if self._leaving is not None:
            return await self._leaving.step(resource, world)
        self._leases.forget(resource.metadata.name)
        return done()

    def _grace(self, worker: Worker, world: World) -> float:
        """Seconds a worker never heard still has: a lease from its creation, or from this process's start."""
        created = worker.metadata.creation_timestamp
        age = (world.clock.now() - created).total_seconds() if created else LEASE_SECONDS
        return max(LEASE_SECONDS - age, self._leases.expires_in(worker.metadata.name))

    def _wait_for_first_beat(self, worker: Worker, left: float) -> Outcome:
        """This process has just begun: what was written before still stands until the grace is over."""
        known = condition(worker.status.conditions, ConditionType.READY)
        if known is not None:
            worker.status.phase = phase(worker, ready=known.status == "True")
        return done("waiting for its first heartbeat", requeue_after=left + _AFTER_EXPIRY)

    def _note_ready(self, worker: Worker, alive: bool, world: World) -> None:
        now = world.clock.now()
        before = condition(worker.status.conditions, ConditionType.READY)
        new = _ready() if alive else _silent(self._leases.age(worker.metadata.name), before)
        if before is not None and before.status == new.status and before.reason == new.reason:
            return  # the same truth: a growing number of silent seconds is no news
        set_condition(worker.status.conditions, new, now=now)
        if before is not None and before.status == new.status:
            return
        if alive:
            away = _absence(before, now.timestamp())
            world.events.record(worker, EventReason.WORKER_READY, f"{worker.metadata.name} is Ready{away}")
        else:
            text = f"{worker.metadata.name} is NotReady: {new.message}"
            world.events.record(worker, EventReason.WORKER_NOT_READY, text, warning=True)


def phase(worker: Worker, *, ready: bool) -> WorkerPhase:
    """Phase of a worker: its readiness, and whether something new may be placed there."""
    if worker.spec.unschedulable:
        return WorkerPhase.READY_CORDONED if ready else WorkerPhase.NOT_READY_CORDONED
    return WorkerPhase.READY if ready else WorkerPhase.NOT_READY


def _heartbeats(status: Literal["True", "False"], reason: Reason, message: str) -> Condition:
    return Condition(type=ConditionType.READY, status=status, reason=reason, message=message)


def _ready() -> Condition:
    return _heartbeats("True", Reason.HEARTBEAT_RECEIVED, "the agent sends heartbeats")


def _silent(age: float | None, before: Condition | None) -> Condition:
    """NoHeartbeatYet is for the first silence; one that was Ready before our own restart has gone missing."""
    if age is None and (before is None or before.reason == Reason.NO_HEARTBEAT_YET):
        message = "no heartbeat yet: is aerekos-agent running there?"
        return _heartbeats("False", Reason.NO_HEARTBEAT_YET, message)
    # Since when, the condition's own time says; a number of seconds would be wrong a second later.
    missed = 3 if age is None else int(age / BEAT_PERIOD)
    message = f"no heartbeat: {missed} in a row were missed"
    return _heartbeats("False", Reason.HEARTBEAT_MISSED, message)


def _forget_overlay(worker: Worker, world: World) -> None:
    """What a silent machine said last of its network is no longer known."""
    known = condition(worker.status.conditions, ConditionType.OVERLAY_REACHABLE)
    if known is not None and known.status != "Unknown":
        text = f"no heartbeat from {worker.metadata.name}; before: {known.message}"
        unknown = Condition(type=known.type, status="Unknown", reason=Reason.NO_HEARTBEAT, message=text)
        set_condition(worker.status.conditions, unknown, now=world.clock.now())


def _absence(before: Condition | None, now: float) -> str:
    if before is None or before.last_transition_time is None:
        return ""
    return f" after {now - before.last_transition_time.timestamp():.0f} s of absence"


def _note_usage(worker: Worker, lease: HeartbeatLease) -> None:
    if moved(worker.status.usage, lease.usage, worker.status.capacity):
        worker.status.usage = amounts(lease.usage)


def _note_addresses(worker: Worker, lease: HeartbeatLease, world: World) -> None:
    seen = list(lease.addresses)
    known = [each.address for each in worker.status.addresses if each.type == "InternalIP"]
    if not seen or sorted(seen) == sorted(known):
        return
    names = [each for each in worker.status.addresses if each.type != "InternalIP"]
    worker.status.addresses = [Address(address=each) for each in seen] + names
    # Where a node of a Swarm is now, its own words tell, and how long it was away: api/agents/peer_addresses.py.
    if known and lease.swarm is None:
        text = f"{worker.metadata.name} moved from {', '.join(known)} to {', '.join(seen)}"
        world.events.record(worker, EventReason.ADDRESS_CHANGED, text)
