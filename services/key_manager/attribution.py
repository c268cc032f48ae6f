"""The key a KMS call was about, for the audit log: the ARN in the answer if it names one, else as it was asked."""

from __future__ import annotations

from typing import Any

from services.key_manager.key_state import key_arn
from services.sdk.aws.operations import RequestContext

_ASKED = ("KeyId", "TargetKeyId", "DestinationKeyId", "SourceKeyId", "AliasName")
_LONGEST = 512


def key_of(call: RequestContext, request: dict[str, Any], answer: dict[str, Any]) -> str:
    """An ARN, or empty for calls about no key."""
    found = answer.get("KeyId") or (answer.get("KeyMetadata") or {}).get("Arn")
    if isinstance(found, str) and found.startswith("arn:"):
        return found
    asked = next((request[name] for name in _ASKED if isinstance(request.get(name), str)), "")[:_LONGEST]
    if not asked or asked.startswith("arn:"):
        return asked
    if asked.startswith("alias/"):
        return f"arn:aws:kms:{call.region}:{call.account}:{asked}"
    return key_arn(call.account, asked, call.region)
