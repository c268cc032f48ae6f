"""RDS operations that make DB instances of what others held."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, get_args

from crds.model import rfc3339_micro
from services.db_manager.backup_kinds import BackupRdsAttributes
from services.db_manager.kinds import DATABASE, DatabaseSpec, RestoreSource
from services.db_manager.rds import errors, instance_request
from services.db_manager.rds.attributes import RdsAttributes, StorageType
from services.db_manager.rds.group_store import GroupStore, is_default
from services.db_manager.rds.instance import FoundInstance
from services.db_manager.rds.instance_store import InstanceStore
from services.db_manager.rds.making import InstanceMaker
from services.db_manager.rds.settings_table import major_of
from services.db_manager.rds.snapshot import snapshot_attributes, snapshot_state
from services.db_manager.rds.snapshot_store import SnapshotStore
from services.db_manager.rds.views import instance_view
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.permissions import Permission

Json = dict[str, Any]
_COMMON = (
    "AllocatedStorage",
    "AvailabilityZone",
    "BackupRetentionPeriod",
    "CopyTagsToSnapshot",
    "DBInstanceClass",
    "DBParameterGroupName",
    "DeletionProtection",
    "Engine",
    "Port",
    "PubliclyAccessible",
    "StorageType",
    "Tags",
    "AutoMinorVersionUpgrade",
    "LicenseModel",
    "MultiAZ",
    "NetworkType",
)
_TYPES: tuple[StorageType, ...] = get_args(StorageType)


class RestoreOperations:
    """One declared method per operation."""

    def __init__(
        self, store: InstanceStore, groups: GroupStore, snapshots: SnapshotStore, maker: InstanceMaker
    ) -> None:
        self._store, self._groups, self._snapshots, self._maker = store, groups, snapshots, maker

    @operation(
        "RestoreDBInstanceFromDBSnapshot",
        permission=("create", DATABASE),
        understands=("DBInstanceIdentifier", "DBSnapshotIdentifier", *_COMMON),
    )
    async def restore_db_instance_from_db_snapshot(self, call: RequestContext, request: Json) -> Json:
        target, name = request["DBInstanceIdentifier"], request.get("DBSnapshotIdentifier") or ""
        acting = await self._store.allow_new(call, target, request)
        if not name:
            raise errors.missing("The request must contain the parameter DBSnapshotIdentifier")
        snapshot = await self._snapshots.resolve_source(call, name)
        if (state := snapshot_state(snapshot.backup)) != "available":
            raise errors.invalid_snapshot_state(f"Snapshot {snapshot.identifier} is {state}; it must be available.")
        wanted = RestoreSource(backup=snapshot.identifier)
        spec = await self._spec(call, request, snapshot.attributes, wanted, snapshot.backup.status.version)
        spec.database, spec.username = snapshot.backup.status.sql_database, snapshot.backup.status.username
        source = await self._store.find(call, snapshot.backup.spec.database)
        is_it = source is not None and source.database.metadata.uid == snapshot.backup.status.database_uid
        made = await self._maker.made(call, acting, target.lower(), spec, source if is_it else None)
        return {"DBInstance": instance_view(made)}

    @operation(
        "RestoreDBInstanceToPointInTime",
        permission=("create", DATABASE),
        understands=(
            "SourceDBInstanceIdentifier",
            "SourceDbiResourceId",
            "TargetDBInstanceIdentifier",
            "RestoreTime",
            "UseLatestRestorableTime",
            *_COMMON,
        ),
    )
    async def restore_db_instance_to_point_in_time(self, call: RequestContext, request: Json) -> Json:
        target = request["TargetDBInstanceIdentifier"]
        acting = await self._store.allow_new(call, target, request)
        source = await self._source(call, request)
        wanted = RestoreSource(database=source.identifier, time=_moment(source, request))
        was = snapshot_attributes(source.database, call.region, {})
        spec = await self._spec(call, request, was, wanted, source.version)
        spec.database, spec.username = source.database.sql_database, source.database.owner
        made = await self._maker.made(call, acting, target.lower(), spec, source)
        return {"DBInstance": instance_view(made)}

    async def _source(self, call: RequestContext, request: Json) -> FoundInstance:
        """The same operation has to be allowed with it, too. Raises AwsError."""
        named = [request[each] for each in ("SourceDBInstanceIdentifier", "SourceDbiResourceId") if request.get(each)]
        if len(named) != 1:
            raise errors.invalid_combination("Give either SourceDBInstanceIdentifier or SourceDbiResourceId.")
        sees = call._replace(declared=replace(call.declared, permission=Permission("get", DATABASE)))
        return await self._store.resolve(sees, named[0], {})

    async def _spec(
        self, call: RequestContext, request: Json, was: BackupRdsAttributes, wanted: RestoreSource, version: str
    ) -> DatabaseSpec:
        """What is not asked for is as it was."""
        instance_request.require_possible(request, call.region)
        instance_request.engine_version(request)
        name = instance_request.instance_class(request.get("DBInstanceClass") or was.instance_class)
        kind = instance_request.storage_type(request, next(each for each in _TYPES if each == was.storage_type))
        asked = request.get("AllocatedStorage")
        size = instance_request.storage_gib(was.allocated_gib if asked is None else asked, kind)
        group = await self._groups.chosen(call, request.get("DBParameterGroupName") or was.parameter_group, version)
        attributes = RdsAttributes(
            region=call.region,
            instance_class=name,
            allocated_gib=size,
            storage_type=kind,
            parameter_group=group.metadata.name if group and not is_default(group) else "",
            copy_tags_to_snapshot=bool(request.get("CopyTagsToSnapshot")),
            deletion_protection=bool(request.get("DeletionProtection")),
            tags=instance_request.given_tags(request),
        )
        return DatabaseSpec(
            engine="postgresql",
            version=major_of(group.spec.family) if group else None,
            parameters=group.spec.values() if group else {},
            resources=instance_request.limits_of(name),
            storage=f"{size}Gi",
            exposure=instance_request.exposure(bool(request.get("PubliclyAccessible")), request.get("Port")),
            backup=instance_request.backup_policy(request.get("BackupRetentionPeriod"), None),
            restore=wanted,
            rds=attributes,
        )


def _moment(source: FoundInstance, request: Json) -> datetime:
    """Raises AwsError for one that is not stored, and where none is."""
    asked: datetime | None = request.get("RestoreTime")
    if (asked is None) == (not request.get("UseLatestRestorableTime")):
        raise errors.invalid_combination("Give either RestoreTime or UseLatestRestorableTime.")
    backup = source.database.status.backup
    if backup is None or backup.latest_restorable_time is None or backup.earliest_restorable_time is None:
        raise errors.no_backups(source.identifier)
    first, last = backup.earliest_restorable_time, backup.latest_restorable_time
    if asked is not None and not first <= asked <= last:
        raise errors.invalid_value(
            f"The instance cannot be restored to {rfc3339_micro(asked)}: it must be between "
            f"{rfc3339_micro(first)} and {rfc3339_micro(last)}"
        )
    return asked or last
