"""IAM's policy language: documents, and the decision of all policies that have a say. Pure: no I/O, no clock.

    policy = parse_policy(text)                       # raises PolicyError in AWS's words
    request = Request(Requester("user", arn, account), "s3:GetObject", "arn:aws:s3:::b/k", Context({...}))
    decision = evaluate(request, Policies(identity=[NamedPolicy("readers", policy)]))
    decision.allowed, decision.match, decision.refusal(request)

A policy is compiled once and used for as many requests as there are.
"""

from services.sdk.aws.policy.context import Context
from services.sdk.aws.policy.document import PolicyError, parse_policy
from services.sdk.aws.policy.evaluation import Decision, Match, NamedPolicy, Outcome, Policies, Source, evaluate
from services.sdk.aws.policy.principals import Naming, Requester
from services.sdk.aws.policy.statements import Policy, Request, Statement
from services.sdk.aws.policy.validation import check_identity, check_resource, check_trust

__all__ = [
    "Context",
    "Decision",
    "Match",
    "NamedPolicy",
    "Naming",
    "Outcome",
    "Policies",
    "Policy",
    "PolicyError",
    "Request",
    "Requester",
    "Source",
    "Statement",
    "check_identity",
    "check_resource",
    "check_trust",
    "evaluate",
    "parse_policy",
]
