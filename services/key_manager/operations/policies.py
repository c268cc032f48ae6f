"""KMS operations about key policies. A Key has one, called `default`; kept in its spec, judged at every call.

Source: AWS KMS API reference, GetKeyPolicy, PutKeyPolicy, ListKeyPolicies.
"""

from __future__ import annotations

from typing import Any

from services.key_manager.key_policy import NAME, default_policy, policy_fault
from services.key_manager.kinds import KEY
from services.key_manager.operations.key_access import KeyAccess
from services.sdk.aws.accounts import account_of
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
_PUT = ("KeyId", "PolicyName", "Policy", "BypassPolicyLockoutSafetyCheck")


class PolicyOperations:
    """One declared method per operation."""

    def __init__(self, keys: KeyAccess) -> None:
        self._keys = keys

    @operation("GetKeyPolicy", permission=("get", KEY), understands=("KeyId", "PolicyName"))
    async def get_key_policy(self, call: RequestContext, request: Json) -> Json:
        found = await self._keys.resolve(call, request)
        _require_default(request)
        text = found.key.spec.policy or default_policy(account_of(found.namespace))
        return {"Policy": text, "PolicyName": NAME}

    @operation("PutKeyPolicy", permission=("patch", KEY), understands=_PUT)
    async def put_key_policy(self, call: RequestContext, request: Json) -> Json:
        found = await self._keys.require_changeable(call, request)
        _require_default(request)
        policy = require_policy(request["Policy"])
        self._keys.authorizer.require_owner_kept(call, found, request, policy)
        await self._keys.change(call, found, {"policy": policy})
        return {}

    @operation("ListKeyPolicies", permission=("get", KEY), understands=("KeyId", "Limit", "Marker"))
    async def list_key_policies(self, call: RequestContext, request: Json) -> Json:
        await self._keys.resolve(call, request)
        return {"PolicyNames": [NAME], "Truncated": False}


def require_policy(text: str) -> str:
    """The policy, if it is one. Raises AwsError MalformedPolicyDocumentException."""
    if fault := policy_fault(text):
        raise AwsError("MalformedPolicyDocumentException", fault)
    return text


def _require_default(request: Json) -> None:
    if request.get("PolicyName", NAME) != NAME:
        raise AwsError("NotFoundException", "No such policy exists")
