"""The DatabaseBackup reconciler: takes one base backup, whole in itself, and removes it with its resource."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from crds.errors import NotFound
from crds.kind import key_of
from crds.meta import ObjectKey
from services.db_manager.backup_kinds import DATABASE_BACKUP, DatabaseBackup
from services.db_manager.backups import base_backups
from services.db_manager.backups.base_backups import Archive, Takes
from services.db_manager.backups.catalog import BaseManifest
from services.db_manager.backups.database_archive import DatabaseArchives
from services.db_manager.backups.places import BackupPlaces, archive_folder
from services.db_manager.backups.stores import StoreError
from services.db_manager.conditions import BackupPhase, DatabaseReason
from services.db_manager.faults import SERVER_FAULTS
from services.db_manager.kinds import DATABASE, Database
from services.sdk.reconcile import AlsoWatch, Lister, Outcome, Temporary, World, again, done, waiting
from services.sdk.resources import Resources

_FAILURES = (*SERVER_FAULTS, StoreError)
_SOON_SECONDS = 1.0
_FOLDER = "snapshot"


def _backups_of(database: Database, seen: Lister) -> Iterable[ObjectKey]:
    backups = seen.list(DATABASE_BACKUP, database.metadata.namespace)
    return [
        key_of(DATABASE_BACKUP, each)
        for each in backups
        if each.spec.database == database.metadata.name
        and each.status.phase in (BackupPhase.PENDING, BackupPhase.RUNNING)
    ]


class BackupReconciler:
    """`own`: the service's own resources. One attempt at a time for each backup."""

    kind = DATABASE_BACKUP
    finalizer: str | None = "aerekos.cloud/db-manager"
    also_watch: Sequence[AlsoWatch[Any]] = (AlsoWatch(DATABASE, _backups_of),)

    def __init__(self, archives: DatabaseArchives, places: BackupPlaces, own: Resources) -> None:
        self._archives, self._places, self._own = archives, places, own
        self._jobs: dict[str, asyncio.Task[BaseManifest]] = {}

    async def reconcile(self, resource: DatabaseBackup, world: World) -> Outcome:
        status, uid = resource.status, resource.metadata.uid or ""
        if status.phase in (BackupPhase.COMPLETED, BackupPhase.FAILED):
            return done()
        job = self._jobs.get(uid)
        if job is None:
            return await self._begin(resource)
        if not job.done():
            return again(_SOON_SECONDS, "it is being taken")
        del self._jobs[uid]
        try:
            taken = job.result()
        except _FAILURES as error:
            status.message = f"it could not be taken: {str(error) or 'no answer in time'}"
            raise Temporary(status.message, reason=DatabaseReason.BACKUP_FAILED, after=30.0) from error
        status.phase, status.message, status.backup = BackupPhase.COMPLETED, "", taken.id
        status.version, status.size, status.time = taken.version, taken.size, taken.completed_at
        status.sql_database, status.username, status.started_at = taken.database, taken.username, taken.started_at
        return done()

    async def finalize(self, resource: DatabaseBackup, world: World) -> Outcome:
        """Its objects go with it."""
        status = resource.status
        job = self._jobs.pop(resource.metadata.uid or "", None)
        if job is not None:
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)
        if not status.folder:
            return done()
        home, folder = _place(resource)
        archive = self._places.sealed(resource.metadata.namespace or "default", status.bucket, home)
        try:
            await base_backups.remove_below(archive, folder)
        except StoreError as error:
            raise Temporary(f"it cannot be removed: {error}", after=15.0) from error
        return done()

    async def close(self) -> None:
        for each in self._jobs.values():
            each.cancel()

    async def _begin(self, backup: DatabaseBackup) -> Outcome:
        """Where it is to lie is said before anything lies there."""
        status, namespace = backup.status, backup.metadata.namespace or "default"
        try:
            database = await self._own.get(DATABASE, backup.spec.database, namespace)
        except NotFound:
            return waiting(f"the Database {backup.spec.database}", reason=DatabaseReason.DATABASE_MISSING)
        if not status.folder:
            status.database_uid, status.engine = database.metadata.uid or "", database.spec.engine
            status.bucket = (database.spec.backup.bucket or "") if database.spec.backup else ""
            home = archive_folder(namespace, status.database_uid)
            status.folder = f"{home}/{_FOLDER}/{backup.metadata.uid}"
            return again(0.0, "where it lies is noted")
        if status.database_uid != database.metadata.uid:
            status.phase, status.message = BackupPhase.FAILED, "its Database was deleted, and is another one now"
            return done()
        source = await self._archives.source(database)
        folder, archive = await self._opened(backup)
        self._jobs[backup.metadata.uid or ""] = asyncio.create_task(_take(archive, source, folder))
        status.phase = BackupPhase.RUNNING
        return again(_SOON_SECONDS, "it is being taken")

    async def _opened(self, backup: DatabaseBackup) -> tuple[str, Archive]:
        """Its folder, and the archive that is in. Raises Temporary."""
        home, folder = _place(backup)
        namespace = backup.metadata.namespace or "default"
        return folder, await self._places.archive(namespace, backup.status.bucket, home)


def _place(backup: DatabaseBackup) -> tuple[str, str]:
    """Of its Database's archive, and in that its own. Raises Temporary."""
    home, _, name = backup.status.folder.rpartition(f"/{_FOLDER}/")
    if name != backup.metadata.uid:
        raise Temporary(f"{backup.status.folder} is not where it lies", after=60.0)
    return home, f"{_FOLDER}/{name}"


async def _take(archive: Archive, source: Takes, folder: str) -> BaseManifest:
    """What an attempt before left behind goes first. Raises what `SERVER_FAULTS` names, StoreError."""
    await base_backups.remove_unfinished(archive, folder)
    return await source.take(archive, folder)
