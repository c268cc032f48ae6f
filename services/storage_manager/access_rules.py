"""What S3 asks of its callers, for whoever explains decisions: roles on the Bucket, policies of IAM, and the bucket's
own policy, from the Bucket's status.
"""

from __future__ import annotations

from services.sdk.aws.access_rules import AccessRules, Located, ResourceQuestion, ResourceVerdict, StoredObjects
from services.sdk.aws.accounts import account_of
from services.sdk.aws.arns import Arn
from services.sdk.aws.policy import Context
from services.sdk.aws.role_policy import whatever_roles_allow
from services.sdk.permissions import Permission
from services.storage_manager.configuration.access import Attempt, BucketRules, decide
from services.storage_manager.configuration.ownership import Ownership
from services.storage_manager.configuration.public_access import ALL
from services.storage_manager.handlers import OPERATIONS
from services.storage_manager.kinds import BUCKET, BucketAccess


def locate(arn: Arn, _: StoredObjects, __: str) -> Located:
    """The bucket, also of an object in it."""
    return Located(arn.resource.partition("/")[0], str(arn))


def judge_bucket(asked: ResourceQuestion) -> ResourceVerdict | None:
    """As `authorize` decides, lists left out. A policy that is to be tried out is judged in a bucket with ownership
    enforced and public access blocked; the bucket's own as storage-manager last saw it.
    """
    access = BucketAccess(policy=asked.policy) if asked.policy else _kept(asked)
    if access is None:
        return None
    if not access.policy:
        return ResourceVerdict(asked.by_identity)
    identity = (whatever_roles_allow(),) if asked.by_identity else ()
    attempt = Attempt(asked.requester, asked.action, asked.arn, Context(dict(asked.facts)), identity)
    decision = decide(attempt, _rules_of(access, account_of(asked.namespace)))
    return ResourceVerdict(decision.allowed, decision, document=access.policy)


def _kept(asked: ResourceQuestion) -> BucketAccess | None:
    """None for a bucket that is not there, or was not looked at yet."""
    buckets = asked.objects.all(BUCKET, asked.namespace)
    return next((each.status.access for each in buckets if each.metadata.name == asked.name), None)


def _rules_of(access: BucketAccess, owner: str) -> BucketRules:
    block = ALL._replace(restrict_buckets=access.restrict_public_buckets)
    return BucketRules(owner, access.policy, block=block, ownership=Ownership(access.object_ownership))


_LISTS = "access control lists and locks of buckets and objects, which lie with storage-manager"
RULES = AccessRules(
    {each.action: Permission(each.verb, BUCKET) for each in OPERATIONS.values()},
    locate,
    judge_bucket,
    not_considered=f"policies, {_LISTS}",
    beyond_policy=_LISTS,
    has_policies=True,
)
