"""IAM operations about roles."""

from __future__ import annotations

from typing import Any

from crds.kinds.iam import IAM_ROLE, IamRole, IamRoleSpec
from services.iam_manager import errors
from services.iam_manager.directory import Directory
from services.iam_manager.kinds import INSTANCE_PROFILE
from services.iam_manager.pages import PAGED, page
from services.iam_manager.policy_store import PolicyStore
from services.iam_manager.tagging import given_tags, tag_page, with_tags, without_tags
from services.iam_manager.views import created_role, listed, role_view
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.policy import PolicyError, check_trust

Json = dict[str, Any]
_CREATE = (
    "Path",
    "RoleName",
    "AssumeRolePolicyDocument",
    "Description",
    "MaxSessionDuration",
    "PermissionsBoundary",
    "Tags",
)


class RoleOperations:
    """One declared method per operation."""

    def __init__(self, directory: Directory, policies: PolicyStore) -> None:
        self._directory, self._policies = directory, policies

    @operation("CreateRole", permission=("create", IAM_ROLE), understands=_CREATE)
    async def create_role(self, call: RequestContext, request: Json) -> Json:
        boundary = request.get("PermissionsBoundary") or ""
        await self._directory.allow(call, request["RoleName"])
        await self._policies.require(call, boundary)
        spec = IamRoleSpec(
            role_name=request["RoleName"],
            trust=_trust(request["AssumeRolePolicyDocument"]),
            path=request.get("Path") or "/",
            description=request.get("Description") or "",
            max_session_seconds=request.get("MaxSessionDuration") or 3600,
            boundary=boundary,
            tags=given_tags(request),
        )
        made = await self._directory.create(IAM_ROLE, call, spec.role_name, spec)
        return {"Role": created_role(call.account, made)}

    @operation("GetRole", permission=("get", IAM_ROLE), understands=("RoleName",))
    async def get_role(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call, request["RoleName"])
        role = await self._directory.one(IAM_ROLE, call, request["RoleName"])
        return {"Role": {**role_view(call.account, role), "RoleLastUsed": {}}}

    @operation("ListRoles", permission=("list", IAM_ROLE), understands=("PathPrefix", *PAGED))
    async def list_roles(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call)
        prefix = request.get("PathPrefix") or "/"
        found = [each for each in await self._directory.all(IAM_ROLE, call) if each.spec.path.startswith(prefix)]

        def shown(role: IamRole) -> Json:
            return listed(role_view(call.account, role))

        return page(call, request, "Roles", found, lambda each: each.spec.role_name, shown)

    @operation(
        "UpdateRole", permission=("patch", IAM_ROLE), understands=("RoleName", "Description", "MaxSessionDuration")
    )
    async def update_role(self, call: RequestContext, request: Json) -> Json:
        """What is not said stays."""

        def change(role: IamRole) -> None:
            if "MaxSessionDuration" in request:
                errors.require_unlinked(role)
                role.spec.max_session_seconds = request["MaxSessionDuration"]
            role.spec.description = request.get("Description", role.spec.description)

        await self._directory.change(IAM_ROLE, call, request["RoleName"], change)
        return {}

    @operation("UpdateRoleDescription", permission=("patch", IAM_ROLE), understands=("RoleName", "Description"))
    async def update_role_description(self, call: RequestContext, request: Json) -> Json:
        def change(role: IamRole) -> None:
            role.spec.description = request["Description"]

        changed = await self._directory.change(IAM_ROLE, call, request["RoleName"], change)
        return {"Role": role_view(call.account, changed)}

    @operation("UpdateAssumeRolePolicy", permission=("patch", IAM_ROLE), understands=("RoleName", "PolicyDocument"))
    async def update_assume_role_policy(self, call: RequestContext, request: Json) -> None:
        trust = _trust(request["PolicyDocument"])

        def change(role: IamRole) -> None:
            errors.require_unlinked(role)
            role.spec.trust = trust

        await self._directory.change(IAM_ROLE, call, request["RoleName"], change)

    @operation("DeleteRole", permission=("delete", IAM_ROLE), understands=("RoleName",))
    async def delete_role(self, call: RequestContext, request: Json) -> None:
        await self._directory.allow(call, request["RoleName"])
        role = await self._directory.one(IAM_ROLE, call, request["RoleName"])
        errors.require_unlinked(role)
        await self._delete(call, role)

    @operation("TagRole", permission=("patch", IAM_ROLE), understands=("RoleName", "Tags"))
    async def tag_role(self, call: RequestContext, request: Json) -> None:
        await self._directory.change(IAM_ROLE, call, request["RoleName"], with_tags(request))

    @operation("UntagRole", permission=("patch", IAM_ROLE), understands=("RoleName", "TagKeys"))
    async def untag_role(self, call: RequestContext, request: Json) -> None:
        await self._directory.change(IAM_ROLE, call, request["RoleName"], without_tags(request))

    @operation("ListRoleTags", permission=("get", IAM_ROLE), understands=("RoleName", *PAGED))
    async def list_role_tags(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call, request["RoleName"])
        return tag_page(call, request, (await self._directory.one(IAM_ROLE, call, request["RoleName"])).spec.tags)

    async def _delete(self, call: RequestContext, role: IamRole) -> None:
        profiles = await self._directory.all(INSTANCE_PROFILE, call)
        if any(each.spec.role == role.metadata.name for each in profiles):
            raise errors.in_use("Cannot delete entity, must remove roles from instance profile first.")
        if role.spec.attached:
            raise errors.in_use("Cannot delete entity, must detach all policies first.")
        if role.spec.inline:
            raise errors.in_use("Cannot delete entity, must delete policies first.")
        await self._directory.delete(IAM_ROLE, call, role)


def _trust(document: str) -> str:
    try:
        return check_trust(document).document
    except PolicyError as wrong:
        raise errors.malformed(wrong) from wrong
