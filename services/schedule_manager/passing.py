"""Whether a caller may pass a role to a schedule or a rule: a role of the cloud that may use it, or `iam:PassRole`.

The conductor asks the same of whoever writes a Schedule in their own name; here it is asked of those whom policies of
IAM alone allow to, for whom the service writes.

Source: AWS EventBridge Scheduler User Guide, "Identity-based policies": `iam:PassRole` with `iam:PassedToService`.
"""

from __future__ import annotations

from dataclasses import replace

from crds.kinds.iam import IAM_ROLE
from services.schedule_manager.kinds import PRINCIPAL
from services.schedule_manager.names import DEFAULT_REGION
from services.sdk.aws.accounts import account_of
from services.sdk.aws.caller_policies import PoliciesOf
from services.sdk.aws.iam_names import resource_name
from services.sdk.aws.judgement import DeniedByPolicy, decide
from services.sdk.aws.operations import Operation, RequestContext
from services.sdk.aws.policy import Decision, Outcome, Request, Requester, Source
from services.sdk.context import ServiceContext
from services.sdk.permissions import Permission
from services.sdk.routes import Request as PlainRequest

_ACTION = "iam:PassRole"
_RUN = Operation("RunSchedule", Permission("use", IAM_ROLE), frozenset())


class PassedRole:
    """One per process."""

    def __init__(self, context: ServiceContext, principal: str = PRINCIPAL) -> None:
        """`principal`: the service of AWS that gets the role."""
        self._context, self._principal = context, principal

    async def require_of(self, request: PlainRequest, role_arn: str, policies_of: PoliciesOf) -> None:
        """The same of a request that is none of AWS, for a schedule of its namespace: policies of IAM speak of the
        caller's own account alone. Raises Forbidden.
        """
        caller, namespace = request.caller, request.namespace
        policies = await policies_of(caller) if namespace == caller.namespace else None
        here = replace(caller, namespace=namespace)
        call = RequestContext(here, DEFAULT_REGION, account_of(namespace), request.id, _RUN, [], policies=policies)
        await self.require(call, role_arn)

    async def require(self, call: RequestContext, role_arn: str) -> None:
        """Raises Forbidden."""
        facts, now = {"iam:PassedToService": self._principal}, self._context.clock.now()
        judged = decide(call.policies, _ACTION, role_arn, facts, now) if call.policies is not None else None
        if judged is not None and judged.refuses:
            raise judged.denial
        if judged is not None and judged.allows:
            return
        name, kind = resource_name(role_arn.rpartition("/")[2]), IAM_ROLE
        by_role = await self._context.authorizer.allows(
            call.caller, "use", kind.plural, kind.group, name, call.namespace
        )
        if not by_role:
            raise judged.denial if judged is not None else _denial(call, role_arn)


def _denial(call: RequestContext, role_arn: str) -> DeniedByPolicy:
    requester = Requester("user", f"arn:aws:iam::{call.account}:user/{call.caller.name}", call.account)
    return DeniedByPolicy(Decision(Outcome.IMPLICIT_DENY, Source.IDENTITY), Request(requester, _ACTION, role_arn))
