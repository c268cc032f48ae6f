"""The caller of a KMS operation as policies and grants name them."""

from __future__ import annotations

from services.sdk.aws.accounts import account_of
from services.sdk.aws.policy import Requester
from services.sdk.identity import Caller


def requester_of(caller: Caller) -> Requester:
    """The caller as policies name them: a user of the account that is their namespace."""
    account = account_of(caller.namespace)
    return Requester("user", f"arn:aws:iam::{account}:user/{caller.name}", account)
