"""What IAM and STS ask of their callers, for whoever explains decisions."""

from __future__ import annotations

from services.iam_manager.app import OPERATIONS, STS_OPERATIONS
from services.sdk.aws.access_rules import AccessRules, Located, StoredObjects, permissions_of
from services.sdk.aws.arns import Arn
from services.sdk.aws.iam_names import resource_name


def locate(arn: Arn, _: StoredObjects, __: str) -> Located:
    """By the last part of its path: `arn:aws:iam::111122223333:user/team/Ann` is the resource `ann`."""
    return Located(resource_name(arn.resource.rpartition("/")[2]), str(arn))


RULES = AccessRules(permissions_of("iam", OPERATIONS) | permissions_of("sts", STS_OPERATIONS), locate)
