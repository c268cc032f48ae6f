"""Backup: made once, by a process of its own (`BackupJobs`), and forgotten with its resource.

Its id follows from the time it was begun and its uid, which are stored before anything is: whoever goes on after a
restart makes the same backup, or finds it made. So a Backup that is in a backup itself, and comes back as running, is
not made twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from controller.reconcile.outcome import Outcome, Temporary, again, done
from controller.reconcile.reconciler import AlsoWatch, World
from crds.conditions import ConditionType, Reason
from crds.event_reasons import EventReason
from crds.kind import Kind, key_of
from crds.kinds.backup import BACKUP, Backup
from crds.meta import Condition, ObjectKey, set_condition
from crds.phases import BackupPhase

POLL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class BackupOrder:
    """What a job does: make a backup, try the newest one, or take one away.

    `made_at` and `mark`: of `create`. `id`: of `forget`.
    """

    action: Literal["create", "check", "forget"]
    to: str
    made_at: datetime | None = None
    mark: str = ""
    id: str = ""


@dataclass(slots=True)
class BackupJob:
    """How far one is. `result`: what it found, once `finished`; `failure`: why it could not, empty where it could."""

    read_bytes: int = 0
    new_bytes: int = 0
    finished: bool = False
    failure: str = ""
    result: dict[str, Any] = field(default_factory=dict)


class BackupJobs(Protocol):
    """Runs orders one after the other, in processes of their own. Nothing of it outlives the conductor."""

    def find(self, name: str) -> BackupJob | None:
        """The job of that name; None where there is none, or no longer."""
        ...

    def start(self, name: str, order: BackupOrder, wake: ObjectKey) -> None:
        """Begin it; `wake` is reconciled when it ends."""
        ...

    def drop(self, name: str) -> None:
        """Forget a job that has ended; end one that has not."""
        ...


class BackupReconciler:
    """Makes each Backup once."""

    kind: Kind[Backup] = BACKUP
    finalizer: str | None = "aerekos.cloud/backup"
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(self, jobs: BackupJobs) -> None:
        self._jobs = jobs

    async def reconcile(self, resource: Backup, world: World) -> Outcome:
        """Never raises."""
        status, uid = resource.status, str(resource.metadata.uid)
        status.observed_generation = resource.metadata.generation
        if status.phase in (BackupPhase.SUCCEEDED, BackupPhase.FAILED):
            self._jobs.drop(uid)
            return done()
        if status.started_at is None:
            status.phase, status.started_at = BackupPhase.RUNNING, world.clock.now()
            return again(0.1, "is about to begin")  # what the id follows from is stored first
        job = self._jobs.find(uid)
        if job is None:
            order = BackupOrder("create", resource.spec.to, made_at=status.started_at, mark=uid[:8])
            self._jobs.start(uid, order, key_of(BACKUP, resource))
            return again(POLL_SECONDS, "is being made")
        status.read_bytes, status.new_bytes = job.read_bytes, job.new_bytes
        if not job.finished:
            return again(POLL_SECONDS, "is being made")
        return _ended(resource, job, world)

    async def finalize(self, resource: Backup, world: World) -> Outcome:
        """Takes the backup away, unless it is to be retained. Raises Temporary while that is not possible."""
        uid, id = str(resource.metadata.uid), resource.status.id
        if not id or resource.spec.deletion_policy == "Retain":
            self._jobs.drop(uid)
            return done()
        name = f"{uid}/forget"
        job = self._jobs.find(name)
        if job is None:
            order = BackupOrder("forget", resource.spec.to, id=id)
            self._jobs.start(name, order, key_of(BACKUP, resource))
            return again(POLL_SECONDS, f"{id} is being deleted")
        if not job.finished:
            return again(POLL_SECONDS, f"{id} is being deleted")
        self._jobs.drop(name)
        if job.failure:
            raise Temporary(f"{id} cannot be deleted: {job.failure}; to leave it where it is: deletionPolicy: Retain")
        return done()


def _ended(resource: Backup, job: BackupJob, world: World) -> Outcome:
    status, now = resource.status, world.clock.now()
    status.finished_at = now
    if job.failure:
        status.phase = BackupPhase.FAILED
        set_condition(status.conditions, told(ConditionType.COMPLETE, Reason.BACKUP_FAILED, job.failure), now=now)
        world.events.record(resource, EventReason.BACKUP_FAILED, job.failure, warning=True)
        return done(job.failure)
    status.phase, status.id = BackupPhase.SUCCEEDED, str(job.result["id"])
    status.revision, status.resources = int(job.result["revision"]), int(job.result["resources"])
    text = f"{status.id}: {status.resources} resources at revision {status.revision}"
    if elsewhere := job.result.get("elsewhere"):
        text += f"; NOT in it: data of {elsewhere}, which lie on other workers"
    set_condition(status.conditions, told(ConditionType.COMPLETE, Reason.BACKUP_SUCCEEDED, text, True), now=now)
    world.events.record(resource, EventReason.BACKUP_SUCCEEDED, text)
    return done(text)


def told(kind: str, reason: str, message: str, holds: bool = False) -> Condition:
    """That condition, True when it `holds`."""
    return Condition(type=kind, status="True" if holds else "False", reason=reason, message=message)
