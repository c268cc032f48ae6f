"""RDS operations that make, show and delete DB instances."""

from __future__ import annotations

from typing import Any

from services.db_manager.kinds import DATABASE, DatabaseSpec
from services.db_manager.rds import errors, instance_request
from services.db_manager.rds.attributes import RdsAttributes
from services.db_manager.rds.group_store import GroupStore, is_default
from services.db_manager.rds.instance import ENGINE, FoundInstance, state_of
from services.db_manager.rds.instance_request import ONLY_NAMES
from services.db_manager.rds.instance_store import InstanceStore, require_state
from services.db_manager.rds.making import InstanceMaker
from services.db_manager.rds.pages import PAGED, filtered, page
from services.db_manager.rds.settings_table import major_of
from services.db_manager.rds.snapshot_store import SnapshotStore
from services.db_manager.rds.views import instance_view
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
_ID = "DBInstanceIdentifier"
_CREATE = (
    _ID,
    "AllocatedStorage",
    "AvailabilityZone",
    "BackupRetentionPeriod",
    "CopyTagsToSnapshot",
    "DBInstanceClass",
    "DBName",
    "DBParameterGroupName",
    "DeletionProtection",
    "Engine",
    "EngineVersion",
    "MasterUserPassword",
    "MasterUsername",
    "Port",
    "PubliclyAccessible",
    "StorageType",
    "Tags",
    *ONLY_NAMES,
)
_FILTERS = {
    "db-instance-id": lambda found, value: (
        value in (found.identifier, found.arn) or value.lower() == found.identifier
    ),
    "dbi-resource-id": lambda found, value: value == found.resource_id,
    "engine": lambda found, value: value == ENGINE,
    "db-cluster-id": lambda found, value: False,
    "domain": lambda found, value: False,
}


class InstanceOperations:
    """One declared method per operation."""

    def __init__(
        self, store: InstanceStore, groups: GroupStore, snapshots: SnapshotStore, maker: InstanceMaker
    ) -> None:
        self._store, self._groups, self._snapshots, self._maker = store, groups, snapshots, maker

    @operation("CreateDBInstance", permission=("create", DATABASE), understands=_CREATE)
    async def create_db_instance(self, call: RequestContext, request: Json) -> Json:
        acting = await self._store.allow_new(call, request[_ID], request)
        instance_request.require_possible(request, call.region)
        password = instance_request.master_password(request.get("MasterUserPassword"))
        spec = await self._spec(call, request)
        made = await self._maker.made(call, acting, request[_ID].lower(), spec, password)
        return {"DBInstance": instance_view(made)}

    async def _spec(self, call: RequestContext, request: Json) -> DatabaseSpec:
        name = instance_request.instance_class(request["DBInstanceClass"])
        version = instance_request.engine_version(request)
        kind = instance_request.storage_type(request, "gp2")
        size = instance_request.storage_gib(request.get("AllocatedStorage"), kind)
        group = await self._groups.chosen(call, request.get("DBParameterGroupName"), version)
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
            version=version or (major_of(group.spec.family) if group else None),
            database=instance_request.database_name(request.get("DBName")),
            username=instance_request.master_username(request.get("MasterUsername")),
            parameters=group.spec.values() if group else {},
            resources=instance_request.limits_of(name),
            storage=f"{size}Gi",
            exposure=instance_request.exposure(bool(request.get("PubliclyAccessible")), request.get("Port")),
            backup=instance_request.backup_policy(request.get("BackupRetentionPeriod"), None),
            rds=attributes,
        )

    @operation("DescribeDBInstances", permission=("list", DATABASE), understands=(_ID, *PAGED))
    async def describe_db_instances(self, call: RequestContext, request: Json) -> Json:
        found = await self._described(call, request)
        shown, more = page(
            call, request, filtered(found, request, _FILTERS), lambda each: each.identifier, instance_view
        )
        return {"DBInstances": shown, **more}

    async def _described(self, call: RequestContext, request: Json) -> list[FoundInstance]:
        if identifier := request.get(_ID):
            return [await self._store.resolve(call, identifier, request)]
        await self._store.require_all(call, request)
        return await self._store.all(call)

    @operation(
        "DeleteDBInstance",
        permission=("delete", DATABASE),
        understands=(_ID, "SkipFinalSnapshot", "FinalDBSnapshotIdentifier", "DeleteAutomatedBackups"),
    )
    async def delete_db_instance(self, call: RequestContext, request: Json) -> Json:
        found = await self._store.resolve_named(call, request[_ID], request)
        if found.attributes.deletion_protection:
            raise errors.invalid_combination(
                "Cannot delete protected DB Instance, please disable deletion protection and try again."
            )
        final = _final_snapshot(request)
        if (state := state_of(found.database)) == "deleting":
            raise errors.invalid_state(f"Instance {found.identifier} is already being deleted.")
        if final:
            require_state(found, state, "available", "modifying", "rebooting", "starting")
            await self._snapshots.allow_final(call, final)
        found = await self._store.note_last_snapshot(call, found, final.lower())
        await self._store.delete(call, found, request)
        return {"DBInstance": {**instance_view(found), "DBInstanceStatus": "deleting"}}


def _final_snapshot(request: Json) -> str:
    """What the snapshot is called that it leaves behind; empty for none. Raises InvalidParameterCombination."""
    skipped, name = bool(request.get("SkipFinalSnapshot")), request.get("FinalDBSnapshotIdentifier") or ""
    if skipped and name:
        raise errors.invalid_combination(
            "FinalDBSnapshotIdentifier can not be specified when skipping final snapshot."
        )
    if not skipped and not name:
        raise errors.invalid_combination(
            "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
        )
    if request.get("DeleteAutomatedBackups") is False:
        raise errors.invalid_combination(
            "Automated backups go with their instance here: DeleteAutomatedBackups can only be true."
        )
    return str(name)
