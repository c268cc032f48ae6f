"""SNS operations that publish. Source: Amazon SNS API reference, Publish, PublishBatch."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from services.queue_manager.found_topic import FoundTopic
from services.queue_manager.message_attributes import attribute_fault, attributes_size, fifo_id_fault, text_fault
from services.queue_manager.names import is_entry_id
from services.queue_manager.notification import Notification, Published
from services.queue_manager.topic_kinds import TOPIC
from services.queue_manager.topic_operations.topic_access import TopicAccess, invalid
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
MOST_BYTES, MOST_ENTRIES, LONGEST_SUBJECT = 262_144, 10, 100
_PUBLISH = (
    "TopicArn",
    "TargetArn",
    "PhoneNumber",
    "Message",
    "Subject",
    "MessageStructure",
    "MessageAttributes",
    "MessageDeduplicationId",
    "MessageGroupId",
)


class PublishOperations:
    """One declared method per operation."""

    def __init__(self, access: TopicAccess) -> None:
        self._access = access

    @operation("Publish", permission=("use", TOPIC), understands=_PUBLISH)
    async def publish(self, call: RequestContext, request: Json) -> Json:
        if request.get("PhoneNumber"):
            await self._access.authorizer.require_any(call)
            raise invalid("PhoneNumber Reason: no messages are sent to phones here")
        arn = request.get("TopicArn") or request.get("TargetArn")
        if not arn:
            await self._access.authorizer.require_any(call)
            raise invalid("TopicArn or TargetArn Reason: no value for required parameter")
        found = await self._access.resolve(call, arn)
        (published,) = await self._access.topics.publish(found, [notification_of(found, request)])
        return _told(published)

    @operation("PublishBatch", permission=("use", TOPIC), understands=("TopicArn", "PublishBatchRequestEntries"))
    async def publish_batch(self, call: RequestContext, request: Json) -> Json:
        """What can be published is one transaction."""
        found = await self._access.resolve(call, request["TopicArn"])
        entries = _entries_of(request)
        wanted, failed = {}, []
        for each in entries:
            try:
                wanted[each["Id"]] = notification_of(found, each)
            except AwsError as error:
                failed.append({"Id": each["Id"], "Code": error.code, "Message": error.message, "SenderFault": True})
        if sum(map(_size, wanted.values())) > MOST_BYTES:
            raise AwsError("BatchRequestTooLong", f"The batch is longer than {MOST_BYTES} bytes.")
        published = await self._access.topics.publish(found, list(wanted.values()))
        successful = [{"Id": id, **_told(each)} for id, each in zip(wanted, published, strict=True)]
        return {"Successful": successful, "Failed": failed}


def notification_of(found: FoundTopic, request: Json) -> Notification:
    """What is to be published, if that topic takes it. Raises AwsError."""
    message, subject = request["Message"], request.get("Subject") or ""
    attributes = request.get("MessageAttributes") or {}
    if not message:
        raise invalid("Empty message")
    if fault := text_fault(message) or text_fault(subject):
        raise invalid(f"Message Reason: {fault}")
    if len(subject) > LONGEST_SUBJECT or "\n" in subject:
        raise invalid(f"Subject Reason: one line of at most {LONGEST_SUBJECT} characters")
    for name, each in attributes.items():
        if fault := attribute_fault(name, each):
            raise AwsError("ParameterValueInvalid", fault)
    group, deduplication = _fifo_ids(found, request)
    what = Notification(message, subject, attributes, _texts_of(request), group, deduplication)
    if fault := text_fault(what.for_queues):
        raise invalid(f"Message Reason: {fault}")
    if not what.for_queues:
        raise invalid("Empty message")
    if _size(what) > MOST_BYTES:
        raise invalid("Message too long")
    return what


def _texts_of(request: Json) -> dict[str, str]:
    structure = request.get("MessageStructure") or ""
    if not structure:
        return {}
    if structure != "json":
        raise invalid("MessageStructure Reason: json, or none")
    try:
        texts = orjson.loads(request["Message"])
    except orjson.JSONDecodeError:
        raise invalid("Message Structure - JSON message body failed to parse") from None
    if not isinstance(texts, dict) or not isinstance(texts.get("default"), str):
        raise invalid("Message Structure - No default entry in JSON message body")
    return {name: text for name, text in texts.items() if isinstance(text, str)}


def _fifo_ids(found: FoundTopic, request: Json) -> tuple[str, str]:
    group, given = request.get("MessageGroupId") or "", request.get("MessageDeduplicationId") or ""
    for name, text in (("MessageGroupId", group), ("MessageDeduplicationId", given)):
        if fault := fifo_id_fault(name, text):
            raise invalid(f"{name} Reason: {fault}")
    if found.spec.fifo is None:
        if given:
            raise invalid("MessageDeduplicationId Reason: it is not valid for this topic type")
        return group, ""
    if not group:
        raise invalid("The MessageGroupId parameter is required for FIFO topics")
    if not given and not found.spec.fifo.content_based_deduplication:
        raise invalid(
            "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided "
            "explicitly"
        )
    return group, given or hashlib.sha256(request["Message"].encode()).hexdigest()


def _entries_of(request: Json) -> list[Json]:
    entries: list[Json] = request.get("PublishBatchRequestEntries") or []
    if not entries:
        raise AwsError("EmptyBatchRequest", "The batch request doesn't contain any entries.")
    if len(entries) > MOST_ENTRIES:
        raise AwsError("TooManyEntriesInBatchRequest", "The batch request contains more entries than permissible.")
    if not all(is_entry_id(each["Id"]) for each in entries):
        text = "The Id of a batch entry in a batch request doesn't abide by the specification."
        raise AwsError("InvalidBatchEntryId", text)
    if len({each["Id"] for each in entries}) < len(entries):
        raise AwsError("BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.")
    return entries


def _size(what: Notification) -> int:
    return len(what.message.encode()) + attributes_size(what.attributes)


def _told(published: Published) -> Json:
    sequence = {"SequenceNumber": f"{published.sequence:020}"} if published.sequence else {}
    return {"MessageId": published.id, **sequence}
