"""EventBridge Scheduler's operations about schedules.

Source: AWS EventBridge Scheduler API reference, CreateSchedule, GetSchedule, UpdateSchedule, DeleteSchedule,
ListSchedules.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from crds.errors import AlreadyExists, NotFound
from crds.model import rfc3339_micro
from services.schedule_manager import errors
from services.schedule_manager.directory import Directory
from services.schedule_manager.kinds import SCHEDULE, Schedule
from services.schedule_manager.names import DEFAULT_GROUP, schedule_resource
from services.schedule_manager.pages import page
from services.schedule_manager.passing import PassedRole
from services.schedule_manager.views import (
    MODIFIED,
    arn_of,
    described_schedule,
    listed_schedule,
    schedule_name,
    spec_of,
)
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.resources import Clock

Json = dict[str, Any]
CREATION_TOKEN = "aerekos.cloud/creation-token"  # noqa: S105 - an annotation's name
_CREATE = (
    "Name", "GroupName", "ScheduleExpression", "StartDate", "EndDate", "Description", "ScheduleExpressionTimezone",
    "State", "Target", "FlexibleTimeWindow", "ClientToken", "ActionAfterCompletion",
)  # fmt: skip
_ONE = ("Name", "GroupName", "ClientToken")


class ScheduleOperations:
    """One declared method per operation."""

    def __init__(self, directory: Directory, access: CallerAccess, passed: PassedRole, clock: Clock) -> None:
        self._directory, self._access, self._passed, self._clock = directory, access, passed, clock

    @operation("CreateSchedule", permission=("create", SCHEDULE), understands=_CREATE)
    async def create_schedule(self, call: RequestContext, request: Json) -> Json:
        """The same request twice, known by its token, makes one."""
        name, group = request["Name"], request.get("GroupName") or DEFAULT_GROUP
        resource = SCHEDULE.new(
            schedule_resource(name, group, call.region), namespace=call.namespace, spec=spec_of(request, call.region)
        )
        acting = await self._access.resources_for(call, resource.metadata.name)
        await self._passed.require(call, request["Target"]["RoleArn"])
        await self._directory.require_group(call, group)
        token = request.get("ClientToken") or ""
        resource.metadata.annotations = {CREATION_TOKEN: token} if token else None
        found = await self._directory.schedule(call, name, group)
        if found is None:
            try:
                found = self._directory.schedules.put(await acting.create(SCHEDULE, resource))
            except AlreadyExists:
                raise errors.exists(f"Schedule {name}") from None
        elif not token or (found.metadata.annotations or {}).get(CREATION_TOKEN) != token:
            raise errors.exists(f"Schedule {name}")
        return {"ScheduleArn": arn_of(found)}

    @operation("GetSchedule", permission=("get", SCHEDULE), understands=("Name", "GroupName"))
    async def get_schedule(self, call: RequestContext, request: Json) -> Json:
        await self._access.require(call, _resource(call, request))
        return described_schedule(await self._found(call, request))

    @operation("UpdateSchedule", permission=("update", SCHEDULE), understands=_CREATE)
    async def update_schedule(self, call: RequestContext, request: Json) -> Json:
        """What is not said is as if it had never been."""
        acting = await self._access.resources_for(call, _resource(call, request))
        spec = spec_of(request, call.region)
        await self._passed.require(call, request["Target"]["RoleArn"])

        def edit(schedule: Schedule) -> None:
            before = schedule.spec
            kept = {"schedule_name": before.schedule_name, "region": before.region}
            ours = {"missed_runs": before.missed_runs, "concurrency": before.concurrency}
            schedule.spec = spec.model_copy(update=kept | ours)
            noted = {**(schedule.metadata.annotations or {}), MODIFIED: rfc3339_micro(self._clock.now())}
            schedule.metadata.annotations = noted

        found = await self._found(call, request)
        return {"ScheduleArn": arn_of(await self._directory.change_schedule(acting, found, edit))}

    @operation("DeleteSchedule", permission=("delete", SCHEDULE), understands=_ONE)
    async def delete_schedule(self, call: RequestContext, request: Json) -> None:
        acting = await self._access.resources_for(call, _resource(call, request))
        found = await self._found(call, request)
        meta = found.metadata
        with suppress(NotFound):
            await acting.delete(SCHEDULE, meta.name, meta.namespace, uid=meta.uid)
        self._directory.schedules.drop(found)

    @operation(
        "ListSchedules",
        permission=("list", SCHEDULE),
        understands=("GroupName", "NamePrefix", "State", "NextToken", "MaxResults"),
    )
    async def list_schedules(self, call: RequestContext, request: Json) -> Json:
        await self._access.require(call)
        group = request.get("GroupName")
        if group:
            await self._directory.require_group(call, group)
        asked = [request.get(each) or "" for each in ("GroupName", "NamePrefix", "State")]
        found = [each for each in self._directory.schedules.all(call.namespace) if _fits(each, call, *asked)]
        rows, more = page(
            found,
            lambda each: f"{each.spec.group}/{schedule_name(each)}",
            ["schedules", call.account, call.region, *asked],
            request,
        )
        return {"Schedules": [listed_schedule(each) for each in rows], **more}

    async def _found(self, call: RequestContext, request: Json) -> Schedule:
        """Raises AwsError."""
        found = await self._directory.schedule(call, request["Name"], request.get("GroupName") or DEFAULT_GROUP)
        if found is None:
            raise errors.no_schedule(request["Name"])
        return found


def _resource(call: RequestContext, request: Json) -> str:
    return schedule_resource(request["Name"], request.get("GroupName") or DEFAULT_GROUP, call.region)


def _fits(schedule: Schedule, call: RequestContext, group: str, prefix: str, state: str) -> bool:
    return (
        call.sees(schedule.spec.region)
        and group in ("", schedule.spec.group)
        and schedule_name(schedule).startswith(prefix)
        and state in ("", "ENABLED" if schedule.spec.enabled else "DISABLED")
    )
