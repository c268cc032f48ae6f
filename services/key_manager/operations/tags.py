"""KMS operations about tags. Source: AWS KMS API reference, TagResource, UntagResource, ListResourceTags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from services.key_manager.kinds import KEY
from services.key_manager.operations.key_access import KeyAccess
from services.key_manager.pages import Pages
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.tags import MOST, require_tags, tag_list, tags_of

Json = dict[str, Any]
_NAMES = ("TagKey", "TagValue")


class TagOperations:
    """One declared method per operation."""

    def __init__(self, keys: KeyAccess, pages: Pages) -> None:
        self._keys, self._pages = keys, pages

    @operation("TagResource", permission=("patch", KEY), understands=("KeyId", "Tags"))
    async def tag_resource(self, call: RequestContext, request: Json) -> Json:
        found = await self._keys.require_changeable(call, request)
        tags = wanted_tags(request["Tags"], found.key.spec.tags)
        await self._keys.change(call, found, {"tags": tags})
        return {}

    @operation("UntagResource", permission=("patch", KEY), understands=("KeyId", "TagKeys"))
    async def untag_resource(self, call: RequestContext, request: Json) -> Json:
        found = await self._keys.require_changeable(call, request)
        await self._keys.change(call, found, {"tags": dict.fromkeys(request["TagKeys"])})
        return {}

    @operation("ListResourceTags", permission=("get", KEY), understands=("KeyId", "Limit", "Marker"))
    async def list_resource_tags(self, call: RequestContext, request: Json) -> Json:
        found = await self._keys.resolve(call, request)
        answer = self._pages.page(call, tag_list(found.key.spec.tags, *_NAMES), "TagKey", request, MOST)
        return {"Tags": answer.pop("items"), **answer}


def wanted_tags(items: Iterable[Mapping[str, Any]], had: Mapping[str, str] | None = None) -> dict[str, str]:
    """The tags asked for, if a key that has `had` may have them too. Raises AwsError TagException."""
    try:
        tags = tags_of(items, *_NAMES)
    except ValueError:
        raise AwsError("TagException", "Duplicate tag keys") from None
    if len({**(had or {}), **tags}) > MOST:
        raise AwsError("TagException", "Too many tags")
    if any(name.lower().startswith("aws:") for name in tags):
        raise AwsError("TagException", "Tags beginning with aws: are reserved")
    require_tags(tags)
    return tags
