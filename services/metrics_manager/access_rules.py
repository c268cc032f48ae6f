"""What CloudWatch asks of its callers, for whoever explains decisions."""

from __future__ import annotations

from services.metrics_manager.cloudwatch.operations import OPERATIONS
from services.sdk.aws.access_rules import AccessRules, permissions_of

RULES = AccessRules(permissions_of("cloudwatch", OPERATIONS))
