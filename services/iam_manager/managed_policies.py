"""Policies that every account has, as IAM's answers show them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.sdk.aws.iam_names import AWS_MANAGED, unique_id

Json = dict[str, Any]
SINCE = datetime(2015, 2, 6, 18, 39, 46, tzinfo=UTC)


def managed_view(arn: str, attachments: int, boundaries: int) -> Json:
    """One of them as IAM's answers show it."""
    path, _, name = arn.removeprefix(AWS_MANAGED[:-1]).rpartition("/")
    return {
        "PolicyName": name,
        "PolicyId": unique_id("ANPA", arn),
        "Arn": arn,
        "Path": f"{path}/",
        "DefaultVersionId": "v1",
        "AttachmentCount": attachments,
        "PermissionsBoundaryUsageCount": boundaries,
        "IsAttachable": True,
        "CreateDate": SINCE,
        "UpdateDate": SINCE,
    }
