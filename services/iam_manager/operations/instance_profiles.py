"""IAM operations about instance profiles."""

from __future__ import annotations

from typing import Any

from crds.kinds.iam import IAM_ROLE
from services.iam_manager import errors
from services.iam_manager.directory import Directory
from services.iam_manager.kinds import INSTANCE_PROFILE, InstanceProfile, InstanceProfileSpec
from services.iam_manager.pages import PAGED, page
from services.iam_manager.tagging import given_tags, tag_page, with_tags, without_tags
from services.iam_manager.views import profile_view, role_view
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
_NAME = "InstanceProfileName"


class InstanceProfileOperations:
    """One declared method per operation."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    @operation("CreateInstanceProfile", permission=("create", INSTANCE_PROFILE), understands=(_NAME, "Path", "Tags"))
    async def create_instance_profile(self, call: RequestContext, request: Json) -> Json:
        spec = InstanceProfileSpec(
            profile_name=request[_NAME], path=request.get("Path") or "/", tags=given_tags(request)
        )
        made = await self._directory.create(INSTANCE_PROFILE, call, spec.profile_name, spec)
        return {"InstanceProfile": profile_view(call.account, made, [])}

    @operation("GetInstanceProfile", permission=("get", INSTANCE_PROFILE), understands=(_NAME,))
    async def get_instance_profile(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call, request[_NAME])
        found = await self._directory.one(INSTANCE_PROFILE, call, request[_NAME])
        return {"InstanceProfile": await self._shown(call, found)}

    @operation("ListInstanceProfiles", permission=("list", INSTANCE_PROFILE), understands=("PathPrefix", *PAGED))
    async def list_instance_profiles(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call)
        prefix = request.get("PathPrefix") or "/"
        found = await self._directory.all(INSTANCE_PROFILE, call)
        return await self._page(call, request, [each for each in found if each.spec.path.startswith(prefix)])

    @operation("ListInstanceProfilesForRole", permission=("list", INSTANCE_PROFILE), understands=("RoleName", *PAGED))
    async def list_instance_profiles_for_role(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call)
        role = await self._directory.one(IAM_ROLE, call, request["RoleName"])
        found = await self._directory.all(INSTANCE_PROFILE, call)
        return await self._page(call, request, [each for each in found if each.spec.role == role.metadata.name])

    @operation("AddRoleToInstanceProfile", permission=("patch", INSTANCE_PROFILE), understands=(_NAME, "RoleName"))
    async def add_role_to_instance_profile(self, call: RequestContext, request: Json) -> None:
        await self._directory.allow(call, request[_NAME])
        role = await self._directory.one(IAM_ROLE, call, request["RoleName"])
        errors.require_unlinked(role)

        def change(profile: InstanceProfile) -> None:
            if profile.spec.role:
                raise errors.limit("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
            profile.spec.role = role.metadata.name

        await self._directory.change(INSTANCE_PROFILE, call, request[_NAME], change)

    @operation(
        "RemoveRoleFromInstanceProfile", permission=("patch", INSTANCE_PROFILE), understands=(_NAME, "RoleName")
    )
    async def remove_role_from_instance_profile(self, call: RequestContext, request: Json) -> None:
        await self._directory.allow(call, request[_NAME])
        role = await self._directory.one(IAM_ROLE, call, request["RoleName"])

        def change(profile: InstanceProfile) -> None:
            if profile.spec.role != role.metadata.name:
                raise errors.no_entity(f"The role with name {request['RoleName']} cannot be found.")
            profile.spec.role = ""

        await self._directory.change(INSTANCE_PROFILE, call, request[_NAME], change)

    @operation("DeleteInstanceProfile", permission=("delete", INSTANCE_PROFILE), understands=(_NAME,))
    async def delete_instance_profile(self, call: RequestContext, request: Json) -> None:
        await self._directory.allow(call, request[_NAME])
        found = await self._directory.one(INSTANCE_PROFILE, call, request[_NAME])
        if found.spec.role:
            raise errors.in_use("Cannot delete entity, must remove roles from instance profile first.")
        await self._directory.delete(INSTANCE_PROFILE, call, found)

    @operation("TagInstanceProfile", permission=("patch", INSTANCE_PROFILE), understands=(_NAME, "Tags"))
    async def tag_instance_profile(self, call: RequestContext, request: Json) -> None:
        await self._directory.change(INSTANCE_PROFILE, call, request[_NAME], with_tags(request))

    @operation("UntagInstanceProfile", permission=("patch", INSTANCE_PROFILE), understands=(_NAME, "TagKeys"))
    async def untag_instance_profile(self, call: RequestContext, request: Json) -> None:
        await self._directory.change(INSTANCE_PROFILE, call, request[_NAME], without_tags(request))

    @operation("ListInstanceProfileTags", permission=("get", INSTANCE_PROFILE), understands=(_NAME, *PAGED))
    async def list_instance_profile_tags(self, call: RequestContext, request: Json) -> Json:
        await self._directory.allow(call, request[_NAME])
        found = await self._directory.one(INSTANCE_PROFILE, call, request[_NAME])
        return tag_page(call, request, found.spec.tags)

    async def _page(self, call: RequestContext, request: Json, found: list[InstanceProfile]) -> Json:
        shown = {each.metadata.name: await self._shown(call, each) for each in found}
        return page(
            call,
            request,
            "InstanceProfiles",
            found,
            lambda each: each.spec.profile_name,
            lambda each: shown[each.metadata.name],
        )

    async def _shown(self, call: RequestContext, profile: InstanceProfile) -> Json:
        role = await self._directory.find(IAM_ROLE, call, profile.spec.role) if profile.spec.role else None
        return profile_view(call.account, profile, [role_view(call.account, role)] if role else [])
