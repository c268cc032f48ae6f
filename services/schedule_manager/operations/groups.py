"""EventBridge Scheduler's operations about schedule groups and their tags.

Source: AWS EventBridge Scheduler API reference, CreateScheduleGroup, GetScheduleGroup, DeleteScheduleGroup,
ListScheduleGroups, TagResource, UntagResource, ListTagsForResource.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from crds.errors import AlreadyExists, NotFound
from crds.model import rfc3339_micro
from services.schedule_manager import errors
from services.schedule_manager.directory import Directory
from services.schedule_manager.kinds import SCHEDULE_GROUP, ScheduleGroup, ScheduleGroupSpec
from services.schedule_manager.names import DEFAULT_GROUP, group_resource
from services.schedule_manager.operations.schedules import CREATION_TOKEN
from services.schedule_manager.pages import page
from services.schedule_manager.views import (
    MODIFIED,
    described_default_group,
    described_group,
    group_arn_of,
    group_name,
)
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.arns import parse_arn
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.tags import require_tags, tag_list, tags_of
from services.sdk.resources import Clock

Json = dict[str, Any]
_CREATE = ("Name", "Tags", "ClientToken")
_VALIDATION = "ValidationException"


class GroupOperations:
    """One declared method per operation."""

    def __init__(self, directory: Directory, access: CallerAccess, clock: Clock) -> None:
        self._directory, self._access, self._clock = directory, access, clock

    @operation(
        "CreateScheduleGroup", permission=("create", SCHEDULE_GROUP), understands=("Name", "Tags", "ClientToken")
    )
    async def create_schedule_group(self, call: RequestContext, request: Json) -> Json:
        """The same request twice, known by its token, makes one."""
        name, token = request["Name"], request.get("ClientToken") or ""
        resource_name = group_resource(name, call.region)
        acting = await self._access.resources_for(call, resource_name)
        tags = _wanted_tags(request.get("Tags") or ())
        found = await self._directory.group(call, name)
        if found is None and name != DEFAULT_GROUP:
            spec = ScheduleGroupSpec(group_name=name, region=call.region, tags=tags or None)
            resource = SCHEDULE_GROUP.new(resource_name, namespace=call.namespace, spec=spec)
            resource.metadata.annotations = {CREATION_TOKEN: token} if token else None
            try:
                found = self._directory.groups.put(await acting.create(SCHEDULE_GROUP, resource))
            except AlreadyExists:
                raise errors.exists(f"Schedule group {name}") from None
        elif found is None or not token or (found.metadata.annotations or {}).get(CREATION_TOKEN) != token:
            raise errors.exists(f"Schedule group {name}")
        return {"ScheduleGroupArn": group_arn_of(found)}

    @operation("GetScheduleGroup", permission=("get", SCHEDULE_GROUP), understands=("Name",))
    async def get_schedule_group(self, call: RequestContext, request: Json) -> Json:
        name = request["Name"]
        await self._access.require(call, group_resource(name, call.region))
        if name == DEFAULT_GROUP:
            return described_default_group(call.region, call.account)
        return described_group(await self._found(call, name))

    @operation("DeleteScheduleGroup", permission=("delete", SCHEDULE_GROUP), understands=("Name", "ClientToken"))
    async def delete_schedule_group(self, call: RequestContext, request: Json) -> None:
        """With its schedules; until they are gone it is there, and says so."""
        name = request["Name"]
        acting = await self._access.resources_for(call, group_resource(name, call.region))
        if name == DEFAULT_GROUP:
            raise errors.validation("The default schedule group cannot be deleted.")
        found = await self._found(call, name)
        meta = found.metadata
        with suppress(NotFound):
            await acting.delete(SCHEDULE_GROUP, meta.name, meta.namespace, uid=meta.uid)

    @operation(
        "ListScheduleGroups",
        permission=("list", SCHEDULE_GROUP),
        understands=("NamePrefix", "NextToken", "MaxResults"),
    )
    async def list_schedule_groups(self, call: RequestContext, request: Json) -> Json:
        await self._access.require(call)
        prefix = request.get("NamePrefix") or ""
        found = [described_group(each) for each in self._directory.groups.all(call.namespace) if _is_seen(each, call)]
        found.append(described_default_group(call.region, call.account))
        fitting = [each for each in found if each["Name"].startswith(prefix)]
        scope = ["groups", call.account, call.region, prefix]
        rows, more = page(fitting, lambda each: str(each["Name"]), scope, request)
        return {"ScheduleGroups": rows, **more}

    @operation("TagResource", permission=("patch", SCHEDULE_GROUP), understands=("ResourceArn", "Tags"))
    async def tag_resource(self, call: RequestContext, request: Json) -> None:
        tags = _wanted_tags(request["Tags"])
        await self._retag(call, request, lambda before: {**before, **tags})

    @operation("UntagResource", permission=("patch", SCHEDULE_GROUP), understands=("ResourceArn", "TagKeys"))
    async def untag_resource(self, call: RequestContext, request: Json) -> None:
        gone = set(request["TagKeys"])
        await self._retag(call, request, lambda before: {k: v for k, v in before.items() if k not in gone})

    @operation("ListTagsForResource", permission=("get", SCHEDULE_GROUP), understands=("ResourceArn",))
    async def list_tags_for_resource(self, call: RequestContext, request: Json) -> Json:
        name = _name_in(call, request["ResourceArn"])
        await self._access.require(call, group_resource(name, call.region))
        if name == DEFAULT_GROUP:
            return {"Tags": []}
        return {"Tags": tag_list((await self._found(call, name)).spec.tags or {})}

    async def _retag(self, call: RequestContext, request: Json, change: Any) -> None:
        """Raises AwsError."""
        name = _name_in(call, request["ResourceArn"])
        acting = await self._access.resources_for(call, group_resource(name, call.region))
        if name == DEFAULT_GROUP:
            raise errors.validation("The default schedule group has no tags here.")

        def edit(group: ScheduleGroup) -> None:
            tags = change(group.spec.tags or {})
            require_tags(tags, _VALIDATION)
            group.spec.tags = tags or None
            noted = {**(group.metadata.annotations or {}), MODIFIED: rfc3339_micro(self._clock.now())}
            group.metadata.annotations = noted

        await self._directory.change_group(acting, await self._found(call, name), edit)

    async def _found(self, call: RequestContext, name: str) -> ScheduleGroup:
        """Raises AwsError."""
        found = await self._directory.group(call, name)
        if found is None:
            raise errors.no_group(name)
        return found


def _wanted_tags(given: Any) -> dict[str, str]:
    """Raises AwsError."""
    try:
        tags = tags_of(given)
    except ValueError as doubled:
        raise errors.validation(str(doubled)) from doubled
    require_tags(tags, _VALIDATION)
    return tags


def _name_in(call: RequestContext, arn: str) -> str:
    """The group that ARN means. Raises AwsError for one of another account or region."""
    parsed = parse_arn(arn)
    if parsed is None or parsed.service != "scheduler" or parsed.kind != "schedule-group":
        raise errors.validation(f"{arn} is no ARN of a schedule group.")
    if (parsed.region, parsed.account) != (call.region, call.account):
        raise errors.no_group(parsed.name)
    return parsed.name


def _is_seen(group: ScheduleGroup, call: RequestContext) -> bool:
    return call.sees(group.spec.region) and group_name(group) != DEFAULT_GROUP
