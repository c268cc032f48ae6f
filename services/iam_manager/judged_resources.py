"""The resource of an IAM operation, as policies are asked about it.

Source: AWS Service Authorization Reference, "Actions, resources, and condition keys for AWS Identity and Access
Management".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from crds.kinds.iam import IAM_GROUP, IAM_ROLE
from services.iam_manager.directory import Directory
from services.iam_manager.kinds import INSTANCE_PROFILE
from services.iam_manager.policy_store import PolicyStore
from services.iam_manager.views import group_arn, profile_arn, role_arn, user_arn
from services.sdk.aws.errors import AwsError
from services.sdk.aws.iam_names import iam_arn
from services.sdk.aws.operations import RequestContext

Json = dict[str, Any]
Find = Callable[[RequestContext, str], Awaitable[str]]


class JudgedResources:
    """By the first member that names one: a user that is put into a group is about the group."""

    def __init__(self, directory: Directory, policies: PolicyStore) -> None:
        self._directory, self._policies = directory, policies
        self._find: dict[str, tuple[str, Find]] = {
            "InstanceProfileName": ("instance-profile", self._profile),
            "GroupName": ("group", self._group),
            "RoleName": ("role", self._role),
            "UserName": ("user", self._user),
        }

    async def of(self, call: RequestContext, request: Json) -> str:
        """An ARN, of what is about to be made too; `*` for operations about none."""
        for member, (noun, find) in self._find.items():
            if name := request.get(member):
                known = await find(call, name)
                return known or iam_arn(call.account, noun, request.get("Path") or "/", name)
        for member in ("PolicyArn", "PolicySourceArn", "OpenIDConnectProviderArn"):
            if arn := request.get(member):
                return str(arn)
        if url := request.get("Url"):
            return f"arn:aws:iam::{call.account}:oidc-provider/{url.removeprefix('https://')}"
        if name := request.get("PolicyName"):
            return iam_arn(call.account, "policy", request.get("Path") or "/", name)
        if call.operation in _OF_ONESELF:
            return await self._user(call, call.caller.name)
        return "*"

    async def _user(self, call: RequestContext, name: str) -> str:
        try:
            return user_arn(call.account, await self._directory.user(call, name))
        except AwsError:
            return ""

    async def _group(self, call: RequestContext, name: str) -> str:
        found = await self._directory.find(IAM_GROUP, call, name)
        return group_arn(call.account, found) if found else ""

    async def _role(self, call: RequestContext, name: str) -> str:
        found = await self._directory.find(IAM_ROLE, call, name)
        return role_arn(call.account, found) if found else ""

    async def _profile(self, call: RequestContext, name: str) -> str:
        found = await self._directory.find(INSTANCE_PROFILE, call, name)
        return profile_arn(call.account, found) if found else ""


# Without a UserName these are about whoever calls.
_OF_ONESELF = frozenset(
    {
        "GetUser",
        "GetLoginProfile",
        "DeleteLoginProfile",
        "CreateAccessKey",
        "ListAccessKeys",
        "UpdateAccessKey",
        "DeleteAccessKey",
        "ListSSHPublicKeys",
        "ListSigningCertificates",
        "ListServiceSpecificCredentials",
        "ListMFADevices",
    }
)
