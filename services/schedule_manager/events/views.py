"""Buses, rules and targets as EventBridge shows them, and the specs that requests ask for."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from services.schedule_manager.events import errors
from services.schedule_manager.events.directory import arn_of_bus, arn_of_rule, bus_in, bus_name
from services.schedule_manager.events.kinds import EventBus, EventRule, EventRuleSpec, EventTarget
from services.schedule_manager.events.names import DEFAULT_BUS, bus_arn
from services.schedule_manager.events.patterns import PatternFault, parse_pattern
from services.schedule_manager.events.planning import rule_name
from services.schedule_manager.expressions import At, ExpressionFault, parse_expression
from services.schedule_manager.views import modified_at, words
from services.sdk.aws.accounts import account_of

Json = dict[str, Any]
TARGET = frozenset(
    (
        *("Id", "Arn", "RoleArn", "Input", "InputPath", "InputTransformer"),
        *("SqsParameters", "DeadLetterConfig", "RetryPolicy"),
    )
)
_RETRIES = {"MaximumEventAgeInSeconds": "maximumEventAgeSeconds", "MaximumRetryAttempts": "maximumRetryAttempts"}


def rule_spec(request: Json, region: str, before: EventRule | None) -> EventRuleSpec:
    """What is not said is as if it had never been, but for targets and tags. Raises AwsError."""
    pattern, expression = request.get("EventPattern") or "", request.get("ScheduleExpression") or ""
    bus = bus_in(request)
    _check_pattern(pattern)
    _check_expression(expression, bus)
    if not pattern and not expression:
        raise errors.validation("Parameter(s) EventPattern or ScheduleExpression must be specified.")
    wanted = {
        "ruleName": request["Name"],
        "bus": bus,
        "region": region,
        "description": request.get("Description") or "",
        "eventPattern": pattern,
        "scheduleExpression": expression,
        "enabled": _enabled(request.get("State") or "ENABLED"),
        "roleArn": request.get("RoleArn") or "",
        "targets": [each.wire() for each in before.spec.targets] if before is not None else [],
        "tags": before.spec.tags if before is not None else None,
    }
    return validated(wanted)


def validated(wanted: Json) -> EventRuleSpec:
    """Raises AwsError."""
    try:
        return EventRuleSpec.model_validate(wanted, by_alias=True, by_name=False)
    except ValidationError as faults:
        raise errors.validation(words(faults)) from None


def target_from(said: Json) -> EventTarget:
    """Raises AwsError."""
    id = said["Id"]
    if unknown := sorted(name for name in set(said) - TARGET if said[name]):
        raise errors.validation(f"{unknown[0]} of target {id} is of a target that is not here.")
    if sum(name in said for name in ("Input", "InputPath", "InputTransformer")) > 1:
        raise errors.validation(
            f"Only one of Input, InputPath, or InputTransformer must be provided for target {id}."
        )
    retries, dead = said.get("RetryPolicy") or {}, said.get("DeadLetterConfig") or {}
    transformer = said.get("InputTransformer")
    wanted = {
        "id": id,
        "arn": said["Arn"],
        "roleArn": said.get("RoleArn") or "",
        "input": said.get("Input") or "",
        "inputPath": said.get("InputPath") or "",
        "inputTransformer": _transformer_from(transformer) if transformer else None,
        "messageGroupId": (said.get("SqsParameters") or {}).get("MessageGroupId") or "",
        "deadLetterArn": dead.get("Arn") or "",
        "retryPolicy": {field: retries[name] for name, field in _RETRIES.items() if name in retries} or None,
    }
    try:
        return EventTarget.model_validate(wanted, by_alias=True, by_name=False)
    except ValidationError as faults:
        text = words(faults)
        raise errors.validation(text if text.startswith("InputTemplate") else f"Target {id}: {text}") from None


def described_target(target: EventTarget) -> Json:
    found: Json = {"Id": target.id, "Arn": target.arn}
    for name, value in (("RoleArn", target.role_arn), ("Input", target.input), ("InputPath", target.input_path)):
        if value:
            found[name] = value
    if target.input_transformer is not None:
        paths = target.input_transformer.paths
        found["InputTransformer"] = {
            **({"InputPathsMap": paths} if paths else {}),
            "InputTemplate": target.input_transformer.template,
        }
    if target.message_group_id:
        found["SqsParameters"] = {"MessageGroupId": target.message_group_id}
    if target.dead_letter_arn:
        found["DeadLetterConfig"] = {"Arn": target.dead_letter_arn}
    if target.retry_policy is not None:
        wire = target.retry_policy.wire()
        found["RetryPolicy"] = {name: wire[field] for name, field in _RETRIES.items() if field in wire}
    return found


def listed_rule(rule: EventRule) -> Json:
    spec = rule.spec
    told = {
        "Name": rule_name(rule),
        "Arn": arn_of_rule(rule),
        "EventPattern": spec.event_pattern,
        "ScheduleExpression": spec.schedule_expression,
        "Description": spec.description,
        "RoleArn": spec.role_arn,
        "State": "ENABLED" if spec.enabled else "DISABLED",
        "EventBusName": spec.bus,
    }
    return {name: value for name, value in told.items() if value}


def described_rule(rule: EventRule) -> Json:
    return {**listed_rule(rule), "CreatedBy": account_of(rule.metadata.namespace or "")}


def described_bus(bus: EventBus) -> Json:
    meta = bus.metadata
    told: Json = {"Name": bus_name(bus), "Arn": arn_of_bus(bus)}
    if bus.spec.description:
        told["Description"] = bus.spec.description
    if meta.creation_timestamp is not None:
        modified = modified_at(meta.creation_timestamp, meta.annotations)
        told |= {"CreationTime": meta.creation_timestamp, "LastModifiedTime": modified}
    return told


def described_default_bus(region: str, account: str) -> Json:
    """The bus that is always there."""
    return {"Name": DEFAULT_BUS, "Arn": bus_arn(region, account, DEFAULT_BUS)}


def _transformer_from(said: Json) -> Json:
    return {"paths": said.get("InputPathsMap") or {}, "template": said["InputTemplate"]}


def _check_pattern(text: str) -> None:
    try:
        if text:
            parse_pattern(text)
    except PatternFault as fault:
        raise errors.pattern(fault) from None


def _check_expression(text: str, bus: str) -> None:
    if not text:
        return
    if bus != DEFAULT_BUS:
        raise errors.validation("ScheduleExpression is supported only on the default event bus.")
    try:
        if not isinstance(parse_expression(text), At):
            return
    except ExpressionFault:
        pass
    raise errors.validation("Parameter ScheduleExpression is not valid.")


def _enabled(state: str) -> bool:
    """Raises AwsError for what would ask for events that are not here."""
    if state not in ("ENABLED", "DISABLED"):
        raise errors.validation(f"State {state} is not here: a rule is ENABLED or DISABLED.")
    return state == "ENABLED"
