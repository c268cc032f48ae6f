"""The word of IAM's policies on S3 requests: a Deny refuses, an Allow does instead of a role on the Bucket.

Source: AWS Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from crds.errors import Forbidden
from services.sdk.aws.caller_policies import CallerPolicies
from services.sdk.aws.judgement import judge
from services.storage_manager.errors import S3Error

_FACTS_OF_LISTS = {"s3:prefix": "prefix", "s3:delimiter": "delimiter", "s3:max-keys": "max-keys"}


@dataclass(frozen=True, slots=True)
class CallerRights:
    """policies: None for those IAM knows nothing of, whom roles and the bucket's side decide about."""

    policies: CallerPolicies | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def allows(self, action: str, arn: str, query: Mapping[str, str] | None = None) -> bool:
        """Whether a policy allows it. Raises S3Error AccessDenied for what a Deny or the boundary refuses."""
        if self.policies is None:
            return False
        facts = {key: query[name] for key, name in _FACTS_OF_LISTS.items() if query and name in query}
        try:
            return judge(self.policies, action, arn or "*", facts, self.now()).allows
        except Forbidden as refused:
            raise S3Error("AccessDenied", str(refused)) from refused


def object_arn(bucket: str, key: str = "") -> str:
    """The ARN of an object; of the bucket, without a key."""
    return f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"
