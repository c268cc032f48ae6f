"""Operations about log groups, how long they keep lines, and their tags.

Source: Amazon CloudWatch Logs API reference, CreateLogGroup, DeleteLogGroup, DescribeLogGroups, PutRetentionPolicy,
DeleteRetentionPolicy, TagResource, UntagResource, ListTagsForResource, TagLogGroup, UntagLogGroup, ListTagsLogGroup.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crds.errors import AlreadyExists
from services.logs_manager import errors
from services.logs_manager.kinds import LOG_GROUP, LogGroup, LogGroupSpec
from services.logs_manager.names import group_arn, group_fault, group_in, group_resource
from services.logs_manager.operations.log_access import Parts, name_of
from services.logs_manager.pages import page
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.tags import require_tags

Json = dict[str, Any]
DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
_INVALID = "InvalidParameterException"


class GroupOperations:
    """One declared method per operation."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @operation(
        "CreateLogGroup", permission=("create", LOG_GROUP), understands=("logGroupName", "tags", "logGroupClass")
    )
    async def create_log_group(self, call: RequestContext, request: Json) -> None:
        name, tags = request["logGroupName"], dict(request.get("tags") or {})
        resource = group_resource(name, call.region)
        acting = await self._parts.access.resources_for(call, resource)
        if fault := group_fault(name):
            raise errors.invalid(f"logGroupName: {fault}")
        if (kind := request.get("logGroupClass") or "STANDARD") != "STANDARD":
            raise errors.invalid(f"logGroupClass: log groups are STANDARD here, {kind} is not done")
        require_tags(tags, _INVALID)
        if await self._parts.directory.find(call, name) is not None:
            raise errors.exists("log group")
        spec = LogGroupSpec(group_name=name, region=call.region, tags=tags or None)
        group = LOG_GROUP.new(resource, namespace=call.namespace, spec=spec)
        try:
            self._parts.directory.note(await acting.create(LOG_GROUP, group))
        except AlreadyExists:
            raise errors.exists("log group") from None

    @operation("DeleteLogGroup", permission=("delete", LOG_GROUP), understands=("logGroupName",))
    async def delete_log_group(self, call: RequestContext, request: Json) -> None:
        found = await self._parts.group(call, request)
        acting = await self._parts.access.resources_for(call, found.metadata.name)
        await self._parts.directory.delete(acting, found)

    @operation(
        "DescribeLogGroups",
        permission=("list", LOG_GROUP),
        understands=("logGroupNamePrefix", "logGroupNamePattern", "limit", "nextToken", "logGroupClass"),
    )
    async def describe_log_groups(self, call: RequestContext, request: Json) -> Json:
        await self._parts.access.require(call)
        prefix, pattern = request.get("logGroupNamePrefix") or "", request.get("logGroupNamePattern") or ""
        if prefix and pattern:
            raise errors.invalid("logGroupNamePrefix and logGroupNamePattern exclude each other.")
        seen = [each for each in self._parts.directory.all(call.namespace) if call.sees(each.spec.region)]
        fitting = [
            each for each in seen if each.group_name.startswith(prefix) and pattern.lower() in each.group_name.lower()
        ]
        if (request.get("logGroupClass") or "STANDARD") != "STANDARD":
            fitting = []
        scope = ["groups", call.account, call.region, prefix, pattern]
        rows, more = page(fitting, lambda each: each.group_name, scope, request)
        return {"logGroups": [self._described(call, each) for each in rows], **more}

    def _described(self, call: RequestContext, group: LogGroup) -> Json:
        arn = group_arn(group.spec.region or call.region, call.account, group.group_name)
        created = group.metadata.creation_timestamp
        sizes = self._parts.upkeep.sizes
        found: Json = {
            "logGroupName": group.group_name,
            "creationTime": round(created.timestamp() * 1000) if created else 0,
            "metricFilterCount": 0,
            "arn": f"{arn}:*",
            "logGroupArn": arn,
            "logGroupClass": "STANDARD",
            "storedBytes": sum(sizes[each.id].stored for each in self._parts.streams(group) if each.id in sizes),
        }
        if group.spec.retention_days is not None:
            found["retentionInDays"] = group.spec.retention_days
        return found

    @operation("PutRetentionPolicy", permission=("patch", LOG_GROUP), understands=("logGroupName", "retentionInDays"))
    async def put_retention_policy(self, call: RequestContext, request: Json) -> None:
        found = await self._parts.group(call, request)
        if (days := request["retentionInDays"]) not in DAYS:
            raise errors.invalid(f"retentionInDays: is one of {', '.join(map(str, DAYS))}")
        await self._change(call, found, retention_days=days)

    @operation("DeleteRetentionPolicy", permission=("patch", LOG_GROUP), understands=("logGroupName",))
    async def delete_retention_policy(self, call: RequestContext, request: Json) -> None:
        await self._change(call, await self._parts.group(call, request), retention_days=None)

    @operation("TagResource", permission=("patch", LOG_GROUP), understands=("resourceArn", "tags"))
    async def tag_resource(self, call: RequestContext, request: Json) -> None:
        tags = dict(request["tags"])
        await self._retag(call, _of_arn(call, request), lambda before: {**before, **tags})

    @operation("UntagResource", permission=("patch", LOG_GROUP), understands=("resourceArn", "tagKeys"))
    async def untag_resource(self, call: RequestContext, request: Json) -> None:
        gone = set(request["tagKeys"])
        await self._retag(
            call, _of_arn(call, request), lambda before: {k: v for k, v in before.items() if k not in gone}
        )

    @operation("ListTagsForResource", permission=("get", LOG_GROUP), understands=("resourceArn",))
    async def list_tags_for_resource(self, call: RequestContext, request: Json) -> Json:
        return {"tags": (await self._parts.group(call, _of_arn(call, request))).spec.tags or {}}

    @operation("TagLogGroup", permission=("patch", LOG_GROUP), understands=("logGroupName", "tags"))
    async def tag_log_group(self, call: RequestContext, request: Json) -> None:
        tags = dict(request["tags"])
        await self._retag(call, request, lambda before: {**before, **tags})

    @operation("UntagLogGroup", permission=("patch", LOG_GROUP), understands=("logGroupName", "tags"))
    async def untag_log_group(self, call: RequestContext, request: Json) -> None:
        gone = set(request["tags"])
        await self._retag(call, request, lambda before: {k: v for k, v in before.items() if k not in gone})

    @operation("ListTagsLogGroup", permission=("get", LOG_GROUP), understands=("logGroupName",))
    async def list_tags_log_group(self, call: RequestContext, request: Json) -> Json:
        return {"tags": (await self._parts.group(call, request)).spec.tags or {}}

    async def _retag(
        self, call: RequestContext, request: Json, change: Callable[[dict[str, str]], dict[str, str]]
    ) -> None:
        """Raises AwsError."""
        found = await self._parts.group(call, {"logGroupName": request.get("logGroupName")})
        tags = change(found.spec.tags or {})
        require_tags(tags, _INVALID)
        await self._change(call, found, tags=tags or None)

    async def _change(self, call: RequestContext, group: LogGroup, **spec: Any) -> None:
        acting = await self._parts.access.resources_for(call, group.metadata.name)
        changed = group.model_copy(deep=True)
        for name, value in spec.items():
            setattr(changed.spec, name, value)
        self._parts.directory.note(await acting.replace(LOG_GROUP, changed))


def _of_arn(call: RequestContext, request: Json) -> Json:
    """Raises AwsError."""
    arn = request["resourceArn"]
    if group_in(arn) is None:
        raise errors.invalid(f"{arn} is no ARN of a log group.")
    return {"logGroupName": name_of(call, arn)}
