"""Secrets Manager operations about resource policies.

Source: AWS Secrets Manager API reference, GetResourcePolicy, PutResourcePolicy, DeleteResourcePolicy,
ValidateResourcePolicy.
"""

from __future__ import annotations

from typing import Any

from services.sdk.aws.operations import RequestContext, operation
from services.secrets_manager import errors
from services.secrets_manager.kinds import MANAGED_SECRET
from services.secrets_manager.operations.secret_access import SecretAccess, identity_of
from services.secrets_manager.resource_policy import is_public, policy_fault

Json = dict[str, Any]
_PUT = ("SecretId", "ResourcePolicy", "BlockPublicPolicy")


class PolicyOperations:
    """One declared method per operation."""

    def __init__(self, secrets: SecretAccess) -> None:
        self._secrets = secrets

    @operation("GetResourcePolicy", permission=("get", MANAGED_SECRET), understands=("SecretId",))
    async def get_resource_policy(self, call: RequestContext, request: Json) -> Json:
        found = await self._secrets.resolve_live(call, request)
        return {**identity_of(found), **({"ResourcePolicy": found.spec.policy} if found.spec.policy else {})}

    @operation("PutResourcePolicy", permission=("patch", MANAGED_SECRET), understands=_PUT)
    async def put_resource_policy(self, call: RequestContext, request: Json) -> Json:
        found, text = await self._secrets.resolve_live(call, request), str(request["ResourcePolicy"])
        if fault := policy_fault(text):
            raise errors.malformed_policy(fault)
        if request.get("BlockPublicPolicy") and is_public(text):
            raise errors.public_policy()
        if not self._secrets.authorizer.keeps_owner(call, found, text):
            raise errors.invalid_parameter(
                "The new resource policy will not allow you to update the resource policy in the future."
            )
        return identity_of(await self._secrets.patch(call, found, {"policy": text}))

    @operation("DeleteResourcePolicy", permission=("patch", MANAGED_SECRET), understands=("SecretId",))
    async def delete_resource_policy(self, call: RequestContext, request: Json) -> Json:
        found = await self._secrets.resolve_live(call, request)
        return identity_of(await self._secrets.patch(call, found, {"policy": ""}))

    @operation(
        "ValidateResourcePolicy", permission=("get", MANAGED_SECRET), understands=("SecretId", "ResourcePolicy")
    )
    async def validate_resource_policy(self, call: RequestContext, request: Json) -> Json:
        """Whether it could be put; with a secret, whether the caller would keep it in hand."""
        text, found = str(request["ResourcePolicy"]), None
        if request.get("SecretId"):
            found = await self._secrets.resolve(call, request)
        else:
            await self._secrets.authorizer.require_any(call, request)
        if fault := policy_fault(text):
            raise errors.malformed_policy(fault)
        faults = []
        if is_public(text):
            faults.append(("NoPublicAccess", "The policy allows something to everybody."))
        if found is not None and not self._secrets.authorizer.keeps_owner(call, found, text):
            faults.append(("NoLockout", "The policy would not allow you to change it any more."))
        shown = [{"CheckName": name, "ErrorMessage": message} for name, message in faults]
        return {"PolicyValidationPassed": not faults, "ValidationErrors": shown}
