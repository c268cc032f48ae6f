"""BackupSchedule: a Backup when one is due, the newest kept, and drills that prove the newest can be restored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from controller.reconcile.outcome import Outcome, done
from controller.reconcile.reconciler import AlsoWatch, Lister, World
from controller.reconcilers.backup import BackupJobs, BackupOrder, told
from crds.conditions import ConditionType, Reason
from crds.errors import AlreadyExists, NotFound
from crds.event_reasons import EventReason
from crds.kind import Kind, key_of
from crds.kinds.backup import BACKUP, BACKUP_SCHEDULE, SCHEDULE_LABEL, Backup, BackupSchedule, BackupSpec
from crds.meta import ObjectKey, condition, set_condition
from crds.phases import BackupPhase

LOOK_SECONDS = 60.0
RETRY_AFTER = timedelta(hours=1)
"""After a backup that failed; a drill that failed is repeated each day."""
DRILL_RETRY_AFTER = timedelta(days=1)
FAILED_KEPT = 3
_ENDED = (BackupPhase.SUCCEEDED, BackupPhase.FAILED)


class BackupScheduleReconciler:
    """Looks each minute, and when one of its Backups changes."""

    kind: Kind[BackupSchedule] = BACKUP_SCHEDULE
    finalizer: str | None = None

    def __init__(self, jobs: BackupJobs) -> None:
        self._jobs = jobs
        self.also_watch: Sequence[AlsoWatch[Any]] = (AlsoWatch(BACKUP, _schedule_of),)

    async def reconcile(self, resource: BackupSchedule, world: World) -> Outcome:
        """Never raises but what the resources do."""
        status, now = resource.status, world.clock.now()
        status.observed_generation = resource.metadata.generation
        mine = _backups_of(resource, world.seen)
        _note(resource, mine, now)
        await _forget_old(resource, mine, world)
        if resource.spec.suspended:
            status.next_backup_at = None
            return done("suspended: no backup is made")
        status.next_backup_at = _due(resource, mine)
        if mine and mine[-1].status.phase not in _ENDED:
            return done("a backup is being made", requeue_after=LOOK_SECONDS)
        if status.next_backup_at is None or status.next_backup_at <= now:
            await _begin(resource, world)
        else:
            self._drill(resource, world)
        return done(requeue_after=LOOK_SECONDS)

    async def finalize(self, resource: BackupSchedule, world: World) -> Outcome:
        """Its Backups stay."""
        return done()

    def _drill(self, resource: BackupSchedule, world: World) -> None:
        name, status, now = f"{resource.metadata.uid}/drill", resource.status, world.clock.now()
        job = self._jobs.find(name)
        if job is None:
            if _drill_is_due(resource, now):
                order = BackupOrder("check", resource.spec.to)
                self._jobs.start(name, order, key_of(BACKUP_SCHEDULE, resource))
            return
        if not job.finished:
            return
        self._jobs.drop(name)
        status.last_drill_at = now
        text = job.failure or _proven(job.result)
        reason = Reason.DRILL_FAILED if job.failure else Reason.DRILL_SUCCEEDED
        set_condition(status.conditions, told(ConditionType.RESTORABLE, reason, text, not job.failure), now=now)
        event = EventReason.DRILL_FAILED if job.failure else EventReason.DRILL_SUCCEEDED
        world.events.record(resource, event, text, warning=bool(job.failure))


def _proven(result: dict[str, Any]) -> str:
    text = f"{result['id']}: {result['resources']} resources"
    return f"{text}, {result['counts']}" if result["counts"] else text


def _schedule_of(changed: Backup, seen: Lister) -> Iterator[ObjectKey]:
    if name := (changed.metadata.labels or {}).get(SCHEDULE_LABEL):
        yield BACKUP_SCHEDULE.key(name)


def _backups_of(resource: BackupSchedule, seen: Lister) -> list[Backup]:
    """Oldest first."""
    name = resource.metadata.name
    mine = [each for each in seen.list(BACKUP) if (each.metadata.labels or {}).get(SCHEDULE_LABEL) == name]
    return sorted(mine, key=lambda each: (str(each.metadata.creation_timestamp), each.metadata.name))


def _note(resource: BackupSchedule, mine: Sequence[Backup], now: datetime) -> None:
    """What became of them."""
    status, ended = resource.status, [each for each in mine if each.status.phase in _ENDED]
    whole = [each for each in ended if each.status.phase == BackupPhase.SUCCEEDED]
    if whole:
        status.last_backup, status.last_backup_at = whole[-1].status.id, whole[-1].status.started_at
    if not ended:
        return
    last = ended[-1]
    if last.status.phase == BackupPhase.SUCCEEDED:
        new = told(ConditionType.BACKED_UP, Reason.BACKUP_SUCCEEDED, last.status.id, True)
    else:
        why = condition(last.status.conditions, ConditionType.COMPLETE)
        text = f"{last.metadata.name}: {why.message if why else 'nobody says why'}"
        new = told(ConditionType.BACKED_UP, Reason.BACKUP_FAILED, text)
    set_condition(status.conditions, new, now=now)


def _due(resource: BackupSchedule, mine: Sequence[Backup]) -> datetime | None:
    """When the next one is; None for at once."""
    if not mine or (began := mine[-1].metadata.creation_timestamp) is None:
        return None
    every = timedelta(hours=resource.spec.every_hours)
    return began + (min(every, RETRY_AFTER) if mine[-1].status.phase == BackupPhase.FAILED else every)


async def _begin(resource: BackupSchedule, world: World) -> None:
    name = f"{resource.metadata.name}-{world.clock.now():%Y%m%d-%H%M%S}"
    made = BACKUP.new(name, spec=BackupSpec(to=resource.spec.to))
    made.metadata.labels = {SCHEDULE_LABEL: resource.metadata.name}
    try:
        await world.resources.create(BACKUP, made)
    except AlreadyExists:
        return


async def _forget_old(resource: BackupSchedule, mine: Sequence[Backup], world: World) -> None:
    whole = [each for each in mine if each.status.phase == BackupPhase.SUCCEEDED]
    failed = [each for each in mine if each.status.phase == BackupPhase.FAILED]
    for each in (*whole[: -resource.spec.keep], *failed[:-FAILED_KEPT]):
        if each.metadata.deletion_timestamp is None:
            try:
                await world.resources.delete(BACKUP, each.metadata.name, uid=each.metadata.uid)
            except NotFound:
                continue


def _drill_is_due(resource: BackupSchedule, now: datetime) -> bool:
    status, every = resource.status, timedelta(hours=resource.spec.drill_every_hours)
    if not every or not status.last_backup:
        return False
    failed = (found := condition(status.conditions, ConditionType.RESTORABLE)) and found.status == "False"
    since = status.last_drill_at
    return since is None or now >= since + (min(every, DRILL_RETRY_AFTER) if failed else every)
