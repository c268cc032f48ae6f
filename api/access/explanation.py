"""One explanation of access: what roles of the cloud say, what policies say beside them, and what comes of both.

It decides with the parts that decide requests: the authorizer, the evaluator of policies, and what each service says
of its own resources (`services.sdk.aws.access_rules`). Nothing is remembered and nobody is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from api.access.aws_actions import AwsActions
from api.access.aws_questions import ActionReader, AskedAction, RecordObjects
from api.access.subjects import Subject, Subjects
from api.auth.authorizer import Action, Authorizer
from api.auth.iam_policies import IamPolicies
from api.auth.role_decisions import RoleDecision, decide_by_roles, no_role_allows
from controller.store.records import Store
from crds.kind import KubeObject
from crds.kinds.explanation import AccessQuestion, AwsAttributes, ResourceAttributes
from crds.kinds.iam import IAM_POLICY
from services.sdk.aws.access_rules import ResourceQuestion, ResourceVerdict
from services.sdk.aws.accounts import account_of
from services.sdk.aws.caller_policies import CallerPolicies, policies_of
from services.sdk.aws.judgement import Judgement, decide
from services.sdk.aws.policy import Decision, Outcome, Requester
from services.sdk.aws.policy.explanation import described_decision, statement_in_words

Json = dict[str, Any]
M = TypeVar("M", bound=KubeObject)
_NO_POLICY = {"outcome": "notApplicable", "reason": "no policy of IAM is about them"}
_NOT_ASKED = {
    "outcome": "notApplicable",
    "reason": "policies of IAM count for AWS calls alone, not for the resource API",
}


@dataclass(frozen=True)
class Explanation:
    """What came out for one subject. decided_by: roles, policies, resource-policy, grant or nothing."""

    subject: Subject
    allowed: bool
    decided_by: str
    reason: str
    roles: RoleDecision
    asked: Action
    policies: Json
    resource_policy: Json | None = None
    not_considered: str = ""

    def described(self) -> Json:
        """As JSON: both sides, whichever decided."""
        names = ("verb", "group", "resource", "namespace", "name")
        told: Json = {
            "subject": self.subject.described(),
            "allowed": self.allowed,
            "decidedBy": self.decided_by,
            "reason": self.reason,
            "roles": {**self.roles.described(), "asked": dict(zip(names, self.asked, strict=True))},
            "policies": self.policies,
        }
        more = {"resourcePolicy": self.resource_policy, "notConsidered": self.not_considered}
        return {**told, **{name: each for name, each in more.items() if each}}


class Explainer:
    """Explains for any subject. One per conductor."""

    def __init__(
        self,
        store: Store,
        authorizer: Authorizer,
        policies: IamPolicies,
        actions: AwsActions,
        subjects: Subjects,
        now: Callable[[], datetime],
    ) -> None:
        self._authorizer, self._policies, self._now = authorizer, policies, now
        self._questions, self._objects = ActionReader(store, actions, subjects), RecordObjects(store)

    def explain(self, subject: Subject, question: AccessQuestion, *, everywhere: bool) -> Explanation:
        """Raises Invalid for an action nobody here knows. everywhere: for whoever may know of all accounts and read
        all policies; else the subject asks about themselves.
        """
        if question.resource_attributes is not None:
            return self._by_roles(subject, _action(question.resource_attributes))
        assert question.aws_attributes is not None
        return self._by_both(subject, question.aws_attributes, everywhere)

    def _by_roles(self, subject: Subject, action: Action) -> Explanation:
        roles = decide_by_roles(self._authorizer, subject.principal, action)
        allowed = roles.allowed and not subject.lockout
        decided = "roles" if roles.allowed else "nothing"
        return Explanation(subject, allowed, decided, subject.lockout or roles.reason, roles, action, _NOT_ASKED)

    def _by_both(self, subject: Subject, wanted: AwsAttributes, everywhere: bool) -> Explanation:
        asked = self._questions.read(subject, wanted, everywhere=everywhere)
        roles = self._roles(subject, asked)
        judged = self._judged(subject, asked)
        by_policy = judged is not None and judged.allows and not asked.is_foreign
        by_identity = roles.allowed or by_policy
        verdict = None
        if everywhere or not asked.is_foreign:
            verdict = self._verdict(subject, asked, judged, by_identity)
        if verdict is None:
            asked.refuse_unused_policy()
        if judged is not None and judged.refuses:
            return self._told(subject, asked, roles, judged, None, "policies", allowed=False)
        if verdict is not None and (verdict.allowed != by_identity or verdict.granted_by or _denies(verdict)):
            decided = "grant" if verdict.granted_by else "resource-policy"
            return self._told(subject, asked, roles, judged, verdict, decided, allowed=verdict.allowed)
        decided = "roles" if roles.allowed else "policies" if by_policy else "nothing"
        return self._told(subject, asked, roles, judged, verdict, decided, allowed=by_identity)

    def _roles(self, subject: Subject, asked: AskedAction) -> RoleDecision:
        if not asked.verb:
            return RoleDecision(True, "no role is asked: the service decides by whom it is about")
        found = decide_by_roles(self._authorizer, subject.principal, asked.role)
        if found.allowed or asked.shown == asked.role:
            return found
        return found._replace(reason=no_role_allows(subject.principal, asked.shown))

    def _judged(self, subject: Subject, asked: AskedAction) -> Judgement | None:
        caller = self.policies(subject)
        if caller is None:
            return None
        return decide(caller, asked.action, asked.located.arn, asked.facts, self._now())

    def policies(self, subject: Subject) -> CallerPolicies | None:
        """Those of IAM that have a say in what they call; None where there are none."""
        if subject.kind == "IamRole":
            return policies_of(self._policies.of_role(subject.name, subject.namespace))
        return policies_of(self._policies.of(subject.principal))

    def _document_of(self, subject: Subject, decision: Decision, asked: AskedAction) -> Json:
        """The policy that the deciding statement stands in, as it was written; for whoever may read policies."""
        reads = Action("get", IAM_POLICY.group, IAM_POLICY.plural, subject.principal.namespace)
        if not asked.everywhere and not self._authorizer.allows(subject.principal, reads):
            return {}
        caller = self.policies(subject)
        if caller is None or decision.match is None:
            return {}
        named = [*caller.identity, *([caller.boundary] if caller.boundary else [])]
        found = (
            each.policy for each in named if any(one is decision.match.statement for one in each.policy.statements)
        )
        policy = next(found, None)
        return {"document": policy.document} if policy is not None else {}

    def _verdict(
        self, subject: Subject, asked: AskedAction, judged: Judgement | None, by_identity: bool
    ) -> ResourceVerdict | None:
        who = judged.request.requester if judged is not None else _requester(subject)
        facts = {"aws:PrincipalArn": who.arn, "aws:PrincipalAccount": who.account, "aws:SecureTransport": True}
        return asked.rules.judge(
            ResourceQuestion(
                who,
                asked.action,
                asked.verb,
                asked.located.arn,
                asked.located.name,
                asked.namespace,
                by_identity,
                self._objects,
                {**facts, **asked.facts},
                asked.policy,
            )
        )

    def _told(
        self,
        subject: Subject,
        asked: AskedAction,
        roles: RoleDecision,
        judged: Judgement | None,
        verdict: ResourceVerdict | None,
        decided: str,
        *,
        allowed: bool,
    ) -> Explanation:
        policies = _NO_POLICY
        if judged is not None:
            policies = _described(judged, asked.action) | self._document_of(subject, judged.decision, asked)
        own = None
        if verdict is not None and verdict.decision is not None:
            own = described_decision(verdict.decision, asked.action)
            reads = asked.role._replace(verb="get")
            if asked.everywhere or self._authorizer.allows(subject.principal, reads):
                own |= {"document": verdict.document} if verdict.document else {}
        if verdict is not None and verdict.granted_by:
            own = {**(own or {}), "grant": verdict.granted_by}
        reason = subject.lockout or _reason(decided, roles, policies, own, allowed, asked.action)
        allowed = allowed and not subject.lockout
        besides = asked.not_considered(judged=verdict is not None)
        return Explanation(subject, allowed, decided, reason, roles, asked.shown, policies, own, besides)


def _denies(verdict: ResourceVerdict) -> bool:
    return verdict.decision is not None and verdict.decision.outcome is Outcome.EXPLICIT_DENY


def _action(wanted: ResourceAttributes) -> Action:
    resource = f"{wanted.resource}/{wanted.subresource}" if wanted.subresource else wanted.resource
    return Action(wanted.verb, wanted.group, resource, wanted.namespace, wanted.name)


def _requester(subject: Subject) -> Requester:
    """As services name callers that IAM has no policy of."""
    account = account_of(subject.principal.namespace)
    return Requester("user", f"arn:aws:iam::{account}:user/{subject.principal.name}", account)


def _described(judged: Judgement, action: str) -> Json:
    told = described_decision(judged.decision, action)
    return {**told, "outOfBounds": True} if judged.out_of_bounds else told


def _reason(decided: str, roles: RoleDecision, policies: Json, own: Json | None, allowed: bool, action: str) -> str:
    """One sentence: what decided."""
    match decided:
        case "roles":
            return roles.reason
        case "policies" if not allowed and policies["outcome"] != Outcome.EXPLICIT_DENY:
            return f"the permissions boundary does not allow {action}, whatever else does"
        case "policies":
            return statement_in_words(policies)
        case "grant" if own is not None:
            return f"{own['grant']} gives it"
        case "resource-policy" if own is not None:
            return statement_in_words(own)
    return f"neither a role nor a policy allows {action}"
