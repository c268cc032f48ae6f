"""SQS operations about tags. Source: Amazon SQS API reference, TagQueue, UntagQueue, ListQueueTags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.queue_manager.authorization import tag_facts
from services.queue_manager.kinds import QUEUE
from services.queue_manager.operations.queue_access import QueueAccess
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.tags import require_tags

Json = dict[str, Any]


class TagOperations:
    """One declared method per operation."""

    def __init__(self, queues: QueueAccess) -> None:
        self._queues = queues

    @operation("TagQueue", permission=("patch", QUEUE), understands=("QueueUrl", "Tags"))
    async def tag_queue(self, call: RequestContext, request: Json) -> Json:
        found = await self._queues.resolve(call, request, tag_facts(request["Tags"]))
        tags = wanted_tags({**(found.spec.tags or {}), **request["Tags"]})
        acting = await self._queues.authorizer.resources_for(call, found.name, found.namespace)
        await self._queues.directory.patch(acting, found, {"tags": tags})
        return {}

    @operation("UntagQueue", permission=("patch", QUEUE), understands=("QueueUrl", "TagKeys"))
    async def untag_queue(self, call: RequestContext, request: Json) -> Json:
        found = await self._queues.resolve(call, request, tag_facts(request["TagKeys"]))
        acting = await self._queues.authorizer.resources_for(call, found.name, found.namespace)
        await self._queues.directory.patch(acting, found, {"tags": dict.fromkeys(request["TagKeys"])})
        return {}

    @operation("ListQueueTags", permission=("get", QUEUE), understands=("QueueUrl",))
    async def list_queue_tags(self, call: RequestContext, request: Json) -> Json:
        tags = (await self._queues.resolve(call, request)).spec.tags
        return {"Tags": dict(tags)} if tags else {}


def wanted_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """If a queue may have them. Raises AwsError."""
    require_tags(tags, "InvalidParameterValue")
    return dict(tags)
