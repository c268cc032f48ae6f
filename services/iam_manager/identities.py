"""Callers as AWS names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from services.iam_manager.directory import Directory
from services.iam_manager.errors import validation
from services.iam_manager.views import user_arn
from services.sdk.aws.errors import AwsError
from services.sdk.aws.iam_names import unique_id
from services.sdk.aws.operations import RequestContext


def user_meant(call: RequestContext, request: Mapping[str, Any]) -> str:
    """The name of the user a request is about: who it names, or else who calls. Raises ValidationError for a session,
    which is none.
    """
    if named := request.get("UserName"):
        return str(named)
    if call.policies is not None and call.policies.requester.kind != "user":
        raise validation("Must specify userName when calling with non-User credentials")
    return call.caller.name


class Identity(NamedTuple):
    """`id`: `AIDA...` of a user; the account's number for its root. `account`: where it is not the call's own."""

    arn: str
    id: str
    account: str = ""


class Identities:
    """One per process."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def caller(self, call: RequestContext) -> Identity:
        """The user or session that calls; a service of this cloud is called so."""
        if call.policies is not None:
            who = call.policies.requester
            return Identity(who.arn, call.policies.facts["aws:userid"], who.account)
        if service := call.caller.service:
            return Identity(f"arn:aws:iam::{call.account}:user/system/{service}", f"AIDA{service}")
        try:
            user = await self._directory.user(call, call.caller.name)
        except AwsError:
            return Identity(f"arn:aws:iam::{call.account}:root", call.account)
        return Identity(user_arn(call.account, user), unique_id("AIDA", user.metadata.uid or ""))
