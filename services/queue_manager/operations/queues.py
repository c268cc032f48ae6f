"""SQS operations about queues themselves. Source: Amazon SQS API reference."""

from __future__ import annotations

from typing import Any

from crds.errors import AlreadyExists
from services.queue_manager import errors
from services.queue_manager.attributes import COUNTED, KNOWN, new_spec, require_valid, shown, spec_patch
from services.queue_manager.directory import asked_region
from services.queue_manager.kinds import QUEUE
from services.queue_manager.names import FIFO_ENDING, QueueName, name_fault
from services.queue_manager.operations.queue_access import QueueAccess, require_length
from services.queue_manager.operations.tags import wanted_tags
from services.queue_manager.queue import FoundQueue
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.pagination import InvalidToken
from services.sdk.aws.resource_names import resource_name

Json = dict[str, Any]
MOST_LISTED = 1000


class QueueOperations:
    """One declared method per operation."""

    def __init__(self, queues: QueueAccess) -> None:
        self._queues = queues

    @operation("CreateQueue", permission=("create", QUEUE), understands=("QueueName", "Attributes", "tags"))
    async def create_queue(self, call: RequestContext, request: Json) -> Json:
        name, attributes = request["QueueName"], request.get("Attributes") or {}
        tags = wanted_tags(request.get("tags") or {})
        require_length(name)
        await self._queues.authorizer.require_named(call, name, tags)
        fifo = _is_fifo(name, attributes)
        if fault := name_fault(name, fifo=fifo):
            raise errors.invalid_value(fault)
        spec = new_spec(attributes, fifo=fifo)
        spec = spec.model_copy(update={"queue_name": name, "region": call.region, "tags": tags or None})
        self._require_dead_letter_queue(call.namespace, spec_patch(attributes, fifo=fifo, creating=True))
        queue = QUEUE.new(resource_name(name, call.region), namespace=call.namespace, spec=spec)
        found = await self._queues.directory.find(QueueName(call.account, name), call)
        if found is None:
            acting = await self._queues.authorizer.resources_for(call, queue.metadata.name, call.namespace)
            try:
                found = await self._queues.directory.create(acting, queue)
            except AlreadyExists:  # by somebody else, just now
                found = await self._queues.directory.find(QueueName(call.account, name), call)
                if found is None:
                    raise
        _require_same(found, shown(spec), attributes)
        return {"QueueUrl": self._queues.url_of(call, found)}

    @operation("GetQueueUrl", permission=("get", QUEUE), understands=("QueueName", "QueueOwnerAWSAccountId"))
    async def get_queue_url(self, call: RequestContext, request: Json) -> Json:
        account = request.get("QueueOwnerAWSAccountId") or call.account
        found = await self._queues.resolve_named(call, QueueName(account, request["QueueName"]))
        return {"QueueUrl": self._queues.url_of(call, found)}

    @operation("ListQueues", permission=("list", QUEUE), understands=("QueueNamePrefix", "NextToken", "MaxResults"))
    async def list_queues(self, call: RequestContext, request: Json) -> Json:
        await self._queues.authorizer.require_any(call)
        prefix = request.get("QueueNamePrefix") or ""
        region = asked_region(call)
        known = self._queues.directory.all(call.namespace)
        fitting = [each for each in known if each.label.startswith(prefix) and each.is_in(region)]
        urls, token = self._page(call, request, fitting, prefix)
        return {"QueueUrls": urls, **token} if urls else token

    @operation("DeleteQueue", permission=("delete", QUEUE), understands=("QueueUrl",))
    async def delete_queue(self, call: RequestContext, request: Json) -> Json:
        found = await self._queues.resolve(call, request)
        acting = await self._queues.authorizer.resources_for(call, found.name, found.namespace)
        await self._queues.directory.delete(acting, found)
        return {}

    @operation("PurgeQueue", permission=("use", QUEUE), understands=("QueueUrl",))
    async def purge_queue(self, call: RequestContext, request: Json) -> Json:
        found = await self._queues.resolve(call, request)
        await self._queues.broker.purge(self._queues.directory.live(found))
        return {}

    @operation("GetQueueAttributes", permission=("get", QUEUE), understands=("QueueUrl", "AttributeNames"))
    async def get_queue_attributes(self, call: RequestContext, request: Json) -> Json:
        found = await self._queues.resolve(call, request)
        wanted = request.get("AttributeNames") or []
        for each in wanted:
            if each not in KNOWN:
                raise errors.invalid_attribute_name(each)
        known = self._attributes_of(found)
        given = known if "All" in wanted else {name: known[name] for name in wanted if name in known}
        return {"Attributes": given} if given else {}

    @operation("SetQueueAttributes", permission=("patch", QUEUE), understands=("QueueUrl", "Attributes"))
    async def set_queue_attributes(self, call: RequestContext, request: Json) -> Json:
        found = await self._queues.resolve(call, request)
        patch = spec_patch(request["Attributes"], fifo=found.is_fifo)
        require_valid(found.spec, patch)
        self._require_dead_letter_queue(found.namespace, patch)
        if patch:
            acting = await self._queues.authorizer.resources_for(call, found.name, found.namespace)
            await self._queues.directory.patch(acting, found, patch)
        return {}

    @operation(
        "ListDeadLetterSourceQueues",
        permission=("get", QUEUE),
        understands=("QueueUrl", "NextToken", "MaxResults"),
    )
    async def list_dead_letter_source_queues(self, call: RequestContext, request: Json) -> Json:
        found = await self._queues.resolve(call, request)
        urls, token = self._page(call, request, self._queues.directory.sources_of(found), found.arn)
        return {"queueUrls": urls, **token}

    def _page(
        self, call: RequestContext, request: Json, items: list[FoundQueue], about: str
    ) -> tuple[list[str], Json]:
        most = request.get("MaxResults")
        if most is not None and not 1 <= most <= MOST_LISTED:
            raise errors.invalid_parameter(most, "MaxResults", f"MaxResults must be from 1 to {MOST_LISTED}")
        scope = (call.operation, call.account, call.region, about)
        try:
            page = self._queues.tokens.page(
                items, lambda each: each.label, scope, request.get("NextToken") or None, most or MOST_LISTED
            )
        except InvalidToken as wrong:
            raise errors.invalid_parameter(request["NextToken"], "NextToken", str(wrong)) from None
        urls = [self._queues.url_of(call, each) for each in page.items]
        # AWS hands out tokens to those alone who say how much they want.
        return urls, {"NextToken": page.token} if page.token and most is not None else {}

    def _attributes_of(self, found: FoundQueue) -> dict[str, str]:
        live = self._queues.directory.live(found)
        live.come_due()
        made = found.resource.metadata.creation_timestamp
        changed = found.resource.status.modified_at or made
        counts = (live.order.visible, live.order.in_flight, live.order.delayed)
        return {
            **shown(found.spec),
            **{name: str(count) for name, count in zip(COUNTED, counts, strict=True)},
            "QueueArn": found.arn,
            "CreatedTimestamp": str(int(made.timestamp())) if made else "0",
            "LastModifiedTimestamp": str(int(changed.timestamp())) if changed else "0",
        }

    def _require_dead_letter_queue(self, namespace: str, patch: Json) -> None:
        """A queue that is not there, or another account's, takes nothing: told at once, not when messages would be
        lost, and for both in the same words.
        """
        redrive = patch.get("redrive")
        target = self._queues.directory.by_arn(redrive["deadLetterTargetArn"]) if redrive else None
        if redrive and (target is None or target.namespace != namespace):
            raise errors.invalid_parameter(
                redrive["deadLetterTargetArn"], "RedrivePolicy", "Dead letter target does not exist"
            )


def _is_fifo(name: str, attributes: dict[str, str]) -> bool:
    said = attributes["FifoQueue"].lower() if "FifoQueue" in attributes else None
    if said == "false":  # AWS refuses it as well: it is true, or not there
        raise errors.invalid_attribute_name("FifoQueue")
    if said is None and name.endswith(FIFO_ENDING):
        raise errors.invalid_value(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
        )
    return said == "true"


def _require_same(found: FoundQueue, wanted: dict[str, str], asked: dict[str, str]) -> None:
    known = shown(found.spec)
    for name in asked:
        if known.get(name) != wanted.get(name):
            raise errors.queue_exists(name)
