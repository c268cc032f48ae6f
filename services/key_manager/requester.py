"""The caller of a KMS operation as policies and grants name them."""

from __future__ import annotations

from collections.abc import Mapping

from services.sdk.aws.accounts import account_of
from services.sdk.aws.operations import RequestContext
from services.sdk.aws.policy import Requester


def requester_of(call: RequestContext) -> Requester:
    """As IAM knows them; whoever it has nothing to say of is a user of the account that is their namespace."""
    if call.policies is not None:
        return call.policies.requester
    account = account_of(call.caller.namespace)
    return Requester("user", f"arn:aws:iam::{account}:user/{call.caller.name}", account)


def requester_facts(call: RequestContext) -> Mapping[str, str]:
    """What conditions may ask of the caller."""
    if call.policies is not None:
        return call.policies.facts
    who = requester_of(call)
    return {
        "aws:PrincipalArn": who.arn,
        "aws:PrincipalAccount": who.account,
        "aws:PrincipalType": "User",
        "aws:username": call.caller.name,
    }
