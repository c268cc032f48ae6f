"""IAM operations about groups."""

from __future__ import annotations

from typing import Any

from crds.kinds.iam import IAM_GROUP, IAM_USER, IamGroup, IamGroupSpec, IamUser
from services.iam_manager import errors
from services.iam_manager.directory import Directory
from services.iam_manager.pages import PAGED, page
from services.iam_manager.views import group_view, user_view
from services.sdk.aws.iam_names import resource_name
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]


class GroupOperations:
    """One declared method per operation."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    @operation("CreateGroup", permission=("create", IAM_GROUP), understands=("Path", "GroupName"))
    async def create_group(self, call: RequestContext, request: Json) -> Json:
        spec = IamGroupSpec(group_name=request["GroupName"], path=request.get("Path") or "/")
        made = await self._directory.create(IAM_GROUP, call, request["GroupName"], spec)
        return {"Group": group_view(call.account, made)}

    @operation("GetGroup", permission=("get", IAM_GROUP), understands=("GroupName", *PAGED))
    async def get_group(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call, request["GroupName"])
        group = await self._directory.one(IAM_GROUP, call, request["GroupName"])
        members = await self._members(call, group)
        found = page(
            call,
            request,
            "Users",
            members,
            lambda each: each.spec.user_name,
            lambda each: user_view(call.account, each),
        )
        return {"Group": group_view(call.account, group), **found}

    @operation("ListGroups", permission=("list", IAM_GROUP), understands=("PathPrefix", *PAGED))
    async def list_groups(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call)
        prefix = request.get("PathPrefix") or "/"
        found = [each for each in await self._directory.groups(call) if each.spec.path.startswith(prefix)]
        return page(
            call,
            request,
            "Groups",
            found,
            lambda each: each.spec.group_name,
            lambda each: group_view(call.account, each),
        )

    @operation("UpdateGroup", permission=("patch", IAM_GROUP), understands=("GroupName", "NewPath", "NewGroupName"))
    async def update_group(self, call: RequestContext, request: Json) -> None:
        wanted = request.get("NewGroupName") or request["GroupName"]
        if resource_name(wanted) != resource_name(request["GroupName"]):
            raise errors.invalid("A group's name stays; make another group and move its users.")

        def change(group: IamGroup) -> None:
            group.spec.group_name = wanted
            group.spec.path = request.get("NewPath") or group.spec.path

        await self._directory.change(IAM_GROUP, call, request["GroupName"], change)

    @operation("DeleteGroup", permission=("delete", IAM_GROUP), understands=("GroupName",))
    async def delete_group(self, call: RequestContext, request: Json) -> None:
        await self._directory.allow(call, request["GroupName"])
        group = await self._directory.one(IAM_GROUP, call, request["GroupName"])
        if await self._members(call, group):
            raise errors.in_use("Cannot delete entity, must remove users from group first.")
        if group.spec.attached:
            raise errors.in_use("Cannot delete entity, must detach all policies first.")
        if group.spec.inline:
            raise errors.in_use("Cannot delete entity, must delete policies first.")
        await self._directory.delete(IAM_GROUP, call, group)

    @operation("AddUserToGroup", permission=("patch", IAM_USER), understands=("GroupName", "UserName"))
    async def add_user_to_group(self, call: RequestContext, request: Json) -> None:
        await self._directory.allow(call, request["UserName"])
        group = await self._directory.one(IAM_GROUP, call, request["GroupName"])
        await self._directory.user(call, request["UserName"])

        def change(user: IamUser) -> None:
            user.spec.groups = sorted({*user.spec.groups, group.metadata.name})

        await self._directory.change_user(call, request["UserName"], change)

    @operation("RemoveUserFromGroup", permission=("patch", IAM_USER), understands=("GroupName", "UserName"))
    async def remove_user_from_group(self, call: RequestContext, request: Json) -> None:
        await self._directory.allow(call, request["UserName"])
        group = await self._directory.one(IAM_GROUP, call, request["GroupName"])
        await self._directory.user(call, request["UserName"])

        def change(user: IamUser) -> None:
            user.spec.groups = [each for each in user.spec.groups if each != group.metadata.name]

        await self._directory.change_user(call, request["UserName"], change)

    async def _members(self, call: RequestContext, group: IamGroup) -> list[IamUser]:
        users = await self._directory.users(call)
        return [each for each in users if group.metadata.name in each.spec.groups]
