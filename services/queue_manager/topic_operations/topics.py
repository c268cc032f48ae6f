"""SNS operations about topics, their attributes, policy and tags. Source: Amazon SNS API reference."""

from __future__ import annotations

from typing import Any

import orjson

from crds.errors import AlreadyExists
from services.queue_manager.authorization import tag_facts
from services.queue_manager.delivery_policy import PolicyFault, shown_for_topic, topic_delivery_policy
from services.queue_manager.found_topic import FoundTopic
from services.queue_manager.message_attributes import text_fault
from services.queue_manager.queue_policy import policy_fault
from services.queue_manager.topic_kinds import TOPIC, FifoTopic, TopicSpec
from services.queue_manager.topic_names import TopicName, topic_name_fault
from services.queue_manager.topic_operations.topic_access import TopicAccess, invalid, require_length, truth
from services.queue_manager.topics import is_confirmed
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation
from services.sdk.aws.resource_names import resource_name
from services.sdk.aws.tags import require_tags, tag_list, tags_of
from services.sdk.resources import Resources

Json = dict[str, Any]
_CHANGEABLE = ("DisplayName", "Policy", "ContentBasedDeduplication", "SignatureVersion", "DeliveryPolicy")
_LOGGED = ("Application", "Firehose", "HTTP", "Lambda", "SQS")
_OFF = {
    **{f"{each}SuccessFeedbackSampleRate": "0" for each in _LOGGED},
    **{f"{each}{when}FeedbackRoleArn": "" for each in _LOGGED for when in ("Success", "Failure")},
    "KmsMasterKeyId": "",
    "ArchivePolicy": "{}",
    "TracingConfig": "PassThrough",
}
"""What is not done here, and the value that asks for nothing: tools set it on every topic."""


class TopicOperations:
    """One declared method per operation."""

    def __init__(self, access: TopicAccess) -> None:
        self._access = access

    @operation("CreateTopic", permission=("create", TOPIC), understands=("Name", "Attributes", "Tags"))
    async def create_topic(self, call: RequestContext, request: Json) -> Json:
        name, attributes = request["Name"], dict(request.get("Attributes") or {})
        tags = _tags(request.get("Tags") or ())
        require_length(name)
        await self._access.authorizer.require_named(call, name, tags)
        fifo = attributes.pop("FifoTopic", "false") == "true"
        if fault := topic_name_fault(name, fifo=fifo):
            raise invalid(fault)
        spec = TopicSpec(topic_name=name, region=call.region, tags=tags or None, fifo=FifoTopic() if fifo else None)
        for each, value in attributes.items():
            spec = spec.model_copy(update=_as_fields(_patch_of(each, value, fifo=fifo), spec))
        found = await self._access.topics.find(TopicName(call.region, call.account, name), call)
        if found is None:
            topic = TOPIC.new(resource_name(name, call.region), namespace=call.namespace, spec=spec)
            acting = await self._access.authorizer.resources_for(call, topic.metadata.name, call.namespace)
            try:
                found = self._access.topics.note(await acting.create(TOPIC, topic))
            except AlreadyExists:  # by somebody else, just now
                found = await self._access.topics.find(TopicName(call.region, call.account, name), call)
                if found is None:
                    raise
        elif tags and tags != (found.spec.tags or {}):
            raise invalid("Tags Reason: Topic already exists with different tags")
        known = {"SignatureVersion": "1", **shown(found)}
        if any(each not in _OFF and known.get(each) != value for each, value in attributes.items()):
            raise invalid("Attributes Reason: Topic already exists with different attributes")
        return {"TopicArn": found.arn}

    @operation("DeleteTopic", permission=("delete", TOPIC), understands=("TopicArn",))
    async def delete_topic(self, call: RequestContext, request: Json) -> Json:
        try:
            found = await self._access.resolve(call, request["TopicArn"])
        except AwsError as error:
            if error.code == "NotFound":  # the same again is no fault
                return {}
            raise
        await self._access.topics.delete(await self._acting(call, found), found)
        return {}

    @operation("ListTopics", permission=("list", TOPIC), understands=("NextToken",))
    async def list_topics(self, call: RequestContext, request: Json) -> Json:
        await self._access.authorizer.require_any(call)
        found, token = self._access.page(call, request, self._access.topics.all(call), lambda each: each.label)
        return {"Topics": [{"TopicArn": each.arn} for each in found], **token}

    @operation("GetTopicAttributes", permission=("get", TOPIC), understands=("TopicArn",))
    async def get_topic_attributes(self, call: RequestContext, request: Json) -> Json:
        found = await self._access.resolve(call, request["TopicArn"])
        known = [is_confirmed(each) for each in self._access.topics.subscriptions_of(found)]
        counts = {
            "SubscriptionsConfirmed": str(sum(known)),
            "SubscriptionsPending": str(len(known) - sum(known)),
            "SubscriptionsDeleted": "0",
        }
        return {
            "Attributes": {
                **shown(found),
                "EffectiveDeliveryPolicy": shown_for_topic(found.spec.delivery_policy),
                **counts,
            }
        }

    @operation(
        "SetTopicAttributes",
        permission=("patch", TOPIC),
        understands=("TopicArn", "AttributeName", "AttributeValue"),
    )
    async def set_topic_attributes(self, call: RequestContext, request: Json) -> Json:
        found = await self._access.resolve(call, request["TopicArn"])
        value = request.get("AttributeValue") or ""
        patch = _patch_of(request["AttributeName"], value, fifo=found.is_fifo)
        await self._access.topics.patch(await self._acting(call, found), found, patch)
        return {}

    @operation("TagResource", permission=("patch", TOPIC), understands=("ResourceArn", "Tags"))
    async def tag_resource(self, call: RequestContext, request: Json) -> Json:
        wanted = _tags(request["Tags"])
        found = await self._access.resolve(call, request["ResourceArn"], "ResourceArn", tag_facts(wanted))
        tags = {**(found.spec.tags or {}), **wanted}
        require_tags(tags, "InvalidParameter")
        await self._access.topics.patch(await self._acting(call, found), found, {"tags": tags})
        return {}

    @operation("UntagResource", permission=("patch", TOPIC), understands=("ResourceArn", "TagKeys"))
    async def untag_resource(self, call: RequestContext, request: Json) -> Json:
        facts = tag_facts(request["TagKeys"])
        found = await self._access.resolve(call, request["ResourceArn"], "ResourceArn", facts)
        await self._access.topics.patch(
            await self._acting(call, found), found, {"tags": dict.fromkeys(request["TagKeys"])}
        )
        return {}

    @operation("ListTagsForResource", permission=("get", TOPIC), understands=("ResourceArn",))
    async def list_tags_for_resource(self, call: RequestContext, request: Json) -> Json:
        found = await self._access.resolve(call, request["ResourceArn"], "ResourceArn")
        return {"Tags": tag_list(found.spec.tags or {})}

    async def _acting(self, call: RequestContext, found: FoundTopic) -> Resources:
        return await self._access.authorizer.resources_for(call, found.name, found.namespace)


def shown(found: FoundTopic) -> dict[str, str]:
    """The attributes that its spec makes; a topic without a policy shows the one AWS would have written."""
    attributes = {
        "TopicArn": found.arn,
        "Owner": found.account,
        "DisplayName": found.spec.display_name,
        "Policy": found.spec.policy or default_policy(found),
    }
    if found.spec.signature_version != "1":
        attributes["SignatureVersion"] = found.spec.signature_version
    if found.spec.delivery_policy:
        attributes["DeliveryPolicy"] = found.spec.delivery_policy
    if found.spec.fifo is not None:
        content_based = str(found.spec.fifo.content_based_deduplication).lower()
        attributes |= {"FifoTopic": "true", "ContentBasedDeduplication": content_based}
    return attributes


def default_policy(found: FoundTopic) -> str:
    """What GetTopicAttributes shows where there is none: the account itself may, by its own policies."""
    actions = ("GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic")
    named = [f"SNS:{each}" for each in (*actions, "Subscribe", "ListSubscriptionsByTopic", "Publish")]
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": named,
        "Resource": found.arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": found.account}},
    }
    return orjson.dumps({"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}).decode()


def _patch_of(name: str, value: str, *, fifo: bool) -> Json:
    """Raises AwsError for what is not done here, and never drops it."""
    if name == "DisplayName":
        if len(value) > 100:
            raise invalid("DisplayName Reason: at most 100 characters")
        if fault := text_fault(value):
            raise invalid(f"DisplayName Reason: {fault}")
        return {"displayName": value}
    if name == "Policy":
        if value and (fault := policy_fault(value)):
            raise invalid(f"Policy Error: {fault}")
        return {"policy": value}
    if name == "SignatureVersion":
        if value not in ("1", "2"):
            raise invalid("SignatureVersion Reason: 1 or 2")
        return {"signatureVersion": value}
    if name == "DeliveryPolicy":
        try:
            return {"deliveryPolicy": value if value and topic_delivery_policy(value) else ""}
        except PolicyFault as fault:
            raise invalid(f"DeliveryPolicy: {fault}") from None
    if name == "ContentBasedDeduplication" and fifo:
        return {"fifo": {"contentBasedDeduplication": truth(name, value)}}
    if name in _OFF and value in ("", _OFF[name]):
        return {}
    raise invalid(f"AttributeName Reason: {name[:100]} is not done here; there are {', '.join(_CHANGEABLE)}")


def _as_fields(patch: Json, spec: TopicSpec) -> Json:
    fields = {**spec.wire(), **patch}
    made = TopicSpec.model_validate(fields)
    return {
        "display_name": made.display_name,
        "policy": made.policy,
        "fifo": made.fifo,
        "signature_version": made.signature_version,
        "delivery_policy": made.delivery_policy,
    }


def _tags(items: Any) -> dict[str, str]:
    try:
        tags = tags_of(items)
    except ValueError as wrong:
        raise invalid(f"Tags Reason: {wrong}") from None
    require_tags(tags, "InvalidParameter")
    return tags
