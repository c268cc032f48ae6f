"""Managed policies by their ARN: those of the account, and those every account has."""

from __future__ import annotations

from dataclasses import dataclass

from crds.kinds.iam import IAM_GROUP, IAM_POLICY, IAM_ROLE, IamGroup, IamPolicy, IamRole, IamUser
from services.iam_manager import errors
from services.iam_manager.directory import Directory
from services.iam_manager.views import policy_arn
from services.sdk.aws.iam_names import AWS_MANAGED, name_in
from services.sdk.aws.managed_policies import DOCUMENTS
from services.sdk.aws.operations import RequestContext

Holder = IamUser | IamGroup | IamRole


@dataclass(frozen=True)
class Usage:
    """Who has a policy, and whom it is the boundary of."""

    users: list[IamUser]
    groups: list[IamGroup]
    roles: list[IamRole]
    bounded: int

    @property
    def attachments(self) -> int:
        return len(self.users) + len(self.groups) + len(self.roles)


class PolicyStore:
    """One per process."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def find(self, call: RequestContext, arn: str) -> IamPolicy | None:
        """A policy of the account. Raises ValidationError."""
        _require_arn(arn)
        name = name_in(arn, call.account, "policy")
        found = await self._directory.find(IAM_POLICY, call, name) if name else None
        return found if found is not None and policy_arn(call.account, found) == arn else None

    async def one(self, call: RequestContext, arn: str) -> IamPolicy:
        """Raises NoSuchEntity, also for those of every account: they cannot be changed."""
        if arn.startswith(AWS_MANAGED) and arn in DOCUMENTS:
            raise errors.invalid(f"{arn} is every account's, and nobody changes it.")
        found = await self.find(call, arn)
        if found is None:
            raise errors.no_entity(f"Policy {arn} was not found.")
        return found

    async def require(self, call: RequestContext, arn: str) -> None:
        """Raises NoSuchEntity unless there is such a policy; nothing for no ARN."""
        if arn and arn not in DOCUMENTS and await self.find(call, arn) is None:
            raise errors.no_entity(f"Policy {arn} does not exist or is not attachable.")

    async def document(self, call: RequestContext, arn: str) -> str | None:
        """The default version of any managed policy."""
        if arn in DOCUMENTS:
            return DOCUMENTS[arn]
        found = await self.find(call, arn)
        return default_document(found) if found else None

    async def usage(self, call: RequestContext, arn: str) -> Usage:
        users, groups, roles = await self.holders(call)
        boundaries = [*(each.spec.boundary for each in users), *(each.spec.boundary for each in roles)]
        return Usage(
            [each for each in users if arn in each.spec.attached],
            [each for each in groups if arn in each.spec.attached],
            [each for each in roles if arn in each.spec.attached],
            boundaries.count(arn),
        )

    async def holders(self, call: RequestContext) -> tuple[list[IamUser], list[IamGroup], list[IamRole]]:
        """Everything in the account that may have policies."""
        return (
            await self._directory.users(call),
            await self._directory.all(IAM_GROUP, call),
            await self._directory.all(IAM_ROLE, call),
        )


def _require_arn(arn: str) -> None:
    """Raises ValidationError for what is no ARN at all."""
    if not arn.startswith("arn:") or arn.count(":") < 5:
        raise errors.validation("Invalid ARN:  Could not be parsed!")


def default_document(policy: IamPolicy) -> str:
    """The version that counts."""
    return next(each.document for each in policy.spec.versions if each.number == policy.spec.default_version)
