"""Permissions of S3 operations: their names, and what they ask of the caller. The one place to read it.

A caller needs `verb` on the Bucket; a copy needs `source` on the Bucket it reads from, too. Where a KMS key was named
(by the request or by the bucket), the caller needs `use` on that Key as well (`KEY_USERS`).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Verb = Literal["get", "list", "create", "update", "delete"]


class Permission(NamedTuple):
    """`action` as IAM writes it; `verb` and `source` as Kubernetes RBAC does, on `buckets`."""

    action: str
    verb: Verb
    source: Verb | None = None


PERMISSIONS: dict[str, Permission] = {
    "ListBuckets": Permission("s3:ListAllMyBuckets", "list"),
    "CreateBucket": Permission("s3:CreateBucket", "create"),
    "HeadBucket": Permission("s3:ListBucket", "list"),
    "DeleteBucket": Permission("s3:DeleteBucket", "delete"),
    "GetBucketLocation": Permission("s3:GetBucketLocation", "list"),
    "ListObjects": Permission("s3:ListBucket", "list"),
    "ListMultipartUploads": Permission("s3:ListBucketMultipartUploads", "list"),
    "DeleteObjects": Permission("s3:DeleteObject", "update"),
    "PutObject": Permission("s3:PutObject", "update"),
    "CopyObject": Permission("s3:PutObject", "update", "get"),
    "GetObject": Permission("s3:GetObject", "get"),
    "HeadObject": Permission("s3:GetObject", "get"),
    "DeleteObject": Permission("s3:DeleteObject", "update"),
    "CreateMultipartUpload": Permission("s3:PutObject", "update"),
    "UploadPart": Permission("s3:PutObject", "update"),
    "UploadPartCopy": Permission("s3:PutObject", "update", "get"),
    "CompleteMultipartUpload": Permission("s3:PutObject", "update"),
    "AbortMultipartUpload": Permission("s3:AbortMultipartUpload", "update"),
    "ListParts": Permission("s3:ListMultipartUploadParts", "update"),
}
# They seal or open what lies in the bucket.
KEY_USERS = frozenset(
    {"PutObject", "CopyObject", "GetObject", "CreateMultipartUpload", "UploadPart", "UploadPartCopy"}
)
