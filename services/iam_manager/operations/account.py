"""IAM operations about the account: alias, password policy, summary, and all of it at once."""

from __future__ import annotations

from typing import Any

from crds.kinds.iam import IAM_GROUP, IAM_POLICY, IAM_ROLE, IAM_USER, IamPolicy
from crds.kinds.oidc_provider import OIDC_PROVIDER
from services.iam_manager import errors
from services.iam_manager.directory import Directory
from services.iam_manager.kinds import IAM_ACCOUNT, INSTANCE_PROFILE, IamAccount
from services.iam_manager.pages import PAGED, page
from services.iam_manager.policy_store import Holder, PolicyStore
from services.iam_manager.views import (
    group_view,
    policy_arn,
    policy_view,
    profile_view,
    role_view,
    user_view,
    written,
)
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
_PASSWORD_DEFAULTS: Json = {
    "MinimumPasswordLength": 6,
    "RequireSymbols": False,
    "RequireNumbers": False,
    "RequireUppercaseCharacters": False,
    "RequireLowercaseCharacters": False,
    "AllowUsersToChangePassword": False,
}
_PASSWORD_MORE = ("MaxPasswordAge", "PasswordReusePrevention", "HardExpiry")
# Limits of AWS that hold here too.
_QUOTAS: Json = {
    "AccessKeysPerUserQuota": 2,
    "AttachedPoliciesPerGroupQuota": 10,
    "AttachedPoliciesPerRoleQuota": 10,
    "AttachedPoliciesPerUserQuota": 10,
    "GroupPolicySizeQuota": 5120,
    "PolicySizeQuota": 6144,
    "UserPolicySizeQuota": 2048,
    "VersionsPerPolicyQuota": 5,
}
_FILTERS = ("User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy")


class AccountOperations:
    """One declared method per operation."""

    def __init__(self, directory: Directory, policies: PolicyStore) -> None:
        self._directory, self._policies = directory, policies

    @operation("CreateAccountAlias", permission=("patch", IAM_ACCOUNT), understands=("AccountAlias",))
    async def create_account_alias(self, call: RequestContext, request: Json) -> None:
        def change(account: IamAccount) -> None:
            account.spec.alias = request["AccountAlias"]

        await self._directory.change_account(call, change)

    @operation("DeleteAccountAlias", permission=("patch", IAM_ACCOUNT), understands=("AccountAlias",))
    async def delete_account_alias(self, call: RequestContext, request: Json) -> None:
        def change(account: IamAccount) -> None:
            if account.spec.alias != request["AccountAlias"]:
                raise errors.no_entity(f"The account alias with name {request['AccountAlias']} cannot be found.")
            account.spec.alias = ""

        await self._directory.change_account(call, change)

    @operation("ListAccountAliases", permission=("list", IAM_ACCOUNT), understands=PAGED)
    async def list_account_aliases(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call)
        alias = (await self._directory.account(call)).spec.alias
        return page(call, request, "AccountAliases", [alias] if alias else [], str, str)

    @operation(
        "UpdateAccountPasswordPolicy",
        permission=("patch", IAM_ACCOUNT),
        understands=(*_PASSWORD_DEFAULTS, *_PASSWORD_MORE),
    )
    async def update_account_password_policy(self, call: RequestContext, request: Json) -> None:
        """What is not said goes back to its default, as with AWS."""

        def change(account: IamAccount) -> None:
            account.spec.password_policy = {**_PASSWORD_DEFAULTS, **request}

        await self._directory.change_account(call, change)

    @operation("GetAccountPasswordPolicy", permission=("get", IAM_ACCOUNT), understands=())
    async def get_account_password_policy(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call)
        policy = (await self._directory.account(call)).spec.password_policy
        if policy is None:
            raise errors.no_entity(f"The Password Policy with domain name {call.account} cannot be found.")
        return {"PasswordPolicy": {**policy, "ExpirePasswords": bool(policy.get("MaxPasswordAge"))}}

    @operation("DeleteAccountPasswordPolicy", permission=("patch", IAM_ACCOUNT), understands=())
    async def delete_account_password_policy(self, call: RequestContext, request: Json) -> None:
        def change(account: IamAccount) -> None:
            if account.spec.password_policy is None:
                raise errors.no_entity("The account policy with name PasswordPolicy cannot be found.")
            account.spec.password_policy = None

        await self._directory.change_account(call, change)

    @operation("GetAccountSummary", permission=("get", IAM_ACCOUNT), understands=())
    async def get_account_summary(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call)
        policies = await self._directory.all(IAM_POLICY, call)
        return {
            "SummaryMap": {
                **_QUOTAS,
                "Users": len(await self._directory.users(call)),
                "Groups": len(await self._directory.groups(call)),
                "Roles": len(await self._directory.all(IAM_ROLE, call)),
                "Policies": len(policies),
                "PolicyVersionsInUse": sum(len(each.spec.versions) for each in policies),
                "InstanceProfiles": len(await self._directory.all(INSTANCE_PROFILE, call)),
                "Providers": len(await self._directory.all(OIDC_PROVIDER, call)),
            }
        }

    @operation("GetAccountAuthorizationDetails", permission=("list", IAM_USER), understands=("Filter", *PAGED))
    async def get_account_authorization_details(self, call: RequestContext, request: Json) -> Json:
        """All at once, on one page."""
        await self._directory.allow(call)
        wanted = request.get("Filter") or _FILTERS
        found: Json = {"UserDetailList": [], "GroupDetailList": [], "RoleDetailList": [], "Policies": []}
        if "User" in wanted:
            found["UserDetailList"] = [await self._user(call, each) for each in await self._directory.users(call)]
        if "Group" in wanted:
            groups = await self._directory.all(IAM_GROUP, call)
            found["GroupDetailList"] = [
                {**group_view(call.account, each), **_policies(each, "Group")} for each in groups
            ]
        if "Role" in wanted:
            found["RoleDetailList"] = [
                await self._role(call, each) for each in await self._directory.all(IAM_ROLE, call)
            ]
        if "LocalManagedPolicy" in wanted:
            policies = await self._directory.all(IAM_POLICY, call)
            found["Policies"] = [await self._policy(call, each) for each in policies]
        return {**found, "IsTruncated": False}

    async def _user(self, call: RequestContext, user: Any) -> Json:
        groups = [each for each in await self._directory.groups(call) if each.metadata.name in user.spec.groups]
        names = [each.spec.group_name for each in groups]
        return {**user_view(call.account, user), "GroupList": names, **_policies(user, "User")}

    async def _role(self, call: RequestContext, role: Any) -> Json:
        profiles = await self._directory.all(INSTANCE_PROFILE, call)
        theirs = [each for each in profiles if each.spec.role == role.metadata.name]
        shown = [profile_view(call.account, each, [role_view(call.account, role)]) for each in theirs]
        view = {
            k: v for k, v in role_view(call.account, role).items() if k not in ("Description", "MaxSessionDuration")
        }
        return {**view, "InstanceProfileList": shown, "RoleLastUsed": {}, **_policies(role, "Role")}

    async def _policy(self, call: RequestContext, policy: IamPolicy) -> Json:
        usage = await self._policies.usage(call, policy_arn(call.account, policy))
        view = policy_view(call.account, policy, usage.attachments, usage.bounded)
        view.pop("Tags", None)
        versions = [
            {
                "Document": written(each.document),
                "VersionId": f"v{each.number}",
                "IsDefaultVersion": each.number == policy.spec.default_version,
                "CreateDate": each.created_at,
            }
            for each in policy.spec.versions
        ]
        return {**view, "PolicyVersionList": versions}


def _policies(holder: Holder, noun: str) -> Json:
    attached = [{"PolicyName": each.rpartition("/")[2], "PolicyArn": each} for each in holder.spec.attached]
    inline = [{"PolicyName": name, "PolicyDocument": written(each)} for name, each in holder.spec.inline.items()]
    return {"AttachedManagedPolicies": attached, f"{noun}PolicyList": inline}
