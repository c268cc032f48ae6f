"""RDS operations about tags, of DB instances, DB parameter groups and DB snapshots.

A role has to give the right to change Databases for all, and that to change the other kind besides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.db_manager.backup_kinds import BackupRdsAttributes
from services.db_manager.kinds import DATABASE, Database
from services.db_manager.rds import errors
from services.db_manager.rds.group_store import GroupStore
from services.db_manager.rds.instance_request import given_tags
from services.db_manager.rds.instance_store import InstanceStore
from services.db_manager.rds.names import named_by_arn
from services.db_manager.rds.parameter_group import DatabaseParameterGroupSpec
from services.db_manager.rds.snapshot_store import SnapshotStore
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.tags import require_tags, tag_list

Json = dict[str, Any]
Tags = dict[str, str]
_ARN = "ResourceName"


class TagOperations:
    """One declared method per operation."""

    def __init__(self, store: InstanceStore, groups: GroupStore, snapshots: SnapshotStore) -> None:
        self._store, self._groups, self._snapshots = store, groups, snapshots

    @operation("ListTagsForResource", permission=("get", DATABASE), understands=(_ARN,))
    async def list_tags_for_resource(self, call: RequestContext, request: Json) -> Json:
        if _noun_of(request) == "pg":
            group = await self._groups.resolve(call, request[_ARN], request)
            return {"TagList": tag_list(group.spec.tags)}
        if _noun_of(request) == "snapshot":
            snapshot = await self._snapshots.resolve(call, request[_ARN], request)
            return {"TagList": tag_list(snapshot.attributes.tags)}
        found = await self._store.resolve(call, request[_ARN], request)
        return {"TagList": tag_list(found.attributes.tags)}

    @operation("AddTagsToResource", permission=("patch", DATABASE), understands=(_ARN, "Tags"))
    async def add_tags_to_resource(self, call: RequestContext, request: Json) -> None:
        given = given_tags(request)

        def add(tags: Tags) -> Tags:
            require_tags({**tags, **given}, "InvalidParameterValue")
            return {**tags, **given}

        await self._change(call, request, add)

    @operation("RemoveTagsFromResource", permission=("patch", DATABASE), understands=(_ARN, "TagKeys"))
    async def remove_tags_from_resource(self, call: RequestContext, request: Json) -> None:
        gone = frozenset(request["TagKeys"])
        await self._change(
            call, request, lambda tags: {name: text for name, text in tags.items() if name not in gone}
        )

    async def _change(self, call: RequestContext, request: Json, change: Callable[[Tags], Tags]) -> None:
        if _noun_of(request) == "pg":
            group = await self._groups.resolve(call, request[_ARN], request)

            def change_group(spec: DatabaseParameterGroupSpec) -> None:
                spec.tags = change(spec.tags)

            await self._groups.change(call, group, request, change_group)
            return
        if _noun_of(request) == "snapshot":
            snapshot = await self._snapshots.resolve(call, request[_ARN], request)

            def change_snapshot(attributes: BackupRdsAttributes) -> None:
                attributes.tags = change(attributes.tags)

            await self._snapshots.change(call, snapshot, request, change_snapshot)
            return
        found = await self._store.resolve(call, request[_ARN], request)

        def change_database(database: Database) -> None:
            assert database.spec.rds is not None
            database.spec.rds.tags = change(database.spec.rds.tags)

        await self._store.change(call, found, request, change_database)


def _noun_of(request: Json) -> str:
    """`db`, `pg` or `snapshot`. Raises InvalidParameterValue."""
    named = named_by_arn(request[_ARN])
    if named is None or named[1] not in ("db", "pg", "snapshot"):
        raise errors.invalid_value(f"Invalid resource name: {request[_ARN]}")
    return named[1]
