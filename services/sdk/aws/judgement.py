"""The word of IAM's policies on an AWS call, before its operation runs.

A Deny refuses, and so does a boundary, or the policy of a session, that does not allow. An Allow does instead of a
role of the cloud. What policies say nothing of is left to these roles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from crds.errors import Forbidden
from services.sdk.asgi import Scope, note_action
from services.sdk.aws.caller_policies import CallerPolicies
from services.sdk.aws.policy import Context, Decision, Outcome, Policies, Request, evaluate
from services.sdk.aws.policy.context import Given
from services.sdk.aws.policy.explanation import described_decision


@dataclass(frozen=True)
class Judgement:
    """A decision, and the request it is about. out_of_bounds: a boundary does not allow it, whatever else does."""

    request: Request
    decision: Decision
    out_of_bounds: bool = False

    @property
    def allows(self) -> bool:
        return self.decision.allowed

    @property
    def refuses(self) -> bool:
        """Whether this is final: a Deny, or a boundary that does not allow it. Else roles may still give it."""
        return self.decision.outcome is Outcome.EXPLICIT_DENY or self.out_of_bounds

    @property
    def denial(self) -> DeniedByPolicy:
        """The refusal, to be raised."""
        return DeniedByPolicy(self.decision, self.request)


class DeniedByPolicy(Forbidden):
    """A refusal in AWS's words, and the decision it tells of."""

    def __init__(self, decision: Decision, request: Request) -> None:
        super().__init__(decision.refusal(request))
        self.decision, self.action = decision, request.action


def denial_behind(error: BaseException | None) -> DeniedByPolicy | None:
    """The decision of policies that a refusal was raised from, whatever words a service has for it."""
    while error is not None and not isinstance(error, DeniedByPolicy):
        error = error.__cause__
    return error


def note_denial(scope: Scope, reason: str, cause: BaseException | None) -> None:
    """Tell the audit log of a refusal: in words, and what policies decided where they did. `cause`: what was
    raised.
    """
    denial = denial_behind(cause)
    decided = described_decision(denial.decision, denial.action) if denial else None
    note_action(scope, forbidden=True, reason=reason, decided=decided)


def judge(caller: CallerPolicies, action: str, resource: str, facts: Mapping[str, Given], now: datetime) -> Judgement:
    """Raises DeniedByPolicy for what a Deny, the boundary or the session's policy refuses."""
    found = decide(caller, action, resource, facts, now)
    if found.refuses:
        raise found.denial
    return found


def decide(
    caller: CallerPolicies, action: str, resource: str, facts: Mapping[str, Given], now: datetime
) -> Judgement:
    """The decision of the caller's policies, whatever it is."""
    request = Request(caller.requester, action, resource or "*", context_of(caller, facts, now))
    return Judgement(request, evaluate(request, caller.all), _is_out_of_bounds(request, caller))


def context_of(caller: CallerPolicies, facts: Mapping[str, Given], now: datetime) -> Context:
    """What conditions may ask: of the caller, of the time, and of the request (`facts`)."""
    return Context({**caller.facts, **moment_facts(now), **facts})


def moment_facts(now: datetime) -> dict[str, Given]:
    """What conditions may ask of every request: the time, and the wire."""
    return {
        "aws:CurrentTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:EpochTime": int(now.timestamp()),
        "aws:SecureTransport": True,
    }


def _is_out_of_bounds(request: Request, caller: CallerPolicies) -> bool:
    """A boundary, and the policy of a session, limit what roles of the cloud give as well."""
    bounds = () if caller.boundary is None else ((caller.boundary,),)
    limits = bounds if caller.session is None else (*bounds, caller.session)
    return any(not evaluate(request, Policies(identity=each)).allowed for each in limits)
