"""SQS operations on up to ten messages at once: each succeeds or fails by itself.

Source: Amazon SQS API reference, SendMessageBatch, DeleteMessageBatch, ChangeMessageVisibilityBatch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from services.queue_manager.kinds import QUEUE
from services.queue_manager.names import is_entry_id
from services.queue_manager.operations.messages import (
    MessageOperations,
    draft_of,
    require_deduplication,
    sent_answer,
    size_of,
)
from services.queue_manager.operations.queue_access import QueueAccess
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
MOST_ENTRIES, MOST_BYTES = 10, 1_048_576


class BatchOperations:
    """One declared method per operation."""

    def __init__(self, queues: QueueAccess, messages: MessageOperations) -> None:
        self._queues, self._messages = queues, messages

    @operation("SendMessageBatch", permission=("use", QUEUE), understands=("QueueUrl", "Entries"))
    async def send_message_batch(self, call: RequestContext, request: Json) -> Json:
        """What can be sent is one transaction. An entry of a FIFO queue without an id to know doubles by refuses the
        whole batch, as at AWS.
        """
        found = await self._queues.resolve(call, request)
        entries = _entries_of(request)
        for each in entries:
            require_deduplication(found, each)
        drafts, failed = {}, []
        for each in entries:
            try:
                drafts[each["Id"]] = draft_of(call, found, each)
            except AwsError as error:
                failed.append(_failure(each["Id"], error))
        if (size := sum(map(size_of, drafts.values()))) > MOST_BYTES:
            text = f"Batch requests cannot be longer than {MOST_BYTES} bytes. You have sent {size} bytes."
            raise AwsError("BatchRequestTooLong", text)
        sent = await self._messages.send(found, list(drafts.values()))
        successful = [
            {"Id": id, **sent_answer(each, draft)} for (id, draft), each in zip(drafts.items(), sent, strict=True)
        ]
        return _answer(successful, failed)

    @operation("DeleteMessageBatch", permission=("use", QUEUE), understands=("QueueUrl", "Entries"))
    async def delete_message_batch(self, call: RequestContext, request: Json) -> Json:
        found = await self._queues.resolve(call, request)
        return await _each(_entries_of(request), lambda entry: self._messages.delete(found, entry["ReceiptHandle"]))

    @operation("ChangeMessageVisibilityBatch", permission=("use", QUEUE), understands=("QueueUrl", "Entries"))
    async def change_message_visibility_batch(self, call: RequestContext, request: Json) -> Json:
        found = await self._queues.resolve(call, request)
        return await _each(
            _entries_of(request),
            lambda entry: self._messages.change_visibility(found, entry["ReceiptHandle"], entry),
        )


async def _each(entries: list[Json], do: Callable[[Json], Awaitable[None]]) -> Json:
    """All at once: what they change becomes durable together."""
    outcomes = await asyncio.gather(*(do(each) for each in entries), return_exceptions=True)
    successful, failed = [], []
    for entry, outcome in zip(entries, outcomes, strict=True):
        if outcome is None:
            successful.append({"Id": entry["Id"]})
        elif isinstance(outcome, AwsError):
            failed.append(_failure(entry["Id"], outcome))
        else:
            raise outcome
    return _answer(successful, failed)


def _entries_of(request: Json) -> list[Json]:
    """Raises AwsError where they are not one batch."""
    entries: list[Json] = request.get("Entries") or []
    if not entries:
        raise AwsError("EmptyBatchRequest", "There should be at least one entry in the request.")
    if len(entries) > MOST_ENTRIES:
        text = f"Maximum number of entries per request are {MOST_ENTRIES}. You have sent {len(entries)}."
        raise AwsError("TooManyEntriesInBatchRequest", text)
    seen: set[str] = set()
    for each in entries:
        id = each["Id"]
        if not is_entry_id(id):
            text = (
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
                "It can be at most 80 letters long."
            )
            raise AwsError("InvalidBatchEntryId", text)
        if id in seen:
            raise AwsError("BatchEntryIdsNotDistinct", f"Id {id} repeated.")
        seen.add(id)
    return entries


def _failure(id: str, error: AwsError) -> Json:
    return {"Id": id, "SenderFault": error.status < 500, "Code": error.code, "Message": error.message}


def _answer(successful: list[Json], failed: list[Json]) -> Json:
    return {**({"Successful": successful} if successful else {}), **({"Failed": failed} if failed else {})}
