"""EventBridge's operations about the tags of buses and rules.

Source: Amazon EventBridge API reference, TagResource, UntagResource, ListTagsForResource.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from services.schedule_manager.events import errors
from services.schedule_manager.events.directory import EventDirectory
from services.schedule_manager.events.kinds import EVENT_BUS, EVENT_RULE, EventBus, EventRule
from services.schedule_manager.events.names import DEFAULT_BUS, resource_of, rule_named
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.arns import Arn, parse_arn
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.tags import require_tags, tag_list, tags_of
from services.sdk.permissions import Permission

Json = dict[str, Any]
Tags = dict[str, str]
_VALIDATION = "ValidationException"


class TagOperations:
    """One declared method per operation. What is declared is asked of rules; of buses, the same verb."""

    def __init__(self, directory: EventDirectory, access: CallerAccess) -> None:
        self._directory, self._access = directory, access

    @operation("TagResource", permission=("patch", EVENT_RULE), understands=("ResourceARN", "Tags"))
    async def tag_resource(self, call: RequestContext, request: Json) -> None:
        tags = wanted_tags(request["Tags"])
        await self._retag(call, request["ResourceARN"], lambda before: {**before, **tags})

    @operation("UntagResource", permission=("patch", EVENT_RULE), understands=("ResourceARN", "TagKeys"))
    async def untag_resource(self, call: RequestContext, request: Json) -> None:
        gone = set(request["TagKeys"])
        await self._retag(
            call, request["ResourceARN"], lambda before: {k: v for k, v in before.items() if k not in gone}
        )

    @operation("ListTagsForResource", permission=("get", EVENT_RULE), understands=("ResourceARN",))
    async def list_tags_for_resource(self, call: RequestContext, request: Json) -> Json:
        arn = _own_arn(call, request["ResourceARN"])
        await self._access.require(_asked(call, arn), resource_of(arn))
        _note_asked(call, arn)
        if arn.resource == f"event-bus/{DEFAULT_BUS}":
            return {"Tags": []}
        return {"Tags": tag_list((await self._found(call, arn)).spec.tags or {})}

    async def _retag(self, call: RequestContext, text: str, change: Callable[[Tags], Tags]) -> None:
        arn = _own_arn(call, text)
        acting = await self._access.resources_for(_asked(call, arn), resource_of(arn))
        _note_asked(call, arn)
        if arn.resource == f"event-bus/{DEFAULT_BUS}":
            raise errors.validation("The event bus default has no tags here.")

        def edit(resource: EventBus | EventRule) -> None:
            tags = change(resource.spec.tags or {})
            require_tags(tags, _VALIDATION)
            resource.spec.tags = tags or None

        found = await self._found(call, arn)
        if isinstance(found, EventBus):
            await self._directory.change_bus(acting, found, edit)
        else:
            await self._directory.change_rule(acting, found, edit)

    async def _found(self, call: RequestContext, arn: Arn) -> EventBus | EventRule:
        """Raises AwsError."""
        if arn.kind == "event-bus":
            return await self._directory.found_bus(call, arn.name)
        bus, name = rule_named(arn.resource)
        return await self._directory.require_rule(call, name, bus)


def wanted_tags(given: Any) -> Tags:
    """Raises AwsError."""
    try:
        tags = tags_of(given)
    except ValueError as doubled:
        raise errors.validation(str(doubled)) from doubled
    require_tags(tags, _VALIDATION)
    return tags


def _own_arn(call: RequestContext, text: str) -> Arn:
    """The ARN of a bus or a rule of the caller's account and region. Raises AwsError."""
    found = parse_arn(text)
    if found is None or found.service != "events" or found.kind not in ("event-bus", "rule"):
        raise errors.validation(f"{text[:200]} is no ARN of an event bus or a rule.")
    if (found.region, found.account) != (call.region, call.account):
        raise errors.validation(f"{text[:200]} is of another account or region.")
    return found


def _asked(call: RequestContext, arn: Arn) -> RequestContext:
    """The call, with the right that it needs of that kind of resource."""
    if arn.kind != "event-bus":
        return call
    permission = Permission(call.permission.verb, EVENT_BUS)
    return call._replace(declared=replace(call.declared, permission=permission))


def _note_asked(call: RequestContext, arn: Arn) -> None:
    """What was asked of a bus stands for what is declared."""
    if arn.kind == "event-bus":
        call.asked.append((call.permission.verb, EVENT_RULE.plural, resource_of(arn)))
