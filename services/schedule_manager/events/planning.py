"""What follows from a rule for the engine: how each of its targets is planned. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from services.schedule_manager.events.kinds import EventRule, EventTarget
from services.schedule_manager.events.plans import NEVER, PlannedSpec, event_uid, rule_uid, target_of, time_uid
from services.schedule_manager.kinds import ScheduleTarget
from services.schedule_manager.planning import planned_as
from services.schedule_manager.schedule_store import Planned
from services.schedule_manager.targets import read_target
from services.sdk.informer import Informer


def rule_name(rule: EventRule) -> str:
    return rule.spec.rule_name or rule.metadata.name


def name_of_target(rules: Informer[EventRule], uid: str) -> str | None:
    """The name of the rule that it is planned for; None once that, or its target, is gone, empty until all rules were
    listed.
    """
    rule = rules.by_uid(rule_uid(uid))
    if rule is None:
        return None if rules.listed else ""
    return rule_name(rule) if any(each.id == target_of(uid) for each in rule.spec.targets) else None


def planned_for_events(rule: EventRule, target: EventTarget, now: datetime) -> Planned:
    """It is never due: it is called for the events that the rule wants."""
    return planned_as(
        event_uid(rule.metadata.uid or "", target.id), rule.metadata, _spec(rule, target, timed=False), now, None
    )


def timed_uids(rule: EventRule) -> Iterator[tuple[str, EventTarget]]:
    """What of a rule is due at its times."""
    if rule.spec.schedule_expression:
        yield from ((time_uid(rule.metadata.uid or "", each.id), each) for each in rule.spec.targets)


def planned_for_times(
    rule: EventRule, uid: str, target: EventTarget, now: datetime, before: Planned | None
) -> Planned:
    return planned_as(uid, rule.metadata, _spec(rule, target, timed=True), now, before)


def _spec(rule: EventRule, target: EventTarget, *, timed: bool) -> PlannedSpec:
    spec = rule.spec
    return PlannedSpec(
        schedule_name=rule_name(rule),
        region=spec.region,
        bus=spec.bus,
        expression=spec.schedule_expression if timed else NEVER,
        enabled=spec.enabled and timed,
        target=ScheduleTarget(
            arn=target.arn,
            role_arn=target.role_arn or (spec.role_arn if target.takes_role else ""),
            input="{}" if read_target(target.arn).universal else "",
            message_group_id=target.message_group_id,
            dead_letter_arn=target.dead_letter_arn,
            retry_policy=target.retry_policy,
        ),
        text=target.input,
        path=target.input_path,
        transformer=target.input_transformer,
    )
