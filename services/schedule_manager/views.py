"""Schedules and groups as EventBridge Scheduler shows them, and the spec that a request asks for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from services.schedule_manager import errors
from services.schedule_manager.expressions import ExpressionFault, parse_expression
from services.schedule_manager.kinds import Schedule, ScheduleGroup, ScheduleSpec
from services.schedule_manager.names import DEFAULT_GROUP, group_arn, schedule_arn
from services.schedule_manager.targets import read_target
from services.sdk.aws.accounts import account_of
from services.sdk.aws.role_calls import operation_named

Json = dict[str, Any]
MODIFIED = "aerekos.cloud/modified-at"
"""An annotation: when it was changed last by this API."""
TARGET = ("Arn", "RoleArn", "DeadLetterConfig", "RetryPolicy", "Input", "SqsParameters")
_ACTIONS = {"None": "NONE", "Delete": "DELETE"}


def schedule_name(schedule: Schedule) -> str:
    return schedule.spec.schedule_name or schedule.metadata.name


def arn_of(schedule: Schedule) -> str:
    account = account_of(schedule.metadata.namespace or "")
    return schedule_arn(schedule.spec.region, account, schedule.spec.group, schedule_name(schedule))


def spec_of(request: Json, region: str) -> ScheduleSpec:
    """Raises AwsError for a request that asks for what cannot be, or is not understood here."""
    window = request["FlexibleTimeWindow"]
    if (window["Mode"] == "FLEXIBLE") != ("MaximumWindowInMinutes" in window):
        raise errors.validation("MaximumWindowInMinutes is said for the mode FLEXIBLE, and for no other.")
    wanted = {
        "scheduleName": request["Name"],
        "group": request.get("GroupName") or DEFAULT_GROUP,
        "region": region,
        "description": request.get("Description") or "",
        "expression": request["ScheduleExpression"],
        "timezone": request.get("ScheduleExpressionTimezone") or "UTC",
        "startDate": request.get("StartDate"),
        "endDate": request.get("EndDate"),
        "enabled": request.get("State", "ENABLED") == "ENABLED",
        "flexibleWindowMinutes": window.get("MaximumWindowInMinutes"),
        "actionAfterCompletion": "Delete" if request.get("ActionAfterCompletion") == "DELETE" else "None",
        "target": _target_of(request["Target"]),
    }
    try:
        parse_expression(request["ScheduleExpression"])
    except ExpressionFault:
        raise errors.validation(f"Invalid Schedule Expression {request['ScheduleExpression']}.") from None
    try:
        spec = ScheduleSpec.model_validate(wanted, by_alias=True, by_name=False)
    except ValidationError as faults:
        raise errors.validation(words(faults)) from None
    _require_operation(spec.target.arn)
    return spec


def described_schedule(schedule: Schedule) -> Json:
    spec = schedule.spec
    window: Json = {"Mode": "OFF"}
    if spec.flexible_window_minutes is not None:
        window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": spec.flexible_window_minutes}
    return {
        **_summary(schedule),
        "ScheduleExpression": spec.expression,
        "ScheduleExpressionTimezone": spec.timezone,
        "FlexibleTimeWindow": window,
        "ActionAfterCompletion": _ACTIONS[spec.action_after_completion],
        "Target": _described_target(schedule),
        **({"Description": spec.description} if spec.description else {}),
        **({"StartDate": spec.start_date} if spec.start_date else {}),
        **({"EndDate": spec.end_date} if spec.end_date else {}),
    }


def listed_schedule(schedule: Schedule) -> Json:
    return {**_summary(schedule), "Target": {"Arn": schedule.spec.target.arn}}


def group_name(group: ScheduleGroup) -> str:
    return group.spec.group_name or group.metadata.name


def group_arn_of(group: ScheduleGroup) -> str:
    return group_arn(group.spec.region, account_of(group.metadata.namespace or ""), group_name(group))


def described_group(group: ScheduleGroup) -> Json:
    meta = group.metadata
    return {
        "Arn": group_arn_of(group),
        "Name": group_name(group),
        "State": "DELETING" if meta.deletion_timestamp else "ACTIVE",
        **_dates(meta.creation_timestamp, meta.annotations),
    }


def described_default_group(region: str, account: str) -> Json:
    """The group that is always there."""
    return {"Arn": group_arn(region, account, DEFAULT_GROUP), "Name": DEFAULT_GROUP, "State": "ACTIVE"}


def _summary(schedule: Schedule) -> Json:
    meta = schedule.metadata
    return {
        "Arn": arn_of(schedule),
        "Name": schedule_name(schedule),
        "GroupName": schedule.spec.group,
        "State": "ENABLED" if schedule.spec.enabled else "DISABLED",
        **_dates(meta.creation_timestamp, meta.annotations),
    }


def _dates(made: datetime | None, annotations: Mapping[str, str] | None) -> Json:
    return {"CreationDate": made, "LastModificationDate": modified_at(made, annotations)} if made else {}


def modified_at(made: datetime, annotations: Mapping[str, str] | None) -> datetime:
    """When this API changed it last, or its making."""
    changed = (annotations or {}).get(MODIFIED)
    try:
        return datetime.fromisoformat(changed).astimezone(UTC) if changed else made
    except ValueError:  # by hand
        return made


def _target_of(target: Json) -> Json:
    """Raises AwsError."""
    if unknown := sorted(set(target) - set(TARGET)):
        raise errors.validation(f"Target.{unknown[0]} is of a target that is not here.")
    retries, dead = target.get("RetryPolicy") or {}, target.get("DeadLetterConfig") or {}
    known = {"MaximumEventAgeInSeconds": "maximumEventAgeSeconds", "MaximumRetryAttempts": "maximumRetryAttempts"}
    return {
        "arn": target["Arn"],
        "roleArn": target["RoleArn"],
        "input": target.get("Input") or "",
        "messageGroupId": (target.get("SqsParameters") or {}).get("MessageGroupId") or "",
        "deadLetterArn": dead.get("Arn") or "",
        "retryPolicy": {field: retries[name] for name, field in known.items() if name in retries} or None,
    }


def _require_operation(arn: str) -> None:
    """Raises AwsError for a universal target of an operation that is not there."""
    target = read_target(arn)
    if not target.universal:
        return
    try:
        found = operation_named(target.service, target.operation)
    except LookupError as unknown:
        raise errors.validation(f"Target.Arn: {unknown}") from None
    if found is None:
        raise errors.validation(f"Target.Arn: {target.service} has no operation {target.operation}.")


def _described_target(schedule: Schedule) -> Json:
    target = schedule.spec.target
    found: Json = {"Arn": target.arn}
    if target.role_arn:
        found["RoleArn"] = target.role_arn
    if target.input:
        found["Input"] = target.input
    if target.message_group_id:
        found["SqsParameters"] = {"MessageGroupId": target.message_group_id}
    if target.dead_letter_arn:
        found["DeadLetterConfig"] = {"Arn": target.dead_letter_arn}
    policy = target.retry_policy
    found["RetryPolicy"] = {
        "MaximumEventAgeInSeconds": policy.maximum_event_age_seconds if policy else 86_400,
        "MaximumRetryAttempts": policy.maximum_retry_attempts if policy else 185,
    }
    return found


def words(faults: ValidationError) -> str:
    """The first of them, with the field that it is about."""
    first = faults.errors()[0]
    where = ".".join(str(each) for each in first["loc"])
    said = str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
