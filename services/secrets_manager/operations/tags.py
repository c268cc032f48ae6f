"""Secrets Manager operations about tags. Source: AWS Secrets Manager API reference, TagResource, UntagResource."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.tags import MOST, require_tags
from services.secrets_manager import errors
from services.secrets_manager.kinds import MANAGED_SECRET
from services.secrets_manager.operations.secret_access import SecretAccess

Json = dict[str, Any]


class TagOperations:
    """One declared method per operation."""

    def __init__(self, secrets: SecretAccess) -> None:
        self._secrets = secrets

    @operation("TagResource", permission=("patch", MANAGED_SECRET), understands=("SecretId", "Tags"))
    async def tag_resource(self, call: RequestContext, request: Json) -> Json:
        found = await self._secrets.resolve_live(call, request)
        tags = wanted_tags(request["Tags"], found.tags)
        await self._secrets.patch(call, found, {"tags": tags})
        return {}

    @operation("UntagResource", permission=("patch", MANAGED_SECRET), understands=("SecretId", "TagKeys"))
    async def untag_resource(self, call: RequestContext, request: Json) -> Json:
        found = await self._secrets.resolve_live(call, request)
        await self._secrets.patch(call, found, {"tags": dict.fromkeys(request["TagKeys"])})
        return {}


def wanted_tags(items: Iterable[Mapping[str, Any]], had: Mapping[str, str] | None = None) -> dict[str, str]:
    """The tags asked for, if a secret that has `had` may have them too; the last of a key counts. Raises AwsError."""
    tags: dict[str, str] = {}
    for each in items:
        if not each.get("Key"):
            raise errors.invalid_parameter("A tag needs a Key.")
        tags[each["Key"]] = each.get("Value") or ""
    if len({**(had or {}), **tags}) > MOST:
        raise errors.limit(f"A secret can have up to {MOST} tags.")
    require_tags(tags, "InvalidParameterException")
    return tags
