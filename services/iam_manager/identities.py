"""Callers as AWS names them."""

from __future__ import annotations

from typing import NamedTuple

from services.iam_manager.directory import Directory
from services.iam_manager.views import user_arn
from services.sdk.aws.errors import AwsError
from services.sdk.aws.iam_names import unique_id
from services.sdk.aws.operations import RequestContext


class Identity(NamedTuple):
    """`id`: `AIDA...` of a user; the account's number for its root."""

    arn: str
    id: str


class Identities:
    """One per process."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def caller(self, call: RequestContext) -> Identity:
        """The user who calls; a service of this cloud is called so."""
        if service := call.caller.service:
            return Identity(f"arn:aws:iam::{call.account}:user/system/{service}", f"AIDA{service}")
        try:
            user = await self._directory.user(call, call.caller.name)
        except AwsError:
            return Identity(f"arn:aws:iam::{call.account}:root", call.account)
        return Identity(user_arn(call.account, user), unique_id("AIDA", user.metadata.uid or ""))
