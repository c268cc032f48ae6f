"""The bucket's side of a decision, from its kept documents.

A bucket that never had a document is as one that AWS makes today: all public access is blocked, and ownership is
enforced. That a document was taken away is kept as well (`REMOVED`), for it means the opposite.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.storage_manager.configuration.access import BucketRules
from services.storage_manager.configuration.acl import canned_acl
from services.storage_manager.configuration.documents import Document
from services.storage_manager.configuration.owners import canonical_id
from services.storage_manager.configuration.ownership import Ownership, ownership_of
from services.storage_manager.configuration.public_access import ALL, PublicAccessBlock, block_of

POLICY, ACL, BLOCK, OWNERSHIP = "policy", "acl", "publicAccessBlock", "ownershipControls"
REMOVED: Document = {"Removed": True}


def rules_of(owner: str, documents: Mapping[str, Document]) -> BucketRules:
    """`owner`: the account of the bucket."""
    acl = documents.get(ACL) or canned_acl("private", {"ID": canonical_id(owner), "DisplayName": ""})
    policy = documents.get(POLICY, {}).get("Policy", "")
    return BucketRules(owner, policy, acl, kept_block(documents.get(BLOCK)), kept_ownership(documents.get(OWNERSHIP)))


def kept_block(document: Document | None) -> PublicAccessBlock:
    """What a kept document of that name means."""
    return ALL if document is None else block_of(None if document == REMOVED else document)


def kept_ownership(document: Document | None) -> Ownership:
    """What a kept document of that name means."""
    return Ownership.ENFORCED if document is None else ownership_of(None if document == REMOVED else document)
