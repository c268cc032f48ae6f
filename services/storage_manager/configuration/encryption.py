"""Default encryption of a bucket: a document of S3 over `spec.encryption` of the Bucket, which is what holds.

SSE-S3 is the account's own key, SSE-KMS a named one, which `alias/aws/s3` may be as well. Data keys are always shared
by the objects of a bucket ("bucket key"). Source: S3 API reference, PutBucketEncryption.
"""

from __future__ import annotations

from typing import Any

from services.storage_manager.configuration.documents import Document
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import DEFAULT_KEY

S3_KEYS, KMS = "AES256", "aws:kms"


def check_encryption(document: Document) -> Document:
    """Raises S3Error MalformedXML, InvalidArgument, NotImplemented."""
    rules = document["Rules"]
    if len(rules) != 1 or "ApplyServerSideEncryptionByDefault" not in rules[0]:
        raise S3Error("MalformedXML", "a configuration has one rule, which says ApplyServerSideEncryptionByDefault")
    default = rules[0]["ApplyServerSideEncryptionByDefault"]
    if default["SSEAlgorithm"] not in (S3_KEYS, KMS):
        raise S3Error("NotImplemented", f"{default['SSEAlgorithm']} is not done here; AES256 and aws:kms are")
    if default["SSEAlgorithm"] == S3_KEYS and "KMSMasterKeyID" in default:
        raise S3Error(
            "InvalidArgument", "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms"
        )
    if rules[0].get("BlockedEncryptionTypes", {}).get("EncryptionType", ["NONE"]) != ["NONE"]:
        raise S3Error(
            "NotImplemented", "BlockedEncryptionTypes: a bucket policy on s3:x-amz-server-side-... can refuse them"
        )
    return document


def encryption_spec(document: Document) -> dict[str, Any]:
    """`spec.encryption` that says the same."""
    default = document["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    if default["SSEAlgorithm"] == S3_KEYS:
        return {"enabled": True, "key": None}
    return {"enabled": True, "key": default.get("KMSMasterKeyID") or DEFAULT_KEY}


def encryption_document(key: str | None, kept: Document | None) -> Document:
    """What a bucket of that `spec.encryption.key` says, in the words it was said in if it still holds."""
    if kept is not None and encryption_spec(kept)["key"] == key:
        return kept
    default = {"SSEAlgorithm": KMS, "KMSMasterKeyID": key} if key else {"SSEAlgorithm": S3_KEYS}
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": bool(key)}]}
