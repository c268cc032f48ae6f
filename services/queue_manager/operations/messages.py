"""SQS operations on one message: send, receive, delete, change its visibility.

Source: Amazon SQS API reference, SendMessage, ReceiveMessage, DeleteMessage, ChangeMessageVisibility.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

from services.queue_manager import errors
from services.queue_manager.broker import Gone, HandleExpired, NotInFlight, OverLimit, TooLong, ToSend
from services.queue_manager.kinds import QUEUE
from services.queue_manager.live_queue import LiveQueue
from services.queue_manager.message import Draft, Received, Sent
from services.queue_manager.message_attributes import (
    attributes_fault,
    attributes_size,
    fifo_id_fault,
    md5_of_attributes,
    md5_of_text,
    selected,
    text_fault,
)
from services.queue_manager.operations.queue_access import QueueAccess
from services.queue_manager.queue import FoundQueue
from services.queue_manager.receipt_handles import ReceiptHandle, parse_handle
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
TRACE = "AWSTraceHeader"
_SEND = (
    "QueueUrl",
    "MessageBody",
    "DelaySeconds",
    "MessageAttributes",
    "MessageSystemAttributes",
    "MessageDeduplicationId",
    "MessageGroupId",
)
_RECEIVE = (
    "QueueUrl",
    "AttributeNames",
    "MessageSystemAttributeNames",
    "MessageAttributeNames",
    "MaxNumberOfMessages",
    "VisibilityTimeout",
    "WaitTimeSeconds",
    "ReceiveRequestAttemptId",
)
_SYSTEM = frozenset(
    {
        "All",
        "SenderId",
        "SentTimestamp",
        "ApproximateReceiveCount",
        "ApproximateFirstReceiveTimestamp",
        "SequenceNumber",
        "MessageDeduplicationId",
        "MessageGroupId",
        "AWSTraceHeader",
        "DeadLetterQueueSourceArn",
    }
)
_LONGEST_TRACE = 1024


class MessageOperations:
    """One declared method per operation."""

    def __init__(self, queues: QueueAccess) -> None:
        self._queues = queues

    @operation("SendMessage", permission=("use", QUEUE), understands=_SEND)
    async def send_message(self, call: RequestContext, request: Json) -> Json:
        found = await self._queues.resolve(call, request)
        draft = draft_of(call, found, request)
        (sent,) = await self.send(found, [draft])
        return sent_answer(sent, draft)

    @operation("ReceiveMessage", permission=("use", QUEUE), understands=_RECEIVE)
    async def receive_message(self, call: RequestContext, request: Json) -> Json:
        found = await self._queues.resolve(call, request)
        most = _within(request, "MaxNumberOfMessages", 1, 10, 1)
        wait = _within(request, "WaitTimeSeconds", 0, 20, found.spec.receive_wait_seconds)
        hidden = _within(request, "VisibilityTimeout", 0, 43_200, found.spec.visibility_timeout_seconds)
        attempt = request.get("ReceiveRequestAttemptId") or ""
        if attempt:
            _require_fifo_id(found, "ReceiveRequestAttemptId", attempt)
        system = _system_names(request)
        received = await self._received(call, found, most, hidden * 1000, wait, attempt)
        live = self._queues.directory.live(found)
        names = request.get("MessageAttributeNames") or []
        return {"Messages": [_shown(live, each, system, names) for each in received]} if received else {}

    @operation("DeleteMessage", permission=("use", QUEUE), understands=("QueueUrl", "ReceiptHandle"))
    async def delete_message(self, call: RequestContext, request: Json) -> Json:
        found = await self._queues.resolve(call, request)
        await self.delete(found, request["ReceiptHandle"])
        return {}

    @operation(
        "ChangeMessageVisibility",
        permission=("use", QUEUE),
        understands=("QueueUrl", "ReceiptHandle", "VisibilityTimeout"),
    )
    async def change_message_visibility(self, call: RequestContext, request: Json) -> Json:
        found = await self._queues.resolve(call, request)
        await self.change_visibility(found, request["ReceiptHandle"], request)
        return {}

    async def send(self, found: FoundQueue, drafts: Sequence[Draft]) -> list[Sent]:
        """All of them at once."""
        live, rules = self._queues.directory.live(found), self._queues.directory.rules(found)
        return await self._queues.broker.send([ToSend(live, rules, each) for each in drafts])

    async def delete(self, found: FoundQueue, text: str) -> None:
        """Raises AwsError."""
        live = self._queues.directory.live(found)
        handle = _handle_of(live, text)
        try:
            await self._queues.broker.delete(live, handle)
        except HandleExpired:
            raise errors.expired_handle(text) from None

    async def change_visibility(self, found: FoundQueue, text: str, request: Json) -> None:
        """Raises AwsError."""
        live = self._queues.directory.live(found)
        if request.get("VisibilityTimeout") is None:
            raise errors.missing("VisibilityTimeout")
        seconds = _within(request, "VisibilityTimeout", 0, 43_200, 0)
        handle = _handle_of(live, text)
        try:
            await self._queues.broker.postpone(live, handle, seconds * 1000)
        except Gone:
            raise errors.not_available(text) from None
        except NotInFlight:
            raise errors.not_in_flight() from None
        except TooLong:
            reason = "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]"
            raise errors.invalid_parameter(seconds, "VisibilityTimeout", reason) from None

    async def _received(
        self, call: RequestContext, found: FoundQueue, most: int, hidden: int, wait: int, attempt: str
    ) -> list[Received]:
        """What is there, or what comes while the client waits for it: not for one that has gone."""
        live, rules, broker = (
            self._queues.directory.live(found),
            self._queues.directory.rules(found),
            self._queues.broker,
        )
        try:
            received = await broker.receive(live, rules, most, hidden, attempt=attempt)
            if received or not wait:
                return received
            polling = asyncio.ensure_future(broker.receive(live, rules, most, hidden, wait, attempt))
            leaving = asyncio.ensure_future(call.left())
            try:
                await asyncio.wait((polling, leaving), return_when=asyncio.FIRST_COMPLETED)
                return polling.result() if polling.done() else []
            finally:
                polling.cancel()
                leaving.cancel()
        except OverLimit:
            raise errors.over_limit() from None


def draft_of(call: RequestContext, found: FoundQueue, request: Json) -> Draft:
    """What is to be sent, if that queue takes it. Raises AwsError."""
    body, attributes = request["MessageBody"], request.get("MessageAttributes") or {}
    if not body:
        raise errors.missing("MessageBody")
    if fault := text_fault(body):
        raise errors.invalid_contents(fault)
    if fault := attributes_fault(attributes):
        raise errors.invalid_value(fault)
    trace = _trace_of(request.get("MessageSystemAttributes") or {})
    size = len(body.encode()) + attributes_size(attributes)
    if size > found.spec.maximum_message_bytes:
        limit = found.spec.maximum_message_bytes
        raise errors.invalid_value(
            f"One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
        )
    group, deduplication = _fifo_ids(found, request, body)
    return Draft(body, _delay(found, request), attributes, trace, group, deduplication, call.caller.name)


def size_of(draft: Draft) -> int:
    """Bytes that count."""
    return len(draft.body.encode()) + attributes_size(draft.attributes)


def sent_answer(sent: Sent, draft: Draft) -> Json:
    """What whoever sent it is told."""
    answer: Json = {"MessageId": sent.id, "MD5OfMessageBody": md5_of_text(draft.body)}
    if draft.attributes:
        answer["MD5OfMessageAttributes"] = md5_of_attributes(draft.attributes)
    if draft.trace:
        said = {TRACE: {"DataType": "String", "StringValue": draft.trace}}
        answer["MD5OfMessageSystemAttributes"] = md5_of_attributes(said)
    if sent.sequence:
        answer["SequenceNumber"] = _sequence(sent.sequence)
    return answer


def _shown(live: LiveQueue, received: Received, system: frozenset[str], names: list[str]) -> Json:
    handle = ReceiptHandle(live.number, received.number, received.receipt)
    answer: Json = {
        "MessageId": received.id,
        "ReceiptHandle": str(handle),
        "MD5OfBody": md5_of_text(received.body),
        "Body": received.body,
    }
    if told := _system_attributes(live, received, system):
        answer["Attributes"] = told
    if names and (attributes := selected(received.attributes, names)):
        answer["MessageAttributes"] = attributes
        answer["MD5OfMessageAttributes"] = md5_of_attributes(attributes)
    return answer


def _system_attributes(live: LiveQueue, received: Received, wanted: frozenset[str]) -> dict[str, str]:
    if not wanted:
        return {}
    known = {
        "SenderId": received.sender,
        "SentTimestamp": str(received.sent),
        "ApproximateReceiveCount": str(received.receives),
        "ApproximateFirstReceiveTimestamp": str(received.first_received),
        "SequenceNumber": _sequence(received.number) if live.fifo else "",
        "MessageDeduplicationId": received.deduplication,
        "MessageGroupId": received.group,
        "AWSTraceHeader": received.trace,
        "DeadLetterQueueSourceArn": received.origin,
    }
    return {name: text for name, text in known.items() if text and ("All" in wanted or name in wanted)}


def _sequence(number: int) -> str:
    return f"{number:020}"


def _system_names(request: Json) -> frozenset[str]:
    names = frozenset(request.get("AttributeNames") or ()) | frozenset(
        request.get("MessageSystemAttributeNames") or ()
    )
    if surplus := sorted(names - _SYSTEM):
        raise errors.invalid_attribute_name(surplus[0])
    return names


def _trace_of(attributes: dict[str, Any]) -> str:
    if surplus := sorted(set(attributes) - {TRACE}):
        raise errors.invalid_parameter(surplus[0], "MessageSystemAttributes", f"the one there is is {TRACE}")
    if TRACE not in attributes:
        return ""
    if fault := attributes_fault({"trace": attributes[TRACE]}):
        raise errors.invalid_value(fault)
    if attributes[TRACE]["DataType"] != "String":
        raise errors.invalid_parameter(attributes[TRACE]["DataType"], TRACE, "its DataType is String")
    trace = str(attributes[TRACE]["StringValue"])
    if len(trace.encode()) > _LONGEST_TRACE:
        raise errors.invalid_parameter(trace, TRACE, f"Must be at most {_LONGEST_TRACE} bytes")
    return trace


def _fifo_ids(found: FoundQueue, request: Json, body: str) -> tuple[str, str]:
    group, given = request.get("MessageGroupId") or "", request.get("MessageDeduplicationId") or ""
    if group:
        _require_id("MessageGroupId", group)
    if found.spec.fifo is None:
        if given:
            reason = "The request includes a parameter that is not valid for this queue type"
            raise errors.invalid_parameter(given, "MessageDeduplicationId", reason)
        return group, ""
    if not group:
        raise errors.missing("MessageGroupId")
    if given:
        _require_id("MessageDeduplicationId", given)
        return group, given
    require_deduplication(found, request)
    return group, hashlib.sha256(body.encode()).hexdigest()


def require_deduplication(found: FoundQueue, request: Json) -> None:
    """That doubles of it can be known. Raises AwsError."""
    fifo = found.spec.fifo
    if fifo is None or fifo.content_based_deduplication or request.get("MessageDeduplicationId"):
        return
    raise errors.invalid_value(
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
    )


def _delay(found: FoundQueue, request: Json) -> int | None:
    seconds = request.get("DelaySeconds")
    if seconds is None:
        return None
    if found.is_fifo and seconds:
        reason = "The request include parameter that is not valid for this queue type"
        raise errors.invalid_parameter(seconds, "DelaySeconds", reason)
    if found.is_fifo:
        return None
    return _within(request, "DelaySeconds", 0, 900, 0)


def _within(request: Json, name: str, least: int, most: int, otherwise: int) -> int:
    value = request.get(name)
    if value is None:
        return otherwise
    if not least <= value <= most:
        raise errors.invalid_parameter(value, name, f"Must be between {least} and {most}, if provided")
    return int(value)


def _require_fifo_id(found: FoundQueue, name: str, text: str) -> None:
    if not found.is_fifo:
        reason = "The request includes a parameter that is not valid for this queue type"
        raise errors.invalid_parameter(text, name, reason)
    _require_id(name, text)


def _require_id(name: str, text: str) -> None:
    if reason := fifo_id_fault(name, text):
        raise errors.invalid_parameter(text, name, reason)


def _handle_of(live: LiveQueue, text: str) -> ReceiptHandle:
    handle = parse_handle(text)
    if handle is None or handle.queue != live.number:
        raise errors.invalid_handle()
    return handle
