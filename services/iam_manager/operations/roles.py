"""IAM operations about roles."""

from __future__ import annotations

import json
from typing import Any

from crds.kinds.iam import IAM_ROLE, IamRole, IamRoleSpec
from services.iam_manager import errors
from services.iam_manager.directory import Directory
from services.iam_manager.kinds import INSTANCE_PROFILE
from services.iam_manager.pages import PAGED, page
from services.iam_manager.policy_store import PolicyStore
from services.iam_manager.tagging import given_tags, tag_page, with_tags, without_tags
from services.iam_manager.views import listed, role_view
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
        return {"Role": role_view(call.account, await self._directory.create(IAM_ROLE, call, spec.role_name, spec))}

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
        def change(role: IamRole) -> None:
            role.spec.description = request.get("Description") or ""
            role.spec.max_session_seconds = request.get("MaxSessionDuration") or 3600

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
            role.spec.trust = trust

        await self._directory.change(IAM_ROLE, call, request["RoleName"], change)

    @operation("DeleteRole", permission=("delete", IAM_ROLE), understands=("RoleName",))
    async def delete_role(self, call: RequestContext, request: Json) -> None:
        await self._directory.allow(call, request["RoleName"])
        role = await self._directory.one(IAM_ROLE, call, request["RoleName"])
        if role.spec.linked_service:
            raise errors.invalid("Use DeleteServiceLinkedRole for a role that is linked to a service.")
        await self._delete(call, role)

    @operation(
        "CreateServiceLinkedRole",
        permission=("create", IAM_ROLE),
        understands=("AWSServiceName", "Description", "CustomSuffix"),
    )
    async def create_service_linked_role(self, call: RequestContext, request: Json) -> Json:
        service, suffix = request["AWSServiceName"], request.get("CustomSuffix") or ""
        title = "".join(part.capitalize() for part in service.split(".")[0].split("-"))
        name = f"AWSServiceRoleFor{title}" + (f"_{suffix}" if suffix else "")
        trusted = {"Effect": "Allow", "Action": ["sts:AssumeRole"], "Principal": {"Service": [service]}}
        spec = IamRoleSpec(
            role_name=name,
            trust=json.dumps({"Version": "2012-10-17", "Statement": [trusted]}),
            path=f"/aws-service-role/{service}/",
            description=request.get("Description") or "",
            linked_service=service,
        )
        await self._directory.allow(call, name)
        if await self._directory.find(IAM_ROLE, call, name) is not None:
            raise errors.invalid(
                f"Service role name {name} has been taken in this account, please try a different suffix."
            )
        return {"Role": role_view(call.account, await self._directory.create(IAM_ROLE, call, name, spec))}

    @operation("DeleteServiceLinkedRole", permission=("delete", IAM_ROLE), understands=("RoleName",))
    async def delete_service_linked_role(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call, request["RoleName"])
        role = await self._directory.one(IAM_ROLE, call, request["RoleName"])
        if not role.spec.linked_service:
            raise errors.invalid(f"{role.spec.role_name} is not linked to a service; use DeleteRole.")
        await self._directory.delete(IAM_ROLE, call, role)
        return {"DeletionTaskId": f"task{role.spec.path}{role.spec.role_name}/{role.metadata.uid}"}

    @operation("GetServiceLinkedRoleDeletionStatus", permission=("list", IAM_ROLE), understands=("DeletionTaskId",))
    async def get_service_linked_role_deletion_status(self, call: RequestContext, request: Json) -> Json:
        """It was deleted before its task was named."""
        await self._directory.allow(call)
        parts = request["DeletionTaskId"].split("/")
        if len(parts) < 5 or parts[0] != "task":
            raise errors.no_entity(f"Deletion task {request['DeletionTaskId']} cannot be found.")
        return {"Status": "SUCCEEDED"}

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
