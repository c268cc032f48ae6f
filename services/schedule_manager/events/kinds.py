"""Kinds of events: the buses they are put on, and the rules that say which of them go where."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status
from crds.model import Model
from crds.passed_roles import PassedRoles
from services.schedule_manager.events.invariants import keeps_the_bus_s_name, keeps_the_rule_s_name, roles_said
from services.schedule_manager.events.names import DEFAULT_BUS, PRINCIPAL, bus_fault, rule_fault
from services.schedule_manager.events.patterns import parse_pattern
from services.schedule_manager.events.shaping import (
    LONGEST_INPUT,
    InputTransformer,
    Shaping,
    ShapingFault,
    check_shaping,
)
from services.schedule_manager.expressions import At, parse_expression
from services.schedule_manager.kinds import RetryPolicy, check_dead_letters, is_role
from services.schedule_manager.targets import read_target
from services.sdk.aws.tags import tag_fault

MOST_TARGETS = 5
_Text = Annotated[str, Field(max_length=1600)]


class EventTarget(Model):
    """Where events go. `id`: of its own in the rule. `arn`: in the forms of a Schedule's target. `roleArn`: the
    IAM role under which it is called, which trusts `events.amazonaws.com`; what has none takes the rule's. An https
    address needs none, nor does a queue or topic whose policy lets `events.amazonaws.com` send there. Of `input`,
    `inputPath` and `inputTransformer` at most one says what is sent instead of the event. `messageGroupId`: for FIFO
    queues. `deadLetterArn`: the queue for what could not be delivered.
    """

    id: str
    arn: Annotated[str, Field(min_length=1, max_length=1600)]
    role_arn: _Text = ""
    input: Annotated[str, Field(max_length=LONGEST_INPUT)] = ""
    input_path: Annotated[str, Field(max_length=256)] = ""
    input_transformer: InputTransformer | None = None
    message_group_id: Annotated[str, Field(max_length=128)] = ""
    dead_letter_arn: _Text = ""
    retry_policy: RetryPolicy | None = None

    @model_validator(mode="after")
    def _can_be_called(self) -> Self:
        if fault := rule_fault(self.id):
            raise ValueError(f"id: {fault}")
        target = read_target(self.arn)
        if target.puts_events:
            raise ValueError("arn: event buses are not targets here yet: rules would feed themselves")
        if self.role_arn and not is_role(self.role_arn):
            raise ValueError("roleArn: must be arn:aws:iam::ACCOUNT:role/NAME")
        if self.message_group_id and (target.service != "sqs" or target.universal):
            raise ValueError("messageGroupId: only messages to queues have a group")
        if self.dead_letter_arn:
            check_dead_letters(self.dead_letter_arn)
        if sum(map(bool, (self.input, self.input_path, self.input_transformer))) > 1:
            raise ValueError("of input, inputPath and inputTransformer only one may be said")
        try:
            check_shaping(self.shaping)
        except ShapingFault as odd:
            text = f"InputTemplate for target {self.id} {odd}" if odd.placeholder else str(odd)
            raise ValueError(text) from None
        return self

    @property
    def shaping(self) -> Shaping:
        return Shaping(self.input, self.input_path, self.input_transformer)

    @property
    def needs_role(self) -> bool:
        return read_target(self.arn).universal

    @property
    def takes_role(self) -> bool:
        """Whether a role is of use: what has none is called as `events.amazonaws.com`, and its policy decides."""
        return bool(self.dead_letter_arn) or read_target(self.arn).service != "https"


class EventRuleSpec(Spec):
    """`ruleName`: as AWS calls it, the resource's own name where it is empty; `bus` and `region` (empty: seen
    everywhere): what it is found by. These may not change. `eventPattern`: which events of the bus it wants, JSON;
    `scheduleExpression`: cron or rate, when it makes an event itself, in UTC. One of them is said, or both.
    `roleArn`: for targets that have none of their own.
    """

    rule_name: str = ""
    bus: str = DEFAULT_BUS
    region: Annotated[str, Field(max_length=32)] = ""
    description: Annotated[str, Field(max_length=512)] = ""
    event_pattern: Annotated[str, Field(max_length=4096)] = ""
    schedule_expression: Annotated[str, Field(max_length=256)] = ""
    enabled: bool = True
    role_arn: _Text = ""
    targets: Annotated[list[EventTarget], Field(max_length=MOST_TARGETS)] = []
    tags: dict[str, str] | None = None

    @field_validator("tags")
    @classmethod
    def _are_tags(cls, tags: dict[str, str] | None) -> dict[str, str] | None:
        if fault := tag_fault(tags or {}):
            raise ValueError(fault)
        return tags

    @field_validator("event_pattern")
    @classmethod
    def _is_pattern(cls, text: str) -> str:
        if text:
            parse_pattern(text)
        return text

    @model_validator(mode="after")
    def _can_be_followed(self) -> Self:
        if self.rule_name and (fault := rule_fault(self.rule_name)):
            raise ValueError(f"ruleName: {fault}")
        if fault := bus_fault(self.bus):
            raise ValueError(f"bus: {fault}")
        if not self.event_pattern and not self.schedule_expression:
            raise ValueError("eventPattern, scheduleExpression: one of them must be said")
        self._check_schedule()
        self._check_targets()
        return self

    def _check_schedule(self) -> None:
        if not self.schedule_expression:
            return
        if self.bus != DEFAULT_BUS:
            raise ValueError("scheduleExpression: is supported only on the default event bus")
        if isinstance(parse_expression(self.schedule_expression), At):
            raise ValueError("scheduleExpression: a rule takes cron(...) or rate(...); a Schedule takes at(...)")

    def _check_targets(self) -> None:
        if self.role_arn and not is_role(self.role_arn):
            raise ValueError("roleArn: must be arn:aws:iam::ACCOUNT:role/NAME")
        if len({each.id for each in self.targets}) < len(self.targets):
            raise ValueError("targets: two have the same id")
        for each in self.targets:
            if each.needs_role and not (each.role_arn or self.role_arn):
                raise ValueError(
                    f"targets: {each.id} needs a role to be called under: say its roleArn, or the rule's"
                )


class EventRuleStatus(Status):
    arn: str = ""


class EventRule(Resource[EventRuleSpec, EventRuleStatus]):
    spec: EventRuleSpec
    status: EventRuleStatus = Field(default_factory=EventRuleStatus)


class EventBusSpec(Spec):
    """`busName` and `region`: as for an EventRule."""

    bus_name: str = ""
    region: Annotated[str, Field(max_length=32)] = ""
    description: Annotated[str, Field(max_length=512)] = ""
    tags: dict[str, str] | None = None

    @model_validator(mode="after")
    def _can_be_named(self) -> Self:
        if self.bus_name and (fault := bus_fault(self.bus_name)):
            raise ValueError(f"busName: {fault}")
        if fault := tag_fault(self.tags or {}):
            raise ValueError(f"tags: {fault}")
        return self


class EventBusStatus(Status):
    arn: str = ""


class EventBus(Resource[EventBusSpec, EventBusStatus]):
    spec: EventBusSpec = Field(default_factory=EventBusSpec)
    status: EventBusStatus = Field(default_factory=EventBusStatus)


def _roles(spec: Mapping[str, Any]) -> list[str]:
    return sorted({arn.rpartition("/")[2] for _, arn in roles_said(spec) if arn})


def _wanted(rule: dict[str, Any]) -> str:
    spec = rule.get("spec") or {}
    try:
        said = json.loads(spec.get("eventPattern") or "{}")
    except ValueError:
        said = {}
    found = [spec.get("scheduleExpression") or "", " ".join(sorted(said)) if isinstance(said, dict) else ""]
    return ", ".join(each for each in found if each)


EVENT_RULE = Kind(
    name="EventRule",
    plural="eventrules",
    singular="eventrule",
    model=EventRule,
    categories=("all",),
    description="Sends events of a bus that it wants, or its own at their times, to queues, topics and addresses.",
    invariants=(keeps_the_rule_s_name,),
    passes=PassedRoles(PRINCIPAL, _roles, harmless=frozenset({"description", "tags"})),
    columns=(
        Column("Name", "metadata.name"),
        Column("Bus", "spec.bus"),
        Column("Wants", "spec.eventPattern", read=_wanted),
        Column("Enabled", "spec.enabled", "boolean"),
        Column("ARN", "status.arn", priority=1),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
EVENT_BUS = Kind(
    name="EventBus",
    plural="eventbuses",
    singular="eventbus",
    model=EventBus,
    description="What events are put on. Every namespace has the bus default, which nobody makes.",
    invariants=(keeps_the_bus_s_name,),
    columns=(
        Column("Name", "metadata.name"),
        Column("Bus", "spec.busName"),
        Column("ARN", "status.arn", priority=1),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
