"""IAM operations about access keys. They are the conductor's: it derives them, and says who may make or see whose."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from crds.errors import Conflict, NotFound
from services.iam_manager import errors
from services.iam_manager.directory import Directory
from services.iam_manager.identities import user_meant
from services.iam_manager.pages import PAGED, page
from services.sdk.aws.access import CallerAccess
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.conductor_client import fetch_json
from services.sdk.context import ServiceContext

Json = dict[str, Any]
_KEYS = "/auth/access-keys"


class AccessKeyOperations:
    """One declared method per operation. They declare no permission: the conductor is asked in the caller's name,
    and lets everybody see to their own keys, and admins to everybody's.
    """

    def __init__(self, context: ServiceContext, directory: Directory, access: CallerAccess) -> None:
        self._context, self._directory, self._access = context, directory, access

    @operation("CreateAccessKey", permission=None, understands=("UserName",))
    async def create_access_key(self, call: RequestContext, request: Json) -> Json:
        user, person = await self._whose(call, request)
        try:
            made = await self._ask(call, "POST", f"?user={person}")
        except Conflict:
            raise errors.limit("Cannot exceed quota for AccessKeysPerUser: 2") from None
        return {"AccessKey": {**_shown(user, made), "SecretAccessKey": made["secretAccessKey"]}}

    @operation("ListAccessKeys", permission=None, understands=("UserName", *PAGED))
    async def list_access_keys(self, call: RequestContext, request: Json) -> Json:
        user, person = await self._whose(call, request)
        found = await self.of(call, person)
        return page(
            call,
            request,
            "AccessKeyMetadata",
            found,
            lambda each: str(each["accessKeyId"]),
            lambda each: _shown(user, each),
        )

    @operation("GetAccessKeyLastUsed", permission=None, understands=("AccessKeyId",))
    async def get_access_key_last_used(self, call: RequestContext, request: Json) -> Json:
        """One's own; of others' the conductor tells admins."""
        self._access.judge(call)
        me = call.caller.name
        users = await self._directory.users(call)
        for each in sorted(users, key=lambda user: user.metadata.name != me):
            for key in await self.of(call, each.metadata.name):
                if key["accessKeyId"] == request["AccessKeyId"]:
                    return {"UserName": each.spec.user_name, "AccessKeyLastUsed": _last_used(key)}
        raise errors.no_entity(f"The Access Key with id {request['AccessKeyId']} cannot be found.")

    @operation("UpdateAccessKey", permission=None, understands=("UserName", "AccessKeyId", "Status"))
    async def update_access_key(self, call: RequestContext, request: Json) -> None:
        _, person = await self._whose(call, request)
        if request["Status"] not in ("Active", "Inactive"):
            raise errors.validation("A key is Active or Inactive here; delete one that is to end.")
        await self._one(call, "PATCH", request, person, {"state": request["Status"]})

    @operation("DeleteAccessKey", permission=None, understands=("UserName", "AccessKeyId"))
    async def delete_access_key(self, call: RequestContext, request: Json) -> None:
        _, person = await self._whose(call, request)
        await self._one(call, "DELETE", request, person)

    async def of(self, call: RequestContext, person: str) -> list[Json]:
        """The keys of that User, as the conductor tells them. Raises ApiError."""
        found: list[Json] = (await self._ask(call, "GET", f"?user={person}"))["accessKeys"]
        return found

    async def _whose(self, call: RequestContext, request: Json) -> tuple[str, str]:
        """The user's name in IAM, and that of the User. Raises Forbidden for what a policy denies."""
        self._access.judge(call)
        found = await self._directory.user(call, user_meant(call, request))
        return found.spec.user_name, found.metadata.name

    async def _one(self, call: RequestContext, method: str, request: Json, person: str, body: Any = None) -> None:
        key = request["AccessKeyId"]
        try:
            await self._ask(call, method, f"/{key}?user={person}", body)
        except NotFound:
            raise errors.no_entity(f"The Access Key with id {key} cannot be found.") from None

    async def _ask(self, call: RequestContext, method: str, rest: str, body: Any = None) -> Json:
        """Raises ApiError."""
        token = call.caller.token
        return await fetch_json(self._context.client, method, f"{_KEYS}{rest}", body, on_behalf_of=token)


def _last_used(key: Json) -> Json:
    """As AWS says it of a key that was never used, too. Of regions nothing is kept."""
    used = key.get("lastUsedAt")
    when = {"LastUsedDate": datetime.fromisoformat(used)} if used else {}
    return {**when, "ServiceName": key.get("lastUsedService") or "N/A", "Region": "N/A"}


def _shown(user: str, key: Json) -> Json:
    made = key.get("createdAt")
    when = {"CreateDate": datetime.fromisoformat(made)} if made else {}
    return {"UserName": user, "AccessKeyId": key["accessKeyId"], "Status": key["state"], **when}
