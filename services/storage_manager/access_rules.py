"""What S3 asks of its callers, for whoever explains decisions: roles on the Bucket, and policies of IAM."""

from __future__ import annotations

from services.sdk.aws.access_rules import AccessRules, Located, StoredObjects
from services.sdk.aws.arns import Arn
from services.sdk.permissions import Permission
from services.storage_manager.handlers import OPERATIONS
from services.storage_manager.kinds import BUCKET


def locate(arn: Arn, _: StoredObjects, __: str) -> Located:
    """The bucket, also of an object in it."""
    return Located(arn.resource.partition("/")[0], str(arn))


RULES = AccessRules(
    {each.action: Permission(each.verb, BUCKET) for each in OPERATIONS.values()},
    locate,
    not_considered="policies, access control lists and locks of buckets and objects, which lie with storage-manager",
)
