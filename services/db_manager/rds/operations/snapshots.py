"""RDS operations that make, show and delete DB snapshots."""

from __future__ import annotations

from typing import Any

from services.db_manager.backup_kinds import DATABASE_BACKUP
from services.db_manager.rds import errors
from services.db_manager.rds.instance import ENGINE, state_of
from services.db_manager.rds.instance_request import given_tags
from services.db_manager.rds.instance_store import InstanceStore, require_state
from services.db_manager.rds.pages import PAGED, filtered, page
from services.db_manager.rds.snapshot import FoundSnapshot, snapshot_state, snapshot_view
from services.db_manager.rds.snapshot_store import SnapshotStore
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
_ID, _INSTANCE = "DBSnapshotIdentifier", "DBInstanceIdentifier"
_TYPES = ("manual", "automated", "shared", "public", "awsbackup")
_FILTERS = {
    "db-snapshot-id": lambda found, value: value.lower() in (found.identifier, found.arn),
    "db-instance-id": lambda found, value: value.lower() == found.backup.spec.database,
    "dbi-resource-id": lambda found, value: value == found.attributes.resource_id,
    "snapshot-type": lambda found, value: value == "manual",
    "engine": lambda found, value: value == ENGINE,
}


class SnapshotOperations:
    """One declared method per operation."""

    def __init__(self, store: SnapshotStore, instances: InstanceStore) -> None:
        self._store, self._instances = store, instances

    @operation("CreateDBSnapshot", permission=("create", DATABASE_BACKUP), understands=(_ID, _INSTANCE, "Tags"))
    async def create_db_snapshot(self, call: RequestContext, request: Json) -> Json:
        """Of an instance that the caller may take one of, too."""
        found = await self._instances.resolve_named(call, request[_INSTANCE], request)
        await self._store.allow_new(call, request[_ID], request)
        require_state(found, state_of(found.database), "available", "modifying")
        made = await self._store.create(call, request[_ID], found, given_tags(request))
        return {"DBSnapshot": snapshot_view(made)}

    @operation(
        "DescribeDBSnapshots",
        permission=("list", DATABASE_BACKUP),
        understands=(_ID, _INSTANCE, "DbiResourceId", "SnapshotType", "IncludeShared", "IncludePublic", *PAGED),
    )
    async def describe_db_snapshots(self, call: RequestContext, request: Json) -> Json:
        """Only manual ones are snapshots here; none is shared with other accounts."""
        kind = request.get("SnapshotType") or "manual"
        if kind not in _TYPES:
            raise errors.invalid_value(f"Invalid snapshot type: {kind}. Known are {', '.join(_TYPES)}")
        described = await self._described(call, request)
        found = described if kind == "manual" else []
        if instance := request.get(_INSTANCE):
            found = [each for each in found if each.backup.spec.database == instance.lower()]
        if resource := request.get("DbiResourceId"):
            found = [each for each in found if each.attributes.resource_id == resource]
        shown, more = page(
            call, request, filtered(found, request, _FILTERS), lambda each: each.identifier, snapshot_view
        )
        return {"DBSnapshots": shown, **more}

    async def _described(self, call: RequestContext, request: Json) -> list[FoundSnapshot]:
        if name := request.get(_ID):
            return [await self._store.resolve(call, name, request)]
        await self._store.require_all(call, request)
        return await self._store.all(call)

    @operation("DescribeDBSnapshotAttributes", permission=("get", DATABASE_BACKUP), understands=(_ID,))
    async def describe_db_snapshot_attributes(self, call: RequestContext, request: Json) -> Json:
        """Nobody but its account may restore it."""
        found = await self._store.resolve(call, request[_ID], request)
        attributes = [{"AttributeName": "restore", "AttributeValues": []}]
        result = {"DBSnapshotIdentifier": found.identifier, "DBSnapshotAttributes": attributes}
        return {"DBSnapshotAttributesResult": result}

    @operation("DeleteDBSnapshot", permission=("delete", DATABASE_BACKUP), understands=(_ID,))
    async def delete_db_snapshot(self, call: RequestContext, request: Json) -> Json:
        found = await self._store.resolve(call, request[_ID], request)
        state = snapshot_state(found.backup)
        if state not in ("available", "failed"):
            raise errors.invalid_snapshot_state(f"Snapshot {found.identifier} is {state}; it must be available.")
        await self._store.delete(call, found, request)
        return {"DBSnapshot": {**snapshot_view(found), "Status": "deleted"}}
