"""IAM operations about the policies of users, groups and roles: attached ones, their own, and boundaries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crds.kinds.iam import IAM_GROUP, IAM_ROLE, IAM_USER
from services.iam_manager import errors
from services.iam_manager.directory import Directory
from services.iam_manager.operations.policies import checked
from services.iam_manager.pages import PAGED, page
from services.iam_manager.policy_store import Holder, PolicyStore
from services.iam_manager.views import written
from services.sdk.aws.errors import AwsError
from services.sdk.aws.iam_names import AWS_MANAGED
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.service_linked_roles import POLICY_PATH

Json = dict[str, Any]
Change = Callable[[Any], None]
MOST_ATTACHED = 10
_FOR_LINKED_ROLES = "Cannot attach a Service Role Policy to a Customer Role."
# Bytes of all inline policies of one, as AWS limits them.
_LONGEST = {"User": 2048, "Group": 5120, "Role": 10240}


class AttachmentOperations:
    """One declared method per operation; all of them do the same to one of three kinds."""

    def __init__(self, directory: Directory, policies: PolicyStore) -> None:
        self._directory, self._policies = directory, policies

    @operation("AttachUserPolicy", permission=("patch", IAM_USER), understands=("UserName", "PolicyArn"))
    async def attach_user_policy(self, call: RequestContext, request: Json) -> None:
        await self._attach(call, request, "User")

    @operation("AttachGroupPolicy", permission=("patch", IAM_GROUP), understands=("GroupName", "PolicyArn"))
    async def attach_group_policy(self, call: RequestContext, request: Json) -> None:
        await self._attach(call, request, "Group")

    @operation("AttachRolePolicy", permission=("patch", IAM_ROLE), understands=("RoleName", "PolicyArn"))
    async def attach_role_policy(self, call: RequestContext, request: Json) -> None:
        await self._attach(call, request, "Role")

    @operation("DetachUserPolicy", permission=("patch", IAM_USER), understands=("UserName", "PolicyArn"))
    async def detach_user_policy(self, call: RequestContext, request: Json) -> None:
        await self._change(call, request, "User", _without_attached(request))

    @operation("DetachGroupPolicy", permission=("patch", IAM_GROUP), understands=("GroupName", "PolicyArn"))
    async def detach_group_policy(self, call: RequestContext, request: Json) -> None:
        await self._change(call, request, "Group", _without_attached(request))

    @operation("DetachRolePolicy", permission=("patch", IAM_ROLE), understands=("RoleName", "PolicyArn"))
    async def detach_role_policy(self, call: RequestContext, request: Json) -> None:
        await self._change(call, request, "Role", _without_attached(request))

    @operation(
        "ListAttachedUserPolicies", permission=("get", IAM_USER), understands=("UserName", "PathPrefix", *PAGED)
    )
    async def list_attached_user_policies(self, call: RequestContext, request: Json) -> Json:
        return await self._attached(call, request, "User")

    @operation(
        "ListAttachedGroupPolicies", permission=("get", IAM_GROUP), understands=("GroupName", "PathPrefix", *PAGED)
    )
    async def list_attached_group_policies(self, call: RequestContext, request: Json) -> Json:
        return await self._attached(call, request, "Group")

    @operation(
        "ListAttachedRolePolicies", permission=("get", IAM_ROLE), understands=("RoleName", "PathPrefix", *PAGED)
    )
    async def list_attached_role_policies(self, call: RequestContext, request: Json) -> Json:
        return await self._attached(call, request, "Role")

    @operation(
        "PutUserPolicy", permission=("patch", IAM_USER), understands=("UserName", "PolicyName", "PolicyDocument")
    )
    async def put_user_policy(self, call: RequestContext, request: Json) -> None:
        await self._change(call, request, "User", _with_inline(request, "User"))

    @operation(
        "PutGroupPolicy", permission=("patch", IAM_GROUP), understands=("GroupName", "PolicyName", "PolicyDocument")
    )
    async def put_group_policy(self, call: RequestContext, request: Json) -> None:
        await self._change(call, request, "Group", _with_inline(request, "Group"))

    @operation(
        "PutRolePolicy", permission=("patch", IAM_ROLE), understands=("RoleName", "PolicyName", "PolicyDocument")
    )
    async def put_role_policy(self, call: RequestContext, request: Json) -> None:
        await self._change(call, request, "Role", _with_inline(request, "Role"))

    @operation("GetUserPolicy", permission=("get", IAM_USER), understands=("UserName", "PolicyName"))
    async def get_user_policy(self, call: RequestContext, request: Json) -> Json:
        return await self._inline(call, request, "User")

    @operation("GetGroupPolicy", permission=("get", IAM_GROUP), understands=("GroupName", "PolicyName"))
    async def get_group_policy(self, call: RequestContext, request: Json) -> Json:
        return await self._inline(call, request, "Group")

    @operation("GetRolePolicy", permission=("get", IAM_ROLE), understands=("RoleName", "PolicyName"))
    async def get_role_policy(self, call: RequestContext, request: Json) -> Json:
        return await self._inline(call, request, "Role")

    @operation("DeleteUserPolicy", permission=("patch", IAM_USER), understands=("UserName", "PolicyName"))
    async def delete_user_policy(self, call: RequestContext, request: Json) -> None:
        await self._change(call, request, "User", _without_inline(request, "user"))

    @operation("DeleteGroupPolicy", permission=("patch", IAM_GROUP), understands=("GroupName", "PolicyName"))
    async def delete_group_policy(self, call: RequestContext, request: Json) -> None:
        await self._change(call, request, "Group", _without_inline(request, "group"))

    @operation("DeleteRolePolicy", permission=("patch", IAM_ROLE), understands=("RoleName", "PolicyName"))
    async def delete_role_policy(self, call: RequestContext, request: Json) -> None:
        await self._change(call, request, "Role", _without_inline(request, "role"))

    @operation("ListUserPolicies", permission=("get", IAM_USER), understands=("UserName", *PAGED))
    async def list_user_policies(self, call: RequestContext, request: Json) -> Json:
        return await self._names(call, request, "User")

    @operation("ListGroupPolicies", permission=("get", IAM_GROUP), understands=("GroupName", *PAGED))
    async def list_group_policies(self, call: RequestContext, request: Json) -> Json:
        return await self._names(call, request, "Group")

    @operation("ListRolePolicies", permission=("get", IAM_ROLE), understands=("RoleName", *PAGED))
    async def list_role_policies(self, call: RequestContext, request: Json) -> Json:
        return await self._names(call, request, "Role")

    @operation(
        "PutUserPermissionsBoundary", permission=("patch", IAM_USER), understands=("UserName", "PermissionsBoundary")
    )
    async def put_user_permissions_boundary(self, call: RequestContext, request: Json) -> None:
        await self._bound(call, request, "User", request["PermissionsBoundary"])

    @operation("DeleteUserPermissionsBoundary", permission=("patch", IAM_USER), understands=("UserName",))
    async def delete_user_permissions_boundary(self, call: RequestContext, request: Json) -> None:
        await self._bound(call, request, "User", "")

    @operation(
        "PutRolePermissionsBoundary", permission=("patch", IAM_ROLE), understands=("RoleName", "PermissionsBoundary")
    )
    async def put_role_permissions_boundary(self, call: RequestContext, request: Json) -> None:
        await self._bound(call, request, "Role", request["PermissionsBoundary"])

    @operation("DeleteRolePermissionsBoundary", permission=("patch", IAM_ROLE), understands=("RoleName",))
    async def delete_role_permissions_boundary(self, call: RequestContext, request: Json) -> None:
        await self._bound(call, request, "Role", "")

    async def _attach(self, call: RequestContext, request: Json, noun: str) -> None:
        await self._directory.allow(call, request[f"{noun}Name"])
        await self._policies.require(call, request["PolicyArn"])
        if request["PolicyArn"].startswith(f"{AWS_MANAGED}{POLICY_PATH}"):
            raise AwsError("PolicyNotAttachable", _FOR_LINKED_ROLES, 400)

        def change(holder: Holder) -> None:
            found = [*holder.spec.attached]
            if request["PolicyArn"] not in found:
                found.append(request["PolicyArn"])
            if len(found) > MOST_ATTACHED:
                raise errors.limit(f"Cannot exceed quota for PoliciesPer{noun}: {MOST_ATTACHED}")
            holder.spec.attached = found

        await self._change(call, request, noun, change)

    async def _attached(self, call: RequestContext, request: Json, noun: str) -> Json:
        holder = await self._holder(call, request, noun)
        arns = [each for each in holder.spec.attached if _path_of(each).startswith(request.get("PathPrefix") or "/")]

        def shown(arn: str) -> Json:
            return {"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn}

        return page(call, request, "AttachedPolicies", arns, lambda each: each.rpartition("/")[2], shown)

    async def _inline(self, call: RequestContext, request: Json, noun: str) -> Json:
        holder, name = await self._holder(call, request, noun), request["PolicyName"]
        if name not in holder.spec.inline:
            raise errors.no_entity(f"The {noun.lower()} policy with name {name} cannot be found.")
        return {
            f"{noun}Name": request[f"{noun}Name"],
            "PolicyName": name,
            "PolicyDocument": written(holder.spec.inline[name]),
        }

    async def _names(self, call: RequestContext, request: Json, noun: str) -> Json:
        holder = await self._holder(call, request, noun)
        return page(call, request, "PolicyNames", list(holder.spec.inline), str, str)

    async def _bound(self, call: RequestContext, request: Json, noun: str, arn: str) -> None:
        await self._directory.allow(call, request[f"{noun}Name"])
        await self._policies.require(call, arn)

        def change(holder: Any) -> None:
            if not arn and not holder.spec.boundary:
                raise errors.no_entity(f"{noun} {request[f'{noun}Name']} has no permissions boundary.")
            holder.spec.boundary = arn

        await self._change(call, request, noun, change)

    async def _holder(self, call: RequestContext, request: Json, noun: str) -> Holder:
        name = request[f"{noun}Name"]
        await self._directory.allow(call, name)
        if noun == "User":
            return await self._directory.user(call, name)
        if noun == "Group":
            return await self._directory.one(IAM_GROUP, call, name)
        return await self._directory.one(IAM_ROLE, call, name)

    async def _change(self, call: RequestContext, request: Json, noun: str, change: Change) -> None:
        name = request[f"{noun}Name"]
        if noun == "User":
            await self._directory.change_user(call, name, change)
        elif noun == "Group":
            await self._directory.change(IAM_GROUP, call, name, change)
        else:
            await self._directory.change(IAM_ROLE, call, name, _if_unlinked(change))


def _if_unlinked(change: Change) -> Change:
    def changed(role: Any) -> None:
        errors.require_unlinked(role)
        change(role)

    return changed


def _without_attached(request: Json) -> Change:
    arn = request["PolicyArn"]

    def change(holder: Any) -> None:
        if arn not in holder.spec.attached:
            raise errors.no_entity(f"Policy {arn} was not found.")
        holder.spec.attached = [each for each in holder.spec.attached if each != arn]

    return change


def _with_inline(request: Json, noun: str) -> Change:
    document = checked(request["PolicyDocument"], _LONGEST[noun])

    def change(holder: Any) -> None:
        inline = {**holder.spec.inline, request["PolicyName"]: document}
        size = sum(len("".join(each.split())) for each in inline.values())
        if size > _LONGEST[noun]:
            whose = f"{noun.lower()} {request[f'{noun}Name']}"
            raise errors.limit(f"Maximum policy size of {_LONGEST[noun]} bytes exceeded for {whose}")
        holder.spec.inline = inline

    return change


def _without_inline(request: Json, noun: str) -> Change:
    name = request["PolicyName"]

    def change(holder: Any) -> None:
        if name not in holder.spec.inline:
            raise errors.no_entity(f"The {noun} policy with name {name} cannot be found.")
        holder.spec.inline = {key: each for key, each in holder.spec.inline.items() if key != name}

    return change


def _path_of(arn: str) -> str:
    """`/team/` of `arn:aws:iam::1:policy/team/readers`."""
    return arn.partition(":policy")[2].rpartition("/")[0] + "/"
