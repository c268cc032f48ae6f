"""DB snapshots as they are stored, and the caller's right to each: read as they are now, written in their name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from crds.errors import AlreadyExists, Conflict, NotFound
from services.db_manager.backup_kinds import DATABASE_BACKUP, BackupRdsAttributes, DatabaseBackup, DatabaseBackupSpec
from services.db_manager.rds import errors
from services.db_manager.rds.condition_keys import facts_of
from services.db_manager.rds.instance import FoundInstance
from services.db_manager.rds.names import identifier_fault, is_named, name_in, rds_arn
from services.db_manager.rds.snapshot import FoundSnapshot, snapshot_attributes
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.operations import RequestContext
from services.sdk.context import ServiceContext
from services.sdk.permissions import Permission
from services.sdk.resources import Resources

Json = dict[str, Any]
_ATTEMPTS = 8


class SnapshotStore:
    """One per process."""

    def __init__(self, context: ServiceContext, access: CallerAccess) -> None:
        self._own, self._access = context.resources, access

    async def all(self, call: RequestContext) -> list[FoundSnapshot]:
        """Those that clients of this region see. The caller's right is not asked for."""
        listing = await self._own.list(DATABASE_BACKUP, call.namespace)
        found = [FoundSnapshot(each, call.account) for each in listing.items]
        return sorted((each for each in found if each.is_seen_from(call.region)), key=lambda each: each.identifier)

    async def require_all(self, call: RequestContext, request: Json) -> None:
        """Raises Forbidden unless the caller may do this with every snapshot."""
        await self._access.require(_about(call, _arn(call, "*"), request, {}))

    async def resolve(self, call: RequestContext, name: str, request: Json) -> FoundSnapshot:
        """That snapshot, by its name or ARN, for who may do this with it. Raises Forbidden, DBSnapshotNotFound."""
        meant = name_in(name)
        found = await self._find(call, meant)
        if found is not None and not is_named(found.arn, name):
            found = None
        about = _of(call, found, request) if found else _about(call, _arn(call, meant), request, {})
        await self._access.require(about, meant, call.namespace)
        if found is None:
            raise errors.snapshot_not_found(name)
        return found

    async def resolve_source(self, call: RequestContext, name: str) -> FoundSnapshot:
        """One to restore from: the same operation has to be allowed with it, too. Raises as `resolve`."""
        sees = replace(call.declared, permission=Permission("get", DATABASE_BACKUP))
        return await self.resolve(call._replace(declared=sees), name, {})

    async def create(self, call: RequestContext, name: str, of: FoundInstance, tags: dict[str, str]) -> FoundSnapshot:
        """Raises Forbidden, InvalidParameterValue, DBSnapshotAlreadyExists."""
        request = {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        acting = await self.allow_new(call, name, request)
        spec = DatabaseBackupSpec(database=of.identifier, rds=snapshot_attributes(of.database, call.region, tags))
        try:
            made = DATABASE_BACKUP.new(name.lower(), namespace=call.namespace, spec=spec)
            return FoundSnapshot(await acting.create(DATABASE_BACKUP, made), call.account)
        except AlreadyExists:
            raise errors.snapshot_exists(name) from None

    async def allow_final(self, call: RequestContext, name: str) -> None:
        """Whether who deletes an instance may have a snapshot of that name made. Raises as `create`."""
        makes = replace(call.declared, permission=Permission("create", DATABASE_BACKUP))
        await self.allow_new(call._replace(declared=makes), name, {})
        if await self._find(call, name.lower()) is not None:
            raise errors.snapshot_exists(name)

    async def allow_new(self, call: RequestContext, name: str, request: Json) -> Resources:
        """Raises Forbidden, InvalidParameterValue."""
        about = _about(call, _arn(call, name.lower()), request, {})
        acting = await self._access.resources_for(about, name.lower(), call.namespace)
        if fault := identifier_fault(name):
            raise errors.invalid_value(f"The parameter DBSnapshotIdentifier is not a valid identifier. {fault}")
        return acting

    async def change(
        self,
        call: RequestContext,
        found: FoundSnapshot,
        request: Json,
        change: Callable[[BackupRdsAttributes], None],
    ) -> None:
        """Change it as it is now, and once more when somebody else has changed it meanwhile."""
        acting = await self._access.resources_for(_of(call, found, request), found.identifier, call.namespace)
        for _ in range(_ATTEMPTS):
            try:
                fresh = await self._own.get(DATABASE_BACKUP, found.identifier, call.namespace)
                fresh.spec.rds = FoundSnapshot(fresh, call.account).attributes
                change(fresh.spec.rds)
                await acting.replace(DATABASE_BACKUP, fresh)
            except NotFound:
                raise errors.snapshot_not_found(found.identifier) from None
            except Conflict:
                continue
            return
        raise errors.invalid_snapshot_state(f"{found.identifier} is changed by others all the time; try again")

    async def delete(self, call: RequestContext, found: FoundSnapshot, request: Json) -> None:
        acting = await self._access.resources_for(_of(call, found, request), found.identifier, call.namespace)
        await acting.delete(DATABASE_BACKUP, found.identifier, call.namespace, uid=found.backup.metadata.uid)

    async def _find(self, call: RequestContext, name: str) -> FoundSnapshot | None:
        if identifier_fault(name):
            return None
        try:
            backup: DatabaseBackup = await self._own.get(DATABASE_BACKUP, name, call.namespace)
        except NotFound:
            return None
        found = FoundSnapshot(backup, call.account)
        return found if found.is_seen_from(call.region) else None


def _arn(call: RequestContext, name: str) -> str:
    """Of a snapshot that is not there (yet)."""
    return rds_arn(call.region, call.account, "snapshot", name)


def _of(call: RequestContext, found: FoundSnapshot, request: Json) -> RequestContext:
    return _about(call, found.arn, request, found.attributes.tags)


def _about(call: RequestContext, arn: str, request: Json, tags: dict[str, str]) -> RequestContext:
    return call._replace(resource=arn, facts=facts_of(request, tags, "snapshot"))
