"""In whose name an AWS call uses resources, and whether it may: by roles of the cloud, or by policies of IAM.

A service that calls for somebody brings their name along, so the rights are asked of the person.
"""

from __future__ import annotations

from services.sdk.aws.accounts import account_of
from services.sdk.aws.judgement import DeniedByPolicy, Judgement, judge
from services.sdk.aws.operations import RequestContext
from services.sdk.aws.policy import Decision, Outcome, Request, Requester, Source
from services.sdk.aws.policy.context import Given
from services.sdk.context import ServiceContext
from services.sdk.resources import Resources


def _denial(call: RequestContext) -> DeniedByPolicy:
    """The refusal of whom IAM has no policy of, and roles give nothing: in AWS's words, which AWS tools expect."""
    account = account_of(call.caller.namespace)
    requester = Requester("user", f"arn:aws:iam::{account}:user/{call.caller.name}", account)
    decision = Decision(Outcome.IMPLICIT_DENY, Source.IDENTITY)
    return DeniedByPolicy(decision, Request(requester, call.action, call.resource or "*"))


class CallerAccess:
    """Asks for what the operation declares, and acts in the caller's name. One per process."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    async def allows(self, call: RequestContext, name: str, namespace: str) -> bool:
        """Return whether the caller may do this with that resource; for those whom policies may allow it too."""
        wanted = call.permission
        call.asked.append((wanted.verb, wanted.kind.plural, name))
        kind = wanted.kind
        return await self._context.authorizer.allows(
            call.caller, wanted.verb, kind.plural, kind.group, name, namespace
        )

    async def has_right(self, call: RequestContext, name: str, namespace: str) -> bool:
        """Whether a role of the cloud or a policy of IAM gives it. Raises Forbidden for what IAM's policies refuse.

        They say nothing of other accounts: what is there is given by its own policy.
        """
        judged = self.judge(call)
        by_policy = judged is not None and judged.allows and namespace == call.namespace
        return await self.allows(call, name, namespace) or by_policy

    async def require(self, call: RequestContext, name: str = "", namespace: str | None = None) -> None:
        """Raises Forbidden unless the caller may do this with that resource; without a name, with all.

        By a role of the cloud or by a policy of IAM, whose Deny and boundary refuse in any case.
        """
        await self._allowed(call, name, namespace)

    async def resources_for(self, call: RequestContext, name: str, namespace: str | None = None) -> Resources:
        """Resources to do it with, in the caller's name where a role allows it; where IAM's policies alone do, in
        the service's own. Raises Forbidden for who may not.
        """
        by_role = await self._allowed(call, name, namespace)
        return self._context.acting_for(call.caller) if by_role else self._context.resources

    def judge(self, call: RequestContext) -> Judgement | None:
        """The word of IAM's policies. Raises Forbidden; None for those IAM knows nothing of."""
        if call.policies is None:
            return None
        facts: dict[str, Given] = {"aws:RequestedRegion": call.region, **call.facts}
        return judge(call.policies, call.action, call.resource, facts, self._context.clock.now())

    async def _allowed(self, call: RequestContext, name: str, namespace: str | None) -> bool:
        """Whether a role allows it; if not, a policy does. Raises Forbidden when neither does."""
        judged, where = self.judge(call), call.namespace if namespace is None else namespace
        if await self.allows(call, name, where):
            return True
        if judged is not None and judged.allows and where == call.namespace:
            return False
        if judged is not None:
            raise judged.denial
        if call.caller.service or not call.action:
            wanted, kind = call.permission, call.permission.kind
            await self._context.authorizer.require(call.caller, wanted.verb, kind.plural, kind.group, name, where)
        raise _denial(call)
