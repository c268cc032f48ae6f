"""What EventBridge Scheduler asks of its callers, for whoever explains decisions."""

from __future__ import annotations

from services.schedule_manager.names import group_resource, schedule_resource
from services.schedule_manager.operations import OPERATIONS
from services.sdk.aws.access_rules import AccessRules, Located, StoredObjects, permissions_of
from services.sdk.aws.arns import Arn


def locate(arn: Arn, _: StoredObjects, __: str) -> Located:
    """The schedule or the group of that ARN."""
    if arn.kind == "schedule":
        group, _slash, name = arn.name.partition("/")
        return Located(schedule_resource(name, group, arn.region), str(arn))
    return Located(group_resource(arn.name, arn.region), str(arn))


RULES = AccessRules(
    permissions_of("scheduler", OPERATIONS),
    locate,
    not_considered="whether the caller may pass the role of the schedule (iam:PassRole)",
)
