"""What CloudWatch asks of its callers, for whoever explains decisions."""

from __future__ import annotations

from services.metrics_manager.cloudwatch.operations import OPERATIONS
from services.sdk.aws.access_rules import AccessRules, Located, StoredObjects, permissions_of
from services.sdk.aws.arns import Arn
from services.sdk.aws.resource_names import resource_name


def locate(arn: Arn, _: StoredObjects, __: str) -> Located:
    """The alarm of that ARN."""
    return Located(resource_name(arn.resource.removeprefix("alarm:"), arn.region), str(arn))


RULES = AccessRules(permissions_of("cloudwatch", OPERATIONS), locate)
