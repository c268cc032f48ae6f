"""What the reconciler of Databases does for `spec.restore`: chooses what brings the moment back, has all of it read
before anything is written, and has it brought into the new server, which then starts from it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from crds.errors import NotFound
from crds.kinds.service import SERVICE
from crds.model import rfc3339, rfc3339_micro
from services.db_manager.backup_kinds import DATABASE_BACKUP
from services.db_manager.backups import base_backups, restoring
from services.db_manager.backups.archiving import BASES, stored_log
from services.db_manager.backups.base_backups import Archive
from services.db_manager.backups.catalog import (
    LatestMoment,
    RecoveryPlan,
    Unrestorable,
    WalChunk,
    overlapping,
    plan_recovery,
)
from services.db_manager.backups.places import BackupPlaces, archive_folder
from services.db_manager.backups.replication import lsn_of
from services.db_manager.backups.sealing import Damaged
from services.db_manager.backups.stores import Missing, StoreError
from services.db_manager.backups.wal_archiver import ArchiveState
from services.db_manager.conditions import BackupPhase, DatabaseReason, RestorePhase
from services.db_manager.faults import SERVER_FAULTS
from services.db_manager.kinds import DATABASE, Database, Endpoint, RestoreStatus
from services.db_manager.owned import RESTARTED_AT
from services.db_manager.valkey import snapshots
from services.sdk.reconcile import Temporary, World
from services.sdk.resources import Resources

_LOOK_AGAIN_SECONDS = 30.0
_WRONG = (Unrestorable, Damaged, Missing)
_FAILURES = (*SERVER_FAULTS, StoreError, Unrestorable, Damaged)


@dataclass
class _Job:
    """One attempt, as far as it has come."""

    task: asyncio.Task[None] | None = None
    phase: RestorePhase = RestorePhase.VERIFYING
    bytes: int = 0
    restarted: bool = False
    is_in: bool = False
    failure: Exception | None = field(default=None)


class DatabaseRestores:
    """`own`: the service's own resources. One attempt at a time for each Database."""

    def __init__(self, places: BackupPlaces, own: Resources) -> None:
        self._places, self._own = places, own
        self._jobs: dict[str, _Job] = {}

    async def choose(self, database: Database) -> None:
        """Before there is a server: what it begins with, in its status. Raises Temporary, saying what is missing."""
        if not database.is_being_restored or database.status.restore is not None:
            return
        try:
            chosen = await self._chosen(database)
        except _FAILURES as error:
            raise _failed(error) from error
        major, asked = chosen.version.partition(".")[0], (database.spec.version or "").partition(".")[0]
        if asked and asked != major and not database.is_valkey:
            raise _failed(Unrestorable(f"spec.version: its data is of PostgreSQL {major}, not {asked}"))
        database.status.restore = chosen

    async def bring(self, database: Database, server: str, endpoint: Endpoint, password: str, world: World) -> None:
        """Into the server that was made for it. Returns once that has started from it; Temporary until then."""
        status, uid = database.status.restore, database.metadata.uid or ""
        if not database.is_being_restored or status is None:
            return
        job = self._jobs.get(uid)
        if await _is_in(database, job, endpoint, password):
            self._jobs.pop(uid, None)
            status.phase = RestorePhase.DONE
            return
        if job is None:
            job = self._jobs[uid] = _Job()
            job.task = asyncio.create_task(self._run(job, database, endpoint, password))
        status.phase, status.bytes = job.phase, job.bytes
        if job.failure is not None:
            del self._jobs[uid]
            raise _failed(job.failure)
        if job.phase == RestorePhase.STARTING and not job.restarted:
            await self._restart(database, server, world)
            job.restarted = True
        text = (
            f"{job.phase.lower()}: {job.bytes >> 20} MiB of what {rfc3339_micro(status.time)} was"
            if status.time
            else ""
        )
        raise Temporary(text, reason=DatabaseReason.RESTORING, after=1.0)

    def forget(self, database: Database) -> None:
        """It is deleted."""
        job = self._jobs.pop(database.metadata.uid or "", None)
        if job is not None and job.task is not None:
            job.task.cancel()

    async def close(self) -> None:
        for each in self._jobs.values():
            if each.task is not None:
                each.task.cancel()

    async def _run(self, job: _Job, database: Database, endpoint: Endpoint, password: str) -> None:
        def brought(size: int) -> None:
            job.phase, job.bytes = RestorePhase.COPYING, size

        status = database.status.restore
        assert status is not None
        try:
            archive = await self._archive(database, status)
            plan = await _plan(archive, status, database.is_valkey)
            await restoring.verify(archive, status.folder, plan)
            uid = database.metadata.uid or ""
            if database.is_valkey:
                await snapshots.bring(archive, status.folder, plan.base, endpoint, password, brought)
                job.is_in = True
                return
            await restoring.bring(archive, status.folder, plan, endpoint, password, uid, brought)
            job.phase = RestorePhase.STARTING
        except Exception as error:
            job.failure = error

    async def _restart(self, database: Database, server: str, world: World) -> None:
        wish = {"metadata": {"annotations": {RESTARTED_AT: rfc3339(world.clock.now())}}}
        await self._own.patch(SERVICE, server, wish, database.metadata.namespace)

    async def _archive(self, database: Database, status: RestoreStatus) -> Archive:
        return await self._places.archive(database.metadata.namespace or "default", status.bucket, status.archive)

    async def _chosen(self, database: Database) -> RestoreStatus:
        """Raises what `choose` tells, Temporary."""
        wanted, namespace = database.spec.restore, database.metadata.namespace or "default"
        assert wanted is not None
        status = await (
            self._of_backup(wanted.backup, namespace)
            if wanted.backup
            else self._of_database(database, wanted.database or "", namespace)
        )
        plan = await _plan(await self._archive(database, status), status, database.is_valkey)
        if plan.base.engine != database.spec.engine:
            raise Unrestorable(f"spec.engine: its data is of {plan.base.engine}, not {database.spec.engine}")
        status.base, status.version = plan.base.id, plan.base.version
        status.database, status.username = plan.base.database, plan.base.username
        return status

    async def _of_backup(self, name: str, namespace: str) -> RestoreStatus:
        try:
            backup = await self._own.get(DATABASE_BACKUP, name, namespace)
        except NotFound:
            raise Unrestorable(f"spec.restore.backup: there is no DatabaseBackup {name}") from None
        said = backup.status
        if said.phase != BackupPhase.COMPLETED or said.time is None:
            raise Unrestorable(f"spec.restore.backup: the DatabaseBackup {name} is {said.phase}, not Completed")
        archive, kind, uid = said.folder.rsplit("/", 2)
        return RestoreStatus(
            bucket=said.bucket, archive=archive, folder=f"{kind}/{uid}", base=said.backup, time=said.time
        )

    async def _of_database(self, new: Database, name: str, namespace: str) -> RestoreStatus:
        try:
            source = await self._own.get(DATABASE, name, namespace)
        except NotFound:
            raise Unrestorable(f"spec.restore.database: there is no Database {name}") from None
        backup, wanted = source.status.backup, new.spec.restore
        if backup is None or backup.latest_restorable_time is None or wanted is None:
            raise Unrestorable(f"spec.restore.database: the Database {name} has no backups (spec.backup)")
        time = wanted.time or backup.latest_restorable_time
        if time > backup.latest_restorable_time:
            raise Unrestorable(
                f"spec.restore.time: {rfc3339_micro(time)} is not stored yet; the latest is "
                f"{rfc3339_micro(backup.latest_restorable_time)}"
            )
        archive = archive_folder(namespace, source.metadata.uid or "")
        return RestoreStatus(
            bucket=backup.bucket,
            archive=archive,
            folder=BASES,
            time=time,
            latest_lsn=backup.latest_lsn,
            system=backup.system,
        )


async def _is_in(database: Database, job: _Job | None, endpoint: Endpoint, password: str) -> bool:
    """PostgreSQL says which restore it is of. Valkey does not: what is interrupted begins anew."""
    if database.is_valkey:
        return job is not None and job.is_in
    return await restoring.restored_as(endpoint, password) == (database.metadata.uid or "")


async def _plan(archive: Archive, status: RestoreStatus, is_valkey: bool = False) -> RecoveryPlan:
    """Raises StoreError, Damaged, Unrestorable."""
    assert status.time is not None
    if status.folder != BASES:
        return RecoveryPlan(await base_backups.manifest(archive, status.folder, status.base))
    whole, damaged = await base_backups.manifests(archive, BASES)
    bases = [each for each in whole if each.completed_at <= status.time]
    if not bases and damaged:
        raise Damaged(damaged[0])
    if not bases:
        raise Unrestorable(f"there is no base backup from before {rfc3339_micro(status.time)}")
    base = max(bases, key=lambda each: each.completed_at)
    if is_valkey:
        return RecoveryPlan(base)
    log = await stored_log(archive, ArchiveState(system=base.system, timeline=base.timeline))
    log = await _of_ours(archive, log)
    latest = LatestMoment(status.time, status.system, lsn_of(status.latest_lsn or "0/0"))
    return plan_recovery([base], log, status.time, latest)


async def _of_ours(archive: Archive, log: list[WalChunk]) -> list[WalChunk]:
    """Without objects that do not open and lie over others: somebody else has put those there. Raises StoreError."""
    strange: set[WalChunk] = set()
    for each in overlapping(log):
        try:
            await archive.get(each.name)
        except (Damaged, Missing):
            strange.add(each)
    return [each for each in log if each not in strange]


def _failed(error: Exception) -> Temporary:
    """What is missing may be put back."""
    if isinstance(error, Temporary):
        return error
    reason = DatabaseReason.RESTORE_FAILED if isinstance(error, _WRONG) else DatabaseReason.RESTORING
    return Temporary(
        f"it cannot be restored: {str(error) or 'no answer in time'}", reason=reason, after=_LOOK_AGAIN_SECONDS
    )
