"""Schedules and groups of an account, found by the names AWS calls have for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.schedule_manager import errors
from services.schedule_manager.kinds import SCHEDULE, SCHEDULE_GROUP, Schedule, ScheduleGroup
from services.schedule_manager.names import (
    DEFAULT_GROUP,
    group_arn,
    group_resource,
    schedule_arn,
    schedule_resource,
)
from services.sdk.aws.operations import RequestContext
from services.sdk.changing import Changing
from services.sdk.context import ServiceContext
from services.sdk.resources import Resources

Json = dict[str, Any]


class Directory:
    """Reads from memory what the conductor has; who changed something has `note`d it."""

    def __init__(self, context: ServiceContext) -> None:
        self.schedules, self.groups = context.informer(SCHEDULE), context.informer(SCHEDULE_GROUP)
        self._changing = Changing(context)

    async def change_schedule(
        self, acting: Resources, schedule: Schedule, edit: Callable[[Schedule], None]
    ) -> Schedule:
        """As `Changing.change`."""
        return await self._changing.change(SCHEDULE, self.schedules, acting, schedule, edit)

    async def change_group(
        self, acting: Resources, group: ScheduleGroup, edit: Callable[[ScheduleGroup], None]
    ) -> ScheduleGroup:
        """As `Changing.change`."""
        return await self._changing.change(SCHEDULE_GROUP, self.groups, acting, group, edit)

    async def schedule(self, call: RequestContext, name: str, group: str) -> Schedule | None:
        """Of the caller's region, else one that is seen in all."""
        for region in dict.fromkeys((call.region, "")):
            found = await self.schedules.read(schedule_resource(name, group, region), call.namespace)
            if found is not None and _is_meant(found, name, group) and call.sees(found.spec.region):
                return found
        return None

    async def group(self, call: RequestContext, name: str) -> ScheduleGroup | None:
        """Of the caller's region, else one that is seen in all. The default group is none."""
        for region in dict.fromkeys((call.region, "")):
            found = await self.groups.read(group_resource(name, region), call.namespace)
            if found is None or not call.sees(found.spec.region):
                continue
            if (found.spec.group_name or found.metadata.name) == name:
                return found
        return None

    async def require_group(self, call: RequestContext, name: str) -> None:
        """Raises AwsError for a group that is not there, or going."""
        if name == DEFAULT_GROUP:
            return
        found = await self.group(call, name)
        if found is None:
            raise errors.no_group(name)
        if found.metadata.deletion_timestamp is not None:
            raise errors.going(name)


async def judged_resource(call: RequestContext, request: Json) -> str:
    """The ARN that policies are asked about.

    Source: AWS Service Authorization Reference, "Actions, resources, and condition keys for EventBridge Scheduler".
    """
    operation, name = call.operation, str(request.get("Name") or "")
    if operation.endswith("Schedule"):
        return schedule_arn(call.region, call.account, request.get("GroupName") or DEFAULT_GROUP, name)
    if operation.endswith("ScheduleGroup"):
        return group_arn(call.region, call.account, name)
    if "ResourceArn" in request:
        return str(request["ResourceArn"])
    return "*"


def _is_meant(schedule: Schedule, name: str, group: str) -> bool:
    return (schedule.spec.schedule_name or schedule.metadata.name) == name and schedule.spec.group == group
