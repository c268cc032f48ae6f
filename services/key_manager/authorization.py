"""Whether a caller may do something with a key: the roles of Kubernetes RBAC, and what the key's policy says to it.

A key without a policy of its own, and one whose policy names the account, lets the roles decide. A policy's Deny wins
over everything; where it names nobody, nobody may. It gives rights by itself to whom it names directly, for reading
and using the key; changes are written in the caller's own name and need the role besides.
"""

from __future__ import annotations

from typing import Any

from services.key_manager import errors
from services.key_manager.condition_keys import context_of, requester_of
from services.key_manager.key_lookup import ResolvedKey
from services.key_manager.key_policy import compiled, whatever_roles_allow
from services.key_manager.keyring import Keyring
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.accounts import account_of
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext
from services.sdk.aws.policy import Decision, Policies, Request, evaluate

Json = dict[str, Any]
_GIVEN_BY_POLICY = ("use", "get")


class KeyAuthorizer:
    """Decides for one key at a time. What policies say needs nobody to be asked."""

    def __init__(self, keyring: Keyring, access: CallerAccess) -> None:
        self._keyring, self._access = keyring, access

    async def require(
        self,
        call: RequestContext,
        found: ResolvedKey,
        request: Json,
        action: str = "",
        encryption: Json | None = None,
    ) -> None:
        """Raises Forbidden, AwsError AccessDeniedException. `action`: `Encrypt`, where it is not the operation's."""
        name, policy = found.key.metadata.name, found.key.spec.policy
        if not policy:
            await self._access.require(call, name, found.namespace)
            return
        by_role = await self._access.allows(call, name, found.namespace)
        asked = self._asked(call, found, request, action or call.operation, encryption)
        decision = _decided(asked, policy, by_role=by_role)
        if not decision.allowed:
            raise AwsError("AccessDeniedException", decision.refusal(asked))
        if not by_role and call.permission.verb not in _GIVEN_BY_POLICY:
            await self._access.require(call, name, found.namespace)

    def require_owner_kept(self, call: RequestContext, found: ResolvedKey, request: Json, policy: str) -> None:
        """Raises AwsError for a policy that the caller could not replace again, unless that is what they want."""
        if not policy or request.get("BypassPolicyLockoutSafetyCheck"):
            return
        asked = self._asked(call, found, {"KeyId": found.arn}, "PutKeyPolicy", None)
        if not _decided(asked, policy, by_role=True).allowed:
            raise errors.locks_its_owner_out()

    def _asked(
        self, call: RequestContext, found: ResolvedKey, request: Json, action: str, encryption: Json | None
    ) -> Request:
        known = self._keyring.aliases.all(found.namespace)
        aliases = [each.spec.alias_name for each in known if each.spec.key == found.key.metadata.name]
        pairs = request.get("EncryptionContext", {}) if encryption is None else encryption
        context = context_of(call, found, request, pairs, aliases)
        owner = account_of(found.namespace)
        return Request(requester_of(call.caller), f"kms:{action}", found.arn, context, owner)


def _decided(asked: Request, policy: str, *, by_role: bool) -> Decision:
    identity = (whatever_roles_allow(),) if by_role else ()
    return evaluate(asked, Policies(identity, compiled(policy), decided_by_resource=True))
