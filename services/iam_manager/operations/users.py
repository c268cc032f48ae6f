"""IAM operations about users."""

from __future__ import annotations

from typing import Any

from crds.errors import Forbidden
from crds.kinds.iam import IAM_USER, IamUser, IamUserSpec
from crds.kinds.user import MADE_BY, User
from services.iam_manager import errors
from services.iam_manager.directory import Directory
from services.iam_manager.identities import user_meant
from services.iam_manager.operations.access_keys import AccessKeyOperations
from services.iam_manager.pages import PAGED, page
from services.iam_manager.policy_store import PolicyStore
from services.iam_manager.tagging import given_tags, tag_page, with_tags, without_tags
from services.iam_manager.views import group_view, listed, user_view
from services.sdk.aws.iam_names import resource_name
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]


class UserOperations:
    """One declared method per operation."""

    def __init__(self, directory: Directory, policies: PolicyStore, keys: AccessKeyOperations) -> None:
        self._directory, self._policies, self._keys = directory, policies, keys

    @operation(
        "CreateUser",
        permission=("create", IAM_USER),
        understands=("Path", "UserName", "PermissionsBoundary", "Tags"),
    )
    async def create_user(self, call: RequestContext, request: Json) -> Json:
        boundary = request.get("PermissionsBoundary") or ""
        await self._directory.allow(call, request["UserName"])
        await self._policies.require(call, boundary)
        spec = IamUserSpec(
            user_name=request["UserName"],
            path=request.get("Path") or "/",
            boundary=boundary,
            tags=given_tags(request),
        )
        return {"User": user_view(call.account, await self._directory.create_user(call, spec))}

    @operation("GetUser", permission=("get", IAM_USER), understands=("UserName",))
    async def get_user(self, call: RequestContext, request: Json) -> Json:
        name = user_meant(call, request)
        await self._directory.allow(call, name)
        return {"User": user_view(call.account, await self._directory.user(call, name))}

    @operation("ListUsers", permission=("list", IAM_USER), understands=("PathPrefix", *PAGED))
    async def list_users(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call)
        prefix = request.get("PathPrefix") or "/"
        found = [each for each in await self._directory.users(call) if each.spec.path.startswith(prefix)]

        def shown(user: IamUser) -> Json:
            return listed(user_view(call.account, user))

        return page(call, request, "Users", found, lambda each: each.spec.user_name, shown)

    @operation("UpdateUser", permission=("patch", IAM_USER), understands=("UserName", "NewPath", "NewUserName"))
    async def update_user(self, call: RequestContext, request: Json) -> None:
        wanted = request.get("NewUserName") or request["UserName"]
        if resource_name(wanted) != resource_name(request["UserName"]):
            raise errors.invalid("A person has one name, which stays; make another user.")

        def change(user: IamUser) -> None:
            user.spec.user_name = wanted
            user.spec.path = request.get("NewPath") or user.spec.path

        await self._directory.change_user(call, request["UserName"], change)

    @operation("DeleteUser", permission=("delete", IAM_USER), understands=("UserName",))
    async def delete_user(self, call: RequestContext, request: Json) -> None:
        await self._directory.allow(call, request["UserName"])
        user = await self._directory.user(call, request["UserName"])
        if user.spec.attached:
            raise errors.in_use("Cannot delete entity, must detach all policies first.")
        if user.spec.inline:
            raise errors.in_use("Cannot delete entity, must delete policies first.")
        if user.spec.groups:
            raise errors.in_use("Cannot delete entity, must remove users from group first.")
        if user.spec.ssh_keys:
            raise errors.in_use("Cannot delete entity, must remove referenced objects first.")
        person = await self._directory.person(call, request["UserName"])
        _require_made_here(person)
        if person is not None and await self._has_keys(call, person.metadata.name):
            raise errors.in_use("Cannot delete entity, must delete access keys first.")
        await self._directory.delete_user(call, user)

    async def _has_keys(self, call: RequestContext, person: str) -> bool:
        """Whether there are access keys. Who may not see them is not kept from deleting: they end with their user."""
        try:
            return bool(await self._keys.of(call, person))
        except Forbidden:
            return False

    @operation("TagUser", permission=("patch", IAM_USER), understands=("UserName", "Tags"))
    async def tag_user(self, call: RequestContext, request: Json) -> None:
        await self._directory.change_user(call, request["UserName"], with_tags(request))

    @operation("UntagUser", permission=("patch", IAM_USER), understands=("UserName", "TagKeys"))
    async def untag_user(self, call: RequestContext, request: Json) -> None:
        await self._directory.change_user(call, request["UserName"], without_tags(request))

    @operation("ListUserTags", permission=("get", IAM_USER), understands=("UserName", *PAGED))
    async def list_user_tags(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call, request["UserName"])
        return tag_page(call, request, (await self._directory.user(call, request["UserName"])).spec.tags)

    @operation("ListGroupsForUser", permission=("get", IAM_USER), understands=("UserName", *PAGED))
    async def list_groups_for_user(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call, request["UserName"])
        user = await self._directory.user(call, request["UserName"])
        groups = [each for each in await self._directory.groups(call) if each.metadata.name in user.spec.groups]
        return page(
            call,
            request,
            "Groups",
            groups,
            lambda each: each.spec.group_name,
            lambda each: group_view(call.account, each),
        )


def _require_made_here(person: User | None) -> None:
    """A person of the cloud has more than IAM knows of. Raises DeleteConflict."""
    if person is None:
        return
    name = person.metadata.name
    if person.spec.roles or (person.metadata.labels or {}).get(MADE_BY) != "iam":
        raise errors.in_use(f"Cannot delete entity, {name} is a user of this cloud: aerekos user delete {name}")
