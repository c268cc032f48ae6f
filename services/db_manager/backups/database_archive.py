"""What the reconciler of Databases does for `spec.backup`: has its archive kept, says how it stands, and takes it
away again with a last backup before.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from crds.errors import AlreadyExists, NotFound
from crds.kinds.service import SERVICE
from crds.kinds.service_engines import superuser_secret
from crds.meta import is_true
from services.db_manager.backup_kinds import DATABASE_BACKUP, DatabaseBackupSpec
from services.db_manager.backups.archiving import Archiving, Report, Wanted, end_archiving, remove_archive
from services.db_manager.backups.base_backups import Archive, Source
from services.db_manager.backups.places import BackupPlaces, archive_folder
from services.db_manager.backups.replication import lsn_text
from services.db_manager.backups.stores import StoreError
from services.db_manager.conditions import BackupPhase, DatabaseCondition, DatabaseReason
from services.db_manager.credentials import superuser_password
from services.db_manager.kinds import BackupPolicy, BackupStatus, Database
from services.db_manager.names import member_name
from services.db_manager.rds.snapshot import snapshot_attributes
from services.db_manager.valkey.snapshots import ValkeySource
from services.sdk.reconcile import Temporary
from services.sdk.resources import Resources

_LEAST_LAG_SECONDS = 60.0
_SHIPMENTS_MISSED = 5


class DatabaseArchives:
    """`own`: the service's own resources."""

    def __init__(self, places: BackupPlaces, archiving: Archiving, own: Resources) -> None:
        self._places, self._archiving, self._own = places, archiving, own

    async def source(self, database: Database) -> Source | ValkeySource:
        """Its server. Raises Temporary while it is not ready."""
        endpoint, status = database.status.endpoint, database.status
        if endpoint is None or not status.primary or not is_true(status.conditions, DatabaseCondition.READY):
            raise Temporary(
                f"the Database {database.metadata.name} is not ready",
                reason=DatabaseReason.DATABASE_NOT_READY,
                after=5.0,
            )
        namespace = database.metadata.namespace or "default"
        password = await superuser_password(self._own, superuser_secret(status.primary), namespace)
        if database.is_valkey:
            return ValkeySource(endpoint, password, database.owner)
        return Source(endpoint, password, database.sql_database, database.owner)

    async def archive(self, database: Database, bucket: str) -> Archive:
        """Raises Temporary."""
        namespace = database.metadata.namespace or "default"
        return await self._places.archive(namespace, bucket, archive_folder(namespace, database.metadata.uid or ""))

    async def keep(self, database: Database, now: datetime) -> tuple[bool, str, str] | None:
        """Its archive as its spec says; whether it can be brought back, the reason and a message. None without one.

        Raises Temporary, PostgresError, OSError, TimeoutError.
        """
        policy, uid = database.spec.backup, database.metadata.uid or ""
        if policy is None:
            await self._end(database)
            return None
        bucket = policy.bucket or ""
        archive, source = await self.archive(database, bucket), await self.source(database)
        folder = archive_folder(database.metadata.namespace or "default", uid)
        wanted = Wanted(source, policy, bucket, folder, archive.sealer.key_id)
        report = self._archiving.keep(uid, wanted, archive)
        database.status.backup = _noted(database.status.backup, bucket, report)
        return _standing(database.status.backup, report, _most_behind(database, policy), now)

    def forget(self, database: Database) -> None:
        """Nothing is stored of it while it does not run."""
        self._archiving.stop(database.metadata.uid or "")

    async def finish(self, database: Database) -> None:
        """Before it is deleted: the last backup where one is wanted, and then no archive. Raises Temporary."""
        name = final_backup(database)
        if name and await self._has_a_server(database):
            await self._last_backup(database, name)
        self.forget(database)
        if database.status.backup is not None:
            await self._remove(database, database.status.backup.bucket)

    async def _end(self, database: Database) -> None:
        before = database.status.backup
        if before is None:
            return
        self.forget(database)
        source = await self.source(database)
        if isinstance(source, Source) and not await end_archiving(source):
            text = "its server still keeps log for its archive"
            raise Temporary(text, reason=DatabaseReason.ARCHIVE_BEHIND, after=1.0)
        await self._remove(database, before.bucket)
        database.status.backup = None

    async def _remove(self, database: Database, bucket: str) -> None:
        namespace = database.metadata.namespace or "default"
        folder = archive_folder(namespace, database.metadata.uid or "")
        try:
            await remove_archive(self._places.sealed(namespace, bucket, folder))
        except StoreError as error:
            text = f"its archive cannot be removed: {error}"
            raise Temporary(text, reason=DatabaseReason.ARCHIVE_BEHIND, after=15.0) from error

    async def _has_a_server(self, database: Database) -> bool:
        """One that takes writes: its namespace may be going, with all that is in it."""
        try:
            name = database.status.primary or member_name(database.metadata.name, 0)
            service = await self._own.get(SERVICE, name, database.metadata.namespace)
        except NotFound:
            return False
        return service.metadata.deletion_timestamp is None and bool(database.status.version)

    async def _last_backup(self, database: Database, name: str) -> None:
        namespace = database.metadata.namespace
        if not database.spec.enabled:
            text = f"it is stopped, so that {name} cannot be taken: set spec.enabled to true, or spec.backup to null"
            raise Temporary(text, reason=DatabaseReason.FINAL_BACKUP, after=15.0)
        region = database.spec.rds.region if database.spec.rds else ""
        spec = DatabaseBackupSpec(database=database.metadata.name, rds=snapshot_attributes(database, region, {}))
        try:
            backup = await self._own.get(DATABASE_BACKUP, name, namespace)
        except NotFound:
            made = DATABASE_BACKUP.new(name, namespace=namespace, spec=spec)
            try:
                backup = await self._own.create(DATABASE_BACKUP, made)
            except AlreadyExists as error:
                raise Temporary(f"the backup {name} was made meanwhile", after=0.2) from error
        if backup.status.phase != BackupPhase.COMPLETED or backup.status.database_uid != database.metadata.uid:
            said = backup.status.message or "it is being taken"
            raise Temporary(f"its last backup, {name}: {said}", reason=DatabaseReason.FINAL_BACKUP, after=1.0)


def final_backup(database: Database) -> str:
    """What its last backup is called; empty for none."""
    policy, deleted = database.spec.backup, database.metadata.deletion_timestamp
    if database.spec.rds is not None and database.spec.rds.last_snapshot is not None:
        return database.spec.rds.last_snapshot
    if policy is None or not policy.final or deleted is None:
        return ""
    return f"{database.metadata.name}-final-{deleted:%Y%m%d%H%M%S}"


def _noted(before: BackupStatus | None, bucket: str, report: Report) -> BackupStatus:
    """What is not known yet stays as it was said last."""
    status = before or BackupStatus()
    status.bucket = bucket
    if report.state.latest is not None:
        status.latest_restorable_time = report.state.latest
        status.latest_lsn, status.system = lsn_text(report.state.marked), report.state.system
    if report.bases:
        status.earliest_restorable_time = report.bases[0].completed_at
        status.last_base_backup_time = report.bases[-1].completed_at
        status.base_backups = len(report.bases)
        status.size = sum(each.size for each in report.bases)
    return status


def _most_behind(database: Database, policy: BackupPolicy) -> timedelta:
    """How old what is stored last may be. A backup of Valkey may take an hour."""
    if database.is_valkey:
        return timedelta(hours=policy.every_hours + 1)
    return timedelta(seconds=max(_LEAST_LAG_SECONDS, policy.ship_seconds * _SHIPMENTS_MISSED))


def _standing(status: BackupStatus, report: Report, behind: timedelta, now: datetime) -> tuple[bool, str, str]:
    latest = status.latest_restorable_time
    if report.fault:
        return False, DatabaseReason.ARCHIVE_BEHIND, report.fault
    if status.earliest_restorable_time is None or latest is None or latest < status.earliest_restorable_time:
        return False, DatabaseReason.FIRST_BACKUP, "its first base backup is being taken"
    if now - latest > behind:
        text = f"nothing has been stored since {latest:%Y-%m-%dT%H:%M:%SZ}"
        return False, DatabaseReason.ARCHIVE_BEHIND, text
    return True, DatabaseReason.ARCHIVING, ""
