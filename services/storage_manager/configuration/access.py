"""Whether somebody may do something to a bucket or to what lies in it: the decision of everything that has a say.

1. An explicit Deny of any policy wins, the bucket's included.
2. In the bucket's own account a policy of the identity, a role of the cloud, or the bucket's policy allows.
3. Somebody of another account needs both: the bucket's side, and an identity policy or role of their own.
4. Who does not sign has no identity: the bucket's side alone decides.
5. The bucket's side is its policy, and the lists (ACLs) of bucket and object unless ownership is enforced.
6. The public access block takes away what policy or lists give to everybody.
An object that another account owns is that account's: the bucket's policy gives nothing on it.

Source: S3 user guide, "How Amazon S3 authorizes a request", "Access control list (ACL) overview".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.sdk.aws.policy import (
    Context,
    Decision,
    NamedPolicy,
    Outcome,
    Policies,
    Request,
    Requester,
    Source,
    evaluate,
)
from services.storage_manager.configuration.acl import gives
from services.storage_manager.configuration.bucket_policy import compiled
from services.storage_manager.configuration.documents import Document
from services.storage_manager.configuration.ownership import Ownership
from services.storage_manager.configuration.public_access import ALL, PublicAccessBlock, is_public_policy

_ON_BUCKET = {
    "s3:ListBucket": "READ",
    "s3:ListBucketVersions": "READ",
    "s3:ListBucketMultipartUploads": "READ",
    "s3:PutObject": "WRITE",
    "s3:GetBucketAcl": "READ_ACP",
    "s3:PutBucketAcl": "WRITE_ACP",
}
_ON_OBJECT = {
    "s3:GetObject": "READ",
    "s3:GetObjectVersion": "READ",
    "s3:GetObjectAcl": "READ_ACP",
    "s3:GetObjectVersionAcl": "READ_ACP",
    "s3:PutObjectAcl": "WRITE_ACP",
    "s3:PutObjectVersionAcl": "WRITE_ACP",
}
# Who may delete the bucket can always mend its policy: else a Deny of everything would bind its owner for ever.
OF_POLICY = frozenset({"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"})


@dataclass(frozen=True, slots=True)
class BucketRules:
    """The bucket's side. `policy`: its text; `acl`: None for one that gives everything to the owner."""

    owner: str
    policy: str = ""
    acl: Document | None = None
    block: PublicAccessBlock = ALL
    ownership: Ownership = Ownership.ENFORCED


@dataclass(frozen=True, slots=True)
class ObjectRules:
    """An object's side. `owner`: the account that owns it."""

    owner: str
    acl: Document | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody wants. `identity`: their policies, and the roles of the cloud that allow it; `root`: whether
    they may do everything with the bucket.
    """

    requester: Requester
    action: str
    resource: str
    context: Context
    identity: Sequence[NamedPolicy] = ()
    boundary: NamedPolicy | None = None
    session: Sequence[NamedPolicy] | None = None
    root: bool = False


def decide(attempt: Attempt, bucket: BucketRules, object_: ObjectRules | None = None) -> Decision:
    """`object_`: the object it is about, where there is one and ACLs count."""
    owner = object_.owner if object_ is not None and bucket.ownership is not Ownership.ENFORCED else bucket.owner
    policy = None if attempt.root and attempt.action in OF_POLICY else _policy_of(bucket)
    asked = Request(attempt.requester, attempt.action, attempt.resource, attempt.context, owner)
    decision = evaluate(asked, _policies(attempt, policy))
    if decision.outcome is Outcome.EXPLICIT_DENY:
        return decision
    if decision.allowed and policy is not None and not _policy_counts(attempt, bucket, owner):
        decision = evaluate(asked, _policies(attempt, None))
    if decision.allowed or not _listed(attempt, bucket, object_):
        return decision
    return _with_own_account(attempt, asked)


def needs_object(bucket: BucketRules, action: str) -> bool:
    """Whether the object's own list may decide."""
    return bucket.ownership is not Ownership.ENFORCED and action in _ON_OBJECT


def _policies(attempt: Attempt, policy: NamedPolicy | None) -> Policies:
    return Policies(attempt.identity, policy, attempt.boundary, attempt.session)


def _policy_of(bucket: BucketRules) -> NamedPolicy | None:
    return compiled(bucket.policy) if bucket.policy else None


def _policy_counts(attempt: Attempt, bucket: BucketRules, owner: str) -> bool:
    """Whether what the bucket's policy allows is given."""
    if owner != bucket.owner:
        return False
    if attempt.requester.account == bucket.owner or not bucket.block.restrict_buckets:
        return True
    return not is_public_policy(bucket.policy)


def _listed(attempt: Attempt, bucket: BucketRules, object_: ObjectRules | None) -> bool:
    """Whether a list gives it."""
    if bucket.ownership is Ownership.ENFORCED:
        return False
    account, public = attempt.requester.account or None, not bucket.block.ignore_acls
    if (permission := _ON_BUCKET.get(attempt.action)) is not None:
        return bucket.acl is not None and gives(bucket.acl, permission, account, public=public)
    permission = _ON_OBJECT.get(attempt.action)
    if permission is None or object_ is None or object_.acl is None:
        return False
    return gives(object_.acl, permission, account, public=public)


def _with_own_account(attempt: Attempt, asked: Request) -> Decision:
    """A list is the bucket's side. Whoever has an account needs theirs as well, as for an object of their own."""
    if attempt.requester.kind == "anonymous":
        return Decision(Outcome.ALLOWED, Source.RESOURCE)
    own = Request(asked.requester, asked.action, asked.resource, asked.context)
    return evaluate(own, _policies(attempt, None))
