"""The secret a call was about, for the audit log: the ARN in the answer if it names one, else as it was asked."""

from __future__ import annotations

from typing import Any

from services.sdk.aws.operations import RequestContext

_LONGEST = 512


def secret_of(call: RequestContext, request: dict[str, Any], answer: dict[str, Any]) -> str:
    """An ARN, or empty for calls about no secret."""
    if isinstance(found := answer.get("ARN"), str):
        return found
    asked = str(request.get("SecretId") or request.get("Name") or "")[:_LONGEST]
    if not asked or asked.startswith("arn:"):
        return asked
    return f"arn:aws:secretsmanager:{call.region}:{call.account}:secret:{asked}"
