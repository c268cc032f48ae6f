"""What CloudWatch Logs asks of its callers, for whoever explains decisions."""

from __future__ import annotations

from services.logs_manager.names import group_in, group_resource
from services.logs_manager.operations import OPERATIONS
from services.sdk.aws.access_rules import AccessRules, Located, StoredObjects, permissions_of
from services.sdk.aws.arns import Arn


def locate(arn: Arn, _: StoredObjects, __: str) -> Located:
    """The log group of that ARN, or of the stream's."""
    return Located(group_resource(group_in(str(arn).partition(":log-stream:")[0]) or "", arn.region), str(arn))


RULES = AccessRules(permissions_of("logs", OPERATIONS), locate)
