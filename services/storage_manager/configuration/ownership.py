"""Ownership controls: whose the objects are that other accounts write, and whether ACLs count at all.

Source: S3 user guide, "Controlling ownership of objects and disabling ACLs for your bucket".
"""

from __future__ import annotations

from enum import StrEnum

from services.storage_manager.configuration.documents import Document
from services.storage_manager.errors import S3Error


class Ownership(StrEnum):
    """`ENFORCED`: everything is the bucket's owner's, and ACLs do not count."""

    ENFORCED = "BucketOwnerEnforced"
    PREFERRED = "BucketOwnerPreferred"
    WRITER = "ObjectWriter"


def check_ownership(document: Document) -> Document:
    """Raises S3Error MalformedXML."""
    rules = document["Rules"]
    if len(rules) != 1 or rules[0]["ObjectOwnership"] not in set(Ownership):
        raise S3Error("MalformedXML", f"OwnershipControls has one rule, of {', '.join(Ownership)}")
    return document


def ownership_of(document: Document | None) -> Ownership:
    """What holds; without a document each object is its writer's, and ACLs count, as at AWS."""
    return Ownership(document["Rules"][0]["ObjectOwnership"]) if document else Ownership.WRITER


def ownership_document(ownership: Ownership) -> Document:
    """What a bucket is made with."""
    return {"Rules": [{"ObjectOwnership": ownership.value}]}
