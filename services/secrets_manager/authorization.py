"""Whether a caller may do something with a secret: roles of the cloud, IAM's policies, and the secret's own policy.

A Deny of any policy refuses. Then whatever allows is enough: a role, a policy of IAM, or the secret's policy where it
names the caller. For what the policies alone allow, the service writes in its own name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.sdk.aws.access import CallerAccess
from services.sdk.aws.accounts import account_of
from services.sdk.aws.judgement import DeniedByPolicy
from services.sdk.aws.operations import RequestContext
from services.sdk.aws.policy import Context, Decision, Policies, Request, Requester, evaluate
from services.sdk.aws.resource_names import resource_name
from services.sdk.aws.role_policy import whatever_roles_allow
from services.sdk.context import ServiceContext
from services.sdk.resources import Resources
from services.secrets_manager.condition_keys import facts_of
from services.secrets_manager.names import meanings_of, secret_arn
from services.secrets_manager.resource_policy import compiled
from services.secrets_manager.secret import FoundSecret

Json = dict[str, Any]
_ANY_ENDING = "??????"


class SecretAuthorizer:
    """Decides for one secret at a time."""

    def __init__(self, access: CallerAccess, context: ServiceContext) -> None:
        self._access, self._context, self._clock = access, context, context.clock

    async def resources_for(self, call: RequestContext, found: FoundSecret) -> Resources:
        """Resources to do it with, for whom `require` has let pass: in the caller's name where a role allows it."""
        by_role = await self._access.allows(call, found.name, found.namespace)
        return self._context.acting_for(call.caller) if by_role else self._context.resources

    async def require(self, call: RequestContext, found: FoundSecret, request: Json, action: str = "") -> None:
        """Raises Forbidden. action: `GetSecretValue`, where it is not the operation's name."""
        call = _about(call, found.arn, facts_of(action or call.operation, request, found.tags), action)
        allowed = await self._access.has_right(call, found.name, found.namespace)
        if allowed and not found.spec.policy:
            return
        asked = self._request(call, found.namespace)
        decision = decide_by_secret_policy(asked, found.spec.policy, allowed=allowed)
        if not decision.allowed:
            raise DeniedByPolicy(decision, asked)

    async def require_named(self, call: RequestContext, name: str, request: Json) -> Resources:
        """The same for a secret that is not there: nobody learns that, who could not have read of it. Returns
        resources to make it with.
        """
        name = next((each.name for each in meanings_of(name)), name)
        arn = secret_arn(call.region, call.account, name, _ANY_ENDING)
        call = _about(call, arn, facts_of(call.operation, request, {}))
        resource = resource_name(name, call.region)
        if not await self._access.has_right(call, resource, call.namespace):
            asked = self._request(call, call.namespace)
            raise DeniedByPolicy(decide_by_secret_policy(asked, "", allowed=False), asked)
        by_role = await self._access.allows(call, resource, call.namespace)
        return self._context.acting_for(call.caller) if by_role else self._context.resources

    async def require_any(self, call: RequestContext, request: Json) -> None:
        """The same for what is about no secret alone. Raises Forbidden."""
        await self._access.require(_about(call, "*", facts_of(call.operation, request, {})))

    def refuse_denied(self, call: RequestContext) -> None:
        """Raises Forbidden for what a policy denies of all secrets, or of none."""
        self._access.judge(_about(call, "*", {}))

    async def note_asked(self, call: RequestContext) -> None:
        """Ask for what the operation declares, of all secrets, for one that goes on to ask for each. Raises
        Forbidden.
        """
        self.refuse_denied(call)
        await self._access.allows(call, "", call.namespace)

    def keeps_owner(self, call: RequestContext, found: FoundSecret, policy: str) -> bool:
        """Whether the caller could still replace that policy, once it is the secret's."""
        facts = facts_of("PutResourcePolicy", {"SecretId": found.arn}, found.tags)
        asked = self._request(_about(call, found.arn, facts, "PutResourcePolicy"), found.namespace)
        return decide_by_secret_policy(asked, policy, allowed=True).allowed

    def _request(self, call: RequestContext, namespace: str) -> Request:
        who = _requester(call)
        context = Context(
            {
                **_facts_of(call, who),
                "aws:RequestedRegion": call.region,
                "aws:SecureTransport": True,
                "aws:CurrentTime": self._clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
                "aws:EpochTime": int(self._clock.now().timestamp()),
                **call.facts,
            }
        )
        return Request(who, call.action, call.resource, context, account_of(namespace))


def _about(call: RequestContext, arn: str, facts: Any, action: str = "") -> RequestContext:
    named = f"secretsmanager:{action}" if action else call.action
    return call._replace(resource=arn, facts=facts, action=named)


def _facts_of(call: RequestContext, who: Requester) -> Mapping[str, str]:
    """What conditions may ask of the caller; of sessions there is no user to tell."""
    if call.policies is not None:
        return call.policies.facts
    return {
        "aws:PrincipalArn": who.arn,
        "aws:PrincipalAccount": who.account,
        "aws:PrincipalType": "User",
        "aws:username": call.caller.name,
    }


def decide_by_secret_policy(asked: Request, policy: str, *, allowed: bool) -> Decision:
    """The decision of a secret's policy. allowed: whether roles, or policies of the caller, give the right."""
    identity = (whatever_roles_allow(),) if allowed else ()
    return evaluate(asked, Policies(identity, compiled(policy) if policy else None))


def _requester(call: RequestContext) -> Requester:
    """As policies name whoever calls: a user of the account that is their namespace."""
    if call.policies is not None:
        return call.policies.requester
    account = account_of(call.caller.namespace)
    return Requester("user", f"arn:aws:iam::{account}:user/{call.caller.name}", account)
