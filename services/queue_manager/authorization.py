"""Whether a caller may do something with a queue or topic: roles of the cloud, IAM's policies, and its own policy.

A Deny of any policy refuses. Then whatever allows is enough: a role, a policy of IAM, or its own policy where it
names the caller, of whichever account. For what policies alone allow, the service writes in its own name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from crds.errors import Forbidden
from services.queue_manager.kinds import QueueSpec
from services.queue_manager.names import queue_arn
from services.queue_manager.queue_policy import compiled
from services.queue_manager.topic_kinds import TopicSpec
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.accounts import account_of
from services.sdk.aws.judgement import DeniedByPolicy, moment_facts
from services.sdk.aws.operations import RequestContext
from services.sdk.aws.policy import Context, Decision, Outcome, Policies, Request, Requester, evaluate
from services.sdk.aws.policy.context import Given
from services.sdk.aws.resource_names import resource_name
from services.sdk.aws.role_policy import whatever_roles_allow
from services.sdk.aws.service_callers import facts_of, requester_of
from services.sdk.context import ServiceContext
from services.sdk.resources import Resources

# What a batch does is asked for as one of it.
_ASKED_AS = {
    "SendMessageBatch": "SendMessage",
    "DeleteMessageBatch": "DeleteMessage",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "PublishBatch": "Publish",
}


class Guarded(Protocol):
    """A queue or topic as it was read."""

    @property
    def name(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def arn(self) -> str: ...
    @property
    def spec(self) -> QueueSpec | TopicSpec: ...


class QueueAuthorizer:
    """Decides for one queue or topic at a time. arn_of: the ARN of a region, account and name."""

    def __init__(
        self, access: CallerAccess, context: ServiceContext, arn_of: Callable[[str, str, str], str] = queue_arn
    ) -> None:
        self._access, self._context, self._clock, self._arn_of = access, context, context.clock, arn_of

    async def require(
        self,
        call: RequestContext,
        found: Guarded,
        operation: str = "",
        *,
        meant: str = "",
        facts: Mapping[str, Given] | None = None,
    ) -> None:
        """Raises Forbidden. operation: where that is not the one that was called. meant: the ARN it was asked by;
        of another account, its denial is that of one that is not there. facts: what the request says.
        """
        about = _about(call, found.arn, found.spec.tags or {}, operation, facts)
        if found.namespace == call.namespace:
            await self._require(about, found)
            return
        try:
            await self._require(about, found)
        except Forbidden as hidden:
            raise self._denial_elsewhere(about, meant or found.arn, found.account) from hidden

    async def require_named(
        self, call: RequestContext, name: str, tags: Mapping[str, str] | None = None, region: str = ""
    ) -> None:
        """The same for one of the caller's account that is not there: nobody learns that, who could not have read
        of it.
        """
        arn = self._arn_of(region or call.region, call.account, name)
        call = _about(call, arn, {}, facts=tag_facts(tags or {}))
        resource = resource_name(name, region or call.region)
        if not await self._access.has_right(call, resource, call.namespace):
            asked = self._request(call, call.namespace)
            raise DeniedByPolicy(decide_by_queue_policy(asked, "", allowed=False), asked)

    async def require_absent(
        self, call: RequestContext, name: str, region: str, account: str, namespace: str | None
    ) -> None:
        """The same for one that is not there, of any account: refused as one that is, but not open to the caller.
        namespace: the account's, if it is known; else who has the right in all of them has it.
        """
        if account == call.account:
            await self.require_named(call, name, region=region)
            return
        arn = self._arn_of(region or call.region, account, name)
        about = _about(call, arn, {})
        try:
            allowed = await self._access.has_right(about, resource_name(name, region or call.region), namespace or "")
        except Forbidden:
            allowed = False
        if not allowed:
            raise self._denial_elsewhere(about, arn, account)

    async def require_any(self, call: RequestContext) -> None:
        """The same for what is about no queue alone. Raises Forbidden."""
        await self._access.require(call._replace(resource="*"))

    async def resources_for(self, call: RequestContext, name: str, namespace: str) -> Resources:
        """Resources to do it with, for whom `require` has let pass: in the caller's name where a role allows it."""
        by_role = await self._access.allows(call, name, namespace)
        return self._context.acting_for(call.caller) if by_role else self._context.resources

    async def _require(self, call: RequestContext, found: Guarded) -> None:
        allowed = await self._access.has_right(call, found.name, found.namespace)
        if allowed and not found.spec.policy:
            return
        asked = self._request(call, found.namespace)
        by_identity = allowed or await self._may_elsewhere(call, found)
        decision = decide_by_queue_policy(asked, found.spec.policy, allowed=by_identity)
        refused = decision.outcome is Outcome.EXPLICIT_DENY if allowed else not decision.allowed
        if refused:
            raise DeniedByPolicy(decision, asked)

    def _denial_elsewhere(self, call: RequestContext, arn: str, account: str) -> DeniedByPolicy:
        """In the same words, whatever is there and whatever refused."""
        asked = Request(_requester(call), call.action, arn, Context({}), account)
        return DeniedByPolicy(decide_by_queue_policy(asked, "", allowed=True), asked)

    async def _may_elsewhere(self, call: RequestContext, found: Guarded) -> bool:
        """Whether their own account lets them ask another one, whose queue's policy decides then."""
        if found.namespace == call.namespace:
            return False
        judged = self._access.judge(call)
        return (judged is not None and judged.allows) or await self._access.allows(call, found.name, call.namespace)

    def _request(self, call: RequestContext, namespace: str) -> Request:
        who = _requester(call)
        known = call.policies.facts if call.policies is not None else _facts_of(call, who)
        facts = {**known, **moment_facts(self._clock.now()), "aws:RequestedRegion": call.region, **call.facts}
        return Request(who, call.action, call.resource, Context(facts), account_of(namespace))


def decide_by_queue_policy(asked: Request, policy: str, *, allowed: bool) -> Decision:
    """The decision of a queue's policy. allowed: whether roles, or policies of the caller, give the right."""
    identity = (whatever_roles_allow(),) if allowed else ()
    return evaluate(asked, Policies(identity, compiled(policy) if policy else None))


def tag_facts(tags: Mapping[str, str] | Iterable[str]) -> dict[str, Given]:
    """What conditions may ask of a request that brings tags, or, without values, takes them away."""
    facts: dict[str, Given] = {"aws:TagKeys": list(tags)} if tags else {}
    if isinstance(tags, Mapping):
        facts |= {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return facts


def _about(
    call: RequestContext,
    arn: str,
    tags: Mapping[str, str],
    operation: str = "",
    facts: Mapping[str, Given] | None = None,
) -> RequestContext:
    known: dict[str, Given] = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
    service = call.action.partition(":")[0]
    action = f"{service}:{operation or _ASKED_AS.get(call.operation, call.operation)}"
    return call._replace(resource=arn, facts={**known, **(facts or {})}, action=action)


def _facts_of(call: RequestContext, who: Requester) -> Mapping[str, Given]:
    if who.kind == "service":
        return facts_of(who, call.namespace, call.source)
    return {
        "aws:PrincipalArn": who.arn,
        "aws:PrincipalAccount": who.account,
        "aws:PrincipalType": "User",
        "aws:username": call.caller.name,
    }


def _requester(call: RequestContext) -> Requester:
    """As policies name whoever calls: one of AWS's services, or a user of the account that is their namespace."""
    if call.policies is not None:
        return call.policies.requester
    if (service := requester_of(call.caller)) is not None:
        return service
    account = account_of(call.caller.namespace)
    return Requester("user", f"arn:aws:iam::{account}:user/{call.caller.name}", account)
