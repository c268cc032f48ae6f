"""Kinds of this service: schedules, and the groups they are in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status
from crds.model import Model, Timestamp
from crds.passed_roles import PassedRoles
from services.schedule_manager.expressions import parse_expression, time_zone, year_fault
from services.schedule_manager.invariants import SCHEDULE_MANAGER, keeps_its_name, keeps_the_group_s_name
from services.schedule_manager.names import DEFAULT_GROUP, name_fault
from services.schedule_manager.targets import read_target
from services.sdk.aws.arns import parse_arn
from services.sdk.aws.tags import tag_fault

KEEPER = "aerekos.cloud/schedules"
PRINCIPAL = "scheduler.amazonaws.com"
LONGEST_INPUT = 262_144


class RetryPolicy(Model):
    """For how long (seconds from the due time), and how often after the first time, a call that fails is repeated."""

    maximum_event_age_seconds: Annotated[int, Field(ge=60, le=86_400)] = 86_400
    maximum_retry_attempts: Annotated[int, Field(ge=0, le=185)] = 185


class ScheduleTarget(Model):
    """`arn`: what is called (`services/schedule_manager/targets.py` has the forms). `roleArn`: the IAM role under
    which, which trusts `scheduler.amazonaws.com`; an https address needs none. `input`: the message, or the JSON
    request of a universal target. `messageGroupId`: for FIFO queues. `deadLetterArn`: the queue for what could not be
    delivered.
    """

    arn: Annotated[str, Field(min_length=1, max_length=1600)]
    role_arn: Annotated[str, Field(max_length=1600)] = ""
    input: Annotated[str, Field(max_length=LONGEST_INPUT)] = ""
    message_group_id: Annotated[str, Field(max_length=128)] = ""
    dead_letter_arn: Annotated[str, Field(max_length=1600)] = ""
    retry_policy: RetryPolicy | None = None

    @model_validator(mode="after")
    def _can_be_called(self) -> Self:
        target = read_target(self.arn)
        if self.role_arn and not is_role(self.role_arn):
            raise ValueError("roleArn: must be arn:aws:iam::ACCOUNT:role/NAME")
        if self.message_group_id and (target.service != "sqs" or target.universal):
            raise ValueError("messageGroupId: only messages to queues have a group")
        if self.dead_letter_arn:
            check_dead_letters(self.dead_letter_arn)
        if target.universal and not _is_object(self.input):
            raise ValueError("input: a universal target needs its request, a JSON object")
        return self

    @property
    def is_of_aws(self) -> bool:
        """Whether a call of AWS may come of it."""
        return read_target(self.arn).service != "https" or bool(self.dead_letter_arn)


class ScheduleSpec(Spec):
    """`scheduleName`: as AWS calls it, the resource's own name where it is empty; `group` and `region` (empty: seen
    everywhere): what it is found by. These may not change. `expression`: cron, rate or at; `timezone`: of IANA's.
    `startDate`, `endDate`: outside of which recurring schedules are not due. `flexibleWindowMinutes`: within which
    after its due time it is called, at a moment that is always the same for one due time.
    `actionAfterCompletion`: whether it is deleted after its last time. `missedRuns`: of due times that passed while
    nothing could be called, the latest one is made up for, all are, or none. `concurrency`: when it is due while an
    earlier call of it is still tried: both are, the new one is not (`Forbid`), or the earlier ones are given up
    (`Replace`).
    """

    schedule_name: str = ""
    group: str = DEFAULT_GROUP
    region: Annotated[str, Field(max_length=32)] = ""
    description: Annotated[str, Field(max_length=512)] = ""
    expression: Annotated[str, Field(min_length=1, max_length=256)]
    timezone: Annotated[str, Field(min_length=1, max_length=50)] = "UTC"
    start_date: Timestamp | None = None
    end_date: Timestamp | None = None
    enabled: bool = True
    flexible_window_minutes: Annotated[int, Field(ge=1, le=1440)] | None = None
    action_after_completion: Literal["None", "Delete"] = "None"
    missed_runs: Literal["Latest", "All", "None"] = "Latest"
    concurrency: Literal["Allow", "Forbid", "Replace"] = "Allow"
    target: ScheduleTarget

    @model_validator(mode="after")
    def _can_be_followed(self) -> Self:
        for field, value in (("scheduleName", self.schedule_name), ("group", self.group)):
            if (value or field == "group") and (fault := name_fault(value)):
                raise ValueError(f"{field}: {fault}")
        parse_expression(self.expression)
        time_zone(self.timezone)
        for field, date in (("startDate", self.start_date), ("endDate", self.end_date)):
            if date is not None and (fault := year_fault(date)):
                raise ValueError(f"{field}: {fault}")
        if self.start_date and self.end_date and self.end_date <= self.start_date:
            raise ValueError("endDate: must be after startDate")
        if self._needs_role() and self.target.is_of_aws and not self.target.role_arn:
            raise ValueError("target.roleArn: a call of AWS, and a dead-letter queue, need a role to be made under")
        return self

    def _needs_role(self) -> bool:
        return True


class ScheduleStatus(Status):
    """`timeZoneData`: the edition of IANA's rules that its times are reckoned by. When it is due next, and how its
    last calls ended, is asked of the service: it moves on with every call, and is not written here.
    """

    arn: str = ""
    time_zone_data: str = ""


class Schedule(Resource[ScheduleSpec, ScheduleStatus]):
    spec: ScheduleSpec
    status: ScheduleStatus = Field(default_factory=ScheduleStatus)


class ScheduleGroupSpec(Spec):
    """`groupName` and `region`: as for a Schedule. Schedules go with their group."""

    group_name: str = ""
    region: Annotated[str, Field(max_length=32)] = ""
    tags: dict[str, str] | None = None

    @model_validator(mode="after")
    def _can_be_named(self) -> Self:
        if self.group_name and (fault := name_fault(self.group_name)):
            raise ValueError(f"groupName: {fault}")
        if fault := tag_fault(self.tags or {}):
            raise ValueError(f"tags: {fault}")
        return self


class ScheduleGroupStatus(Status):
    arn: str = ""


class ScheduleGroup(Resource[ScheduleGroupSpec, ScheduleGroupStatus]):
    spec: ScheduleGroupSpec = Field(default_factory=ScheduleGroupSpec)
    status: ScheduleGroupStatus = Field(default_factory=ScheduleGroupStatus)


def _roles(spec: Mapping[str, Any]) -> list[str]:
    target = spec.get("target")  # as it was sent: nothing is proven of it yet
    arn = str(target.get("roleArn") or "") if isinstance(target, Mapping) else ""
    return [arn.rpartition("/")[2]] if arn else []


def is_role(arn: str) -> bool:
    parsed = parse_arn(arn)
    return parsed is not None and parsed.service == "iam" and bool(parsed.account) and parsed.kind == "role"


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def check_dead_letters(arn: str) -> None:
    parsed = parse_arn(arn)
    if parsed is None or parsed.service != "sqs" or not parsed.region or not parsed.account:
        raise ValueError("deadLetterArn: must be the ARN of a queue")
    if parsed.resource.endswith(".fifo"):
        raise ValueError("deadLetterArn: must be a standard queue")


def _when(schedule: dict[str, Any]) -> str:
    spec = schedule.get("spec") or {}
    zone = spec.get("timezone") or "UTC"
    return f"{spec.get('expression', '')} {zone}" if zone != "UTC" else str(spec.get("expression", ""))


SCHEDULE = Kind(
    name="Schedule",
    plural="schedules",
    singular="schedule",
    short_names=("sched",),
    categories=("all",),
    model=Schedule,
    description="Calls a queue, a topic, an address or an AWS operation at its times.",
    invariants=(keeps_its_name,),
    passes=PassedRoles(PRINCIPAL, _roles, harmless=frozenset({"description"})),
    columns=(
        Column("Name", "metadata.name"),
        Column("When", "spec.expression", read=_when),
        Column("Target", "spec.target.arn"),
        Column("Enabled", "spec.enabled", "boolean"),
        Column("Group", "spec.group", priority=1),
        Column("ARN", "status.arn", priority=1),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
SCHEDULE_GROUP = Kind(
    name="ScheduleGroup",
    plural="schedulegroups",
    singular="schedulegroup",
    model=ScheduleGroup,
    description="Schedules that are listed and deleted together.",
    invariants=(keeps_the_group_s_name,),
    keepers=(KEEPER,),
    keeper=SCHEDULE_MANAGER,
    columns=(
        Column("Name", "metadata.name"),
        Column("Group", "spec.groupName"),
        Column("ARN", "status.arn", priority=1),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
