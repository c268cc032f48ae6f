"""Lists of what is made: an object's from the request that writes it, a bucket's from the one that makes it.

Where ownership is enforced a list may only say what holds anyway. What is kept says who owns the object; nothing is
kept of one that is the bucket owner's and private. Source: S3 user guide, "Controlling ownership of objects".
"""

from __future__ import annotations

from collections.abc import Mapping

from services.storage_manager.configuration.access import BucketRules
from services.storage_manager.configuration.acl import (
    BUCKET_OWNERS,
    CANNED,
    GRANT_HEADERS,
    acl_of_headers,
    canned_acl,
    is_public_acl,
)
from services.storage_manager.configuration.documents import Document
from services.storage_manager.configuration.ownership import Ownership, ownership_document
from services.storage_manager.configuration.public_access import require_acl_not_public
from services.storage_manager.configuration.rules import ACL, OWNERSHIP
from services.storage_manager.errors import S3Error

LOCK, VERSIONING = "object-lock", "versioning"
_GIVES_NOTHING = frozenset({"private", BUCKET_OWNERS, "bucket-owner-read"})
_LOCKED = "x-amz-bucket-object-lock-enabled"


def new_object_acl(
    headers: Mapping[str, str], rules: BucketRules, writer: Document, bucket_owner: Document
) -> Document | None:
    """What is kept. Raises S3Error AccessControlListNotSupported, AccessDenied, InvalidArgument, InvalidRequest."""
    if rules.ownership is Ownership.ENFORCED:
        _require_nothing_more(headers, bucket_owner)
        return None
    given_away = rules.ownership is Ownership.PREFERRED and headers.get(CANNED) == BUCKET_OWNERS
    owner = bucket_owner if given_away else writer
    acl = acl_of_headers(headers, owner, bucket_owner) or canned_acl("private", owner)
    require_acl_not_public(rules.block, acl)
    return None if acl == canned_acl("private", bucket_owner) else acl


def object_acl(kept: Document | None, bucket_owner: Document) -> Document:
    """The list of an object of which that was kept."""
    return kept or canned_acl("private", bucket_owner)


def new_bucket_documents(headers: Mapping[str, str], owner: Document) -> dict[str, Document]:
    """What a CreateBucket says beside its body. Raises S3Error InvalidArgument, InvalidBucketAclWith..."""
    said = headers.get("x-amz-object-ownership")
    if said is not None and said not in set(Ownership):
        raise S3Error("InvalidArgument", f"x-amz-object-ownership is one of {', '.join(Ownership)}")
    ownership, acl = Ownership(said or Ownership.ENFORCED), acl_of_headers(headers, owner)
    found: dict[str, Document] = {OWNERSHIP: ownership_document(ownership)} if said else {}
    if acl is not None and acl != canned_acl("private", owner):
        _require_list_of_bucket(ownership, acl)
        found[ACL] = acl
    return found | _lock(headers)


def actions_of_headers(headers: Mapping[str, str]) -> list[str]:
    """What is asked for besides s3:PutObject by the request that writes an object."""
    found = {
        "s3:PutObjectTagging": "x-amz-tagging" in headers,
        "s3:PutObjectRetention": "x-amz-object-lock-mode" in headers,
        "s3:PutObjectLegalHold": "x-amz-object-lock-legal-hold" in headers,
        "s3:PutObjectAcl": headers.get(CANNED, "private") not in _GIVES_NOTHING
        or not GRANT_HEADERS.keys().isdisjoint(headers),
    }
    return [action for action, asked in found.items() if asked]


def _require_nothing_more(headers: Mapping[str, str], bucket_owner: Document) -> None:
    grants = [headers[name] for name in GRANT_HEADERS if name in headers]
    if headers.get(CANNED, BUCKET_OWNERS) != BUCKET_OWNERS or grants not in (
        [],
        [f'id="{bucket_owner["ID"]}"'],
    ):
        raise S3Error("AccessControlListNotSupported", "The bucket does not allow ACLs")


def _require_list_of_bucket(ownership: Ownership, acl: Document) -> None:
    if ownership is Ownership.ENFORCED:
        why = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
        raise S3Error("InvalidBucketAclWithObjectOwnership", why)
    if is_public_acl(acl):
        why = "Bucket cannot have public ACLs set with BlockPublicAccess enabled, as it is for new buckets"
        raise S3Error("InvalidBucketAclWithBlockPublicAccessError", why)


def _lock(headers: Mapping[str, str]) -> dict[str, Document]:
    said = headers.get(_LOCKED, "false").lower()
    if said not in ("true", "false"):
        raise S3Error("InvalidArgument", f"{_LOCKED} is true or false")
    locked: dict[str, Document] = {VERSIONING: {"Status": "Enabled"}, LOCK: {"ObjectLockEnabled": "Enabled"}}
    return locked if said == "true" else {}
