"""What EventBridge and its Scheduler ask of their callers, for whoever explains decisions."""

from __future__ import annotations

from services.schedule_manager.events.names import resource_of
from services.schedule_manager.events.operations import EVENT_OPERATIONS
from services.schedule_manager.names import group_resource, schedule_resource
from services.schedule_manager.operations import OPERATIONS
from services.sdk.aws.access_rules import AccessRules, Located, StoredObjects, permissions_of
from services.sdk.aws.arns import Arn


def locate(arn: Arn, _: StoredObjects, __: str) -> Located:
    """The schedule, group, rule or bus of that ARN."""
    if arn.service == "events":
        return Located(resource_of(arn), str(arn))
    if arn.kind == "schedule":
        group, _slash, name = arn.name.partition("/")
        return Located(schedule_resource(name, group, arn.region), str(arn))
    return Located(group_resource(arn.name, arn.region), str(arn))


RULES = AccessRules(
    permissions_of("scheduler", OPERATIONS) | permissions_of("events", EVENT_OPERATIONS),
    locate,
    not_considered="whether the caller may pass the role of the schedule or rule (iam:PassRole)",
)
