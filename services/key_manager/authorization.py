"""Whether a caller may do something with a key: the roles of Kubernetes RBAC, and what the key's policy says to it.

A key without a policy of its own, and one whose policy names the account, lets the roles decide. A policy's Deny wins
over everything; where it names nobody, nobody may. It gives rights by itself to whom it names directly, for reading
and using the key; changes are written in the caller's own name and need the role besides. What neither allows, a
grant may.
"""

from __future__ import annotations

from typing import Any

from services.key_manager import errors
from services.key_manager.condition_keys import context_of
from services.key_manager.grants import BadGrantToken, allows, is_for, is_of, named_by
from services.key_manager.key_lookup import ResolvedKey
from services.key_manager.key_policy import compiled
from services.key_manager.keyring import Keyring
from services.key_manager.requester import requester_of
from services.key_manager.root_key import RootKeyCipher
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.accounts import account_of
from services.sdk.aws.errors import AwsError
from services.sdk.aws.judgement import DeniedByPolicy
from services.sdk.aws.operations import RequestContext
from services.sdk.aws.policy import Decision, Outcome, Policies, Request, evaluate
from services.sdk.aws.role_policy import whatever_roles_allow

Json = dict[str, Any]
GIVEN_BY_POLICY = ("use", "get")


class KeyAuthorizer:
    """Decides for one key at a time. What policies say needs nobody to be asked."""

    def __init__(self, keyring: Keyring, access: CallerAccess, cipher: RootKeyCipher) -> None:
        self._keyring, self._access, self._cipher = keyring, access, cipher

    async def require(
        self,
        call: RequestContext,
        found: ResolvedKey,
        request: Json,
        action: str = "",
        encryption: Json | None = None,
        resource: str | None = None,
    ) -> None:
        """Raises Forbidden, AwsError AccessDeniedException.

        action: `ReEncryptTo`, where it is not the operation's name. encryption: the context that is judged, where it
        is not the request's. resource: what the role has to be about, where that is not the key.
        """
        name, policy = found.key.metadata.name if resource is None else resource, found.key.spec.policy
        for token in request.get("GrantTokens", ()):
            await self._keyring.grants.read(*reversed(self.grant_named(token)))
        action = action or call.operation
        if call.policies is not None:
            call = call._replace(resource=found.arn, action=f"kms:{action}")
        by_role = await self._access.has_right(call, name, found.namespace)
        if by_role and not policy:
            return
        pairs = request.get("EncryptionContext", {}) if encryption is None else encryption
        refusal = self._refusal(call, found, request, action, pairs, by_role=by_role) if policy else None
        if (refusal or not by_role) and await self._is_granted(call, found, request, action, pairs, refusal):
            return
        if refusal is not None:
            raise AwsError("AccessDeniedException", refusal.message) from refusal
        if not by_role and (not policy or call.permission.verb not in GIVEN_BY_POLICY):
            await self._access.require(call, name, found.namespace)

    def _refusal(
        self, call: RequestContext, found: ResolvedKey, request: Json, action: str, pairs: Json, *, by_role: bool
    ) -> DeniedByPolicy | None:
        """What the key's policy has against it; against its Deny nothing helps."""
        asked = self._asked(call, found, request, action, pairs)
        decision = decide_by_key_policy(asked, found.key.spec.policy, by_role=by_role)
        if decision.allowed:
            return None
        return DeniedByPolicy(decision, asked)

    async def _is_granted(
        self,
        call: RequestContext,
        found: ResolvedKey,
        request: Json,
        action: str,
        pairs: Json,
        refusal: DeniedByPolicy | None,
    ) -> bool:
        """Return whether a grant allows what neither role nor policy does; no grant helps against a Deny."""
        if refusal is not None and refusal.decision.outcome is Outcome.EXPLICIT_DENY:
            return False
        who = requester_of(call)
        known = self._keyring.grants.all(found.namespace)
        return any(is_of(each, found.key) and is_for(each, who) and allows(each, action, pairs) for each in known)

    def grant_named(self, token: str) -> tuple[str, str]:
        """The namespace and name of the grant a token is of. Raises AwsError InvalidGrantTokenException."""
        try:
            return named_by(self._cipher, token)
        except BadGrantToken as error:
            raise AwsError("InvalidGrantTokenException", str(error)) from error

    def require_owner_kept(self, call: RequestContext, found: ResolvedKey, request: Json, policy: str) -> None:
        """Raises AwsError for a policy that the caller could not replace again, unless that is what they want."""
        if not policy or request.get("BypassPolicyLockoutSafetyCheck"):
            return
        asked = self._asked(call, found, {"KeyId": found.arn}, "PutKeyPolicy", {})
        if not decide_by_key_policy(asked, policy, by_role=True).allowed:
            raise errors.locks_its_owner_out()

    def _asked(self, call: RequestContext, found: ResolvedKey, request: Json, action: str, pairs: Json) -> Request:
        known = self._keyring.aliases.all(found.namespace)
        aliases = [each.spec.alias_name for each in known if each.spec.key == found.key.metadata.name]
        context = context_of(call, found, request, pairs, aliases)
        owner = account_of(found.namespace)
        return Request(requester_of(call), f"kms:{action}", found.arn, context, owner)


def decide_by_key_policy(asked: Request, policy: str, *, by_role: bool) -> Decision:
    """The decision of a key's policy. by_role: whether roles, or policies of the caller, give the right."""
    identity = (whatever_roles_allow(),) if by_role else ()
    return evaluate(asked, Policies(identity, compiled(policy), decided_by_resource=True))
