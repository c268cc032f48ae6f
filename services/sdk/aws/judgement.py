"""The word of IAM's policies on an AWS call, before its operation runs.

A Deny refuses, and so does a boundary that does not allow. An Allow does instead of a role of the cloud. What
policies say nothing of is left to these roles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from crds.errors import Forbidden
from services.sdk.aws.caller_policies import CallerPolicies
from services.sdk.aws.policy import Context, Decision, Outcome, Policies, Request, evaluate
from services.sdk.aws.policy.context import Given


@dataclass(frozen=True)
class Judgement:
    """A decision, and the request it is about."""

    request: Request
    decision: Decision

    @property
    def allows(self) -> bool:
        return self.decision.allowed

    @property
    def refusal(self) -> str:
        return self.decision.refusal(self.request)


def judge(caller: CallerPolicies, action: str, resource: str, facts: Mapping[str, Given], now: datetime) -> Judgement:
    """Raises Forbidden for what a Deny or the boundary refuses."""
    context = Context(
        {
            **caller.facts,
            "aws:CurrentTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "aws:EpochTime": int(now.timestamp()),
            "aws:SecureTransport": True,
            **facts,
        }
    )
    request = Request(caller.requester, action, resource or "*", context)
    found = Judgement(request, evaluate(request, Policies(identity=caller.identity, boundary=caller.boundary)))
    if found.decision.outcome is Outcome.EXPLICIT_DENY or _is_out_of_bounds(request, caller):
        raise Forbidden(found.refusal)
    return found


def _is_out_of_bounds(request: Request, caller: CallerPolicies) -> bool:
    """A boundary limits what roles of the cloud give as well."""
    if caller.boundary is None:
        return False
    return not evaluate(request, Policies(identity=(caller.boundary,))).allowed
