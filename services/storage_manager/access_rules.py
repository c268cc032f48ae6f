"""What S3 asks of its callers, for whoever explains decisions: roles on the Bucket, policies of IAM, and what a given
policy of the bucket would say; the one it has lies with the service.
"""

from __future__ import annotations

from services.sdk.aws.access_rules import AccessRules, Located, ResourceQuestion, ResourceVerdict, StoredObjects
from services.sdk.aws.accounts import account_of
from services.sdk.aws.arns import Arn
from services.sdk.aws.policy import Context
from services.sdk.aws.role_policy import whatever_roles_allow
from services.sdk.permissions import Permission
from services.storage_manager.configuration.access import Attempt, BucketRules, decide
from services.storage_manager.handlers import OPERATIONS
from services.storage_manager.kinds import BUCKET


def locate(arn: Arn, _: StoredObjects, __: str) -> Located:
    """The bucket, also of an object in it."""
    return Located(arn.resource.partition("/")[0], str(arn))


def judge_bucket(asked: ResourceQuestion) -> ResourceVerdict | None:
    """As `authorize` decides of a bucket with that policy, ownership enforced and public access blocked."""
    if not asked.policy:
        return None
    identity = (whatever_roles_allow(),) if asked.by_identity else ()
    attempt = Attempt(asked.requester, asked.action, asked.arn, Context(dict(asked.facts)), identity)
    decision = decide(attempt, BucketRules(account_of(asked.namespace), asked.policy))
    return ResourceVerdict(decision.allowed, decision, document=asked.policy)


_LISTS = "access control lists and locks of buckets and objects, which lie with storage-manager"
RULES = AccessRules(
    {each.action: Permission(each.verb, BUCKET) for each in OPERATIONS.values()},
    locate,
    judge_bucket,
    not_considered=f"policies, {_LISTS}",
    beyond_policy=_LISTS,
    has_policies=True,
)
