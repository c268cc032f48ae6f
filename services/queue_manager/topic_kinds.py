"""Topic and Subscription: what is published once, and the queues and addresses that get it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status
from crds.model import Model
from services.queue_manager.delivery_policy import PolicyFault, delivery_policy, topic_delivery_policy
from services.queue_manager.filter_policy import FilterPolicy, FilterPolicyError
from services.queue_manager.message_attributes import text_fault
from services.queue_manager.names import parse_queue_arn
from services.queue_manager.queue_policy import policy_fault
from services.queue_manager.topic_invariants import keeps_its_topic, keeps_its_topic_name
from services.queue_manager.topic_names import FIFO_ENDING, parse_topic_arn
from services.sdk.aws.tags import tag_fault
from services.sdk.urls import url_fault

ADDRESSES = frozenset({"http", "https"})
"""Protocols whose endpoints are addresses, which have to confirm."""


def _require_address(protocol: str, endpoint: str, topic: str) -> None:
    if fault := url_fault(endpoint):
        raise ValueError(f"endpoint: {fault}")
    if not endpoint.startswith(f"{protocol}://"):
        raise ValueError(f"endpoint: must begin with {protocol}://")
    if topic.endswith(FIFO_ENDING):
        raise ValueError("endpoint: FIFO topics deliver to FIFO queues alone")


def _require_text(text: str) -> str:
    """What answers can have in them."""
    if fault := text_fault(text):
        raise ValueError(fault)
    return text


class FifoTopic(Model):
    """That messages of a group come one after the other, each once, to FIFO queues."""

    content_based_deduplication: bool = False


class TopicSpec(Spec):
    """`topicName`: as AWS calls it, the resource's own name where it is empty; `region`: where AWS clients find it,
    empty: everywhere; neither may change, nor `fifo`. `policy`: a resource policy of AWS, JSON.
    `signatureVersion`: of what is sent, `1` (SHA1) or `2` (SHA256). `deliveryPolicy`: how often and when addresses
    get again what they did not take, JSON.
    """

    topic_name: str = ""
    region: Annotated[str, Field(max_length=32)] = ""
    display_name: Annotated[str, Field(max_length=100)] = ""
    fifo: FifoTopic | None = None
    policy: str = ""
    signature_version: Literal["1", "2"] = "1"
    delivery_policy: Annotated[str, Field(max_length=4096)] = ""
    tags: dict[str, str] | None = None

    @field_validator("tags")
    @classmethod
    def _are_tags(cls, tags: dict[str, str] | None) -> dict[str, str] | None:
        if fault := tag_fault(tags or {}):
            raise ValueError(fault)
        return tags

    @field_validator("display_name")
    @classmethod
    def _is_text(cls, text: str) -> str:
        return _require_text(text)

    @field_validator("policy")
    @classmethod
    def _is_policy(cls, text: str) -> str:
        if text and (fault := policy_fault(text)):
            raise ValueError(fault)
        return text

    @field_validator("delivery_policy")
    @classmethod
    def _is_delivery_policy(cls, text: str) -> str:
        if text:
            topic_delivery_policy(text)
        return text


class TopicStatus(Status):
    """What was seen."""

    arn: str = ""
    subscriptions: int | None = None


class Topic(Resource[TopicSpec, TopicStatus]):
    """What is published once, for many."""

    spec: TopicSpec = Field(default_factory=TopicSpec)
    status: TopicStatus = Field(default_factory=TopicStatus)


class SubscriptionSpec(Spec):
    """`endpoint`: the ARN of the queue (`protocol: sqs`), or the address (`https`, `http`), that gets what is
    published to `topicArn`, a topic of the same namespace; none of them may change. An address gets nothing until it
    has confirmed. `rawDelivery`: as it was published, without SNS's envelope. `filterPolicy`: JSON, of the
    attributes or the body. `deadLetterTargetArn`: the queue that gets what could not be delivered. `deliveryPolicy`:
    how often and when an address gets again what it did not take, JSON; else the topic's.
    """

    topic_arn: Annotated[str, Field(max_length=512)]
    protocol: Literal["sqs", "http", "https"] = "sqs"
    endpoint: Annotated[str, Field(min_length=1, max_length=2048)]
    raw_delivery: bool = False
    filter_policy: str = ""
    filter_policy_scope: Literal["MessageAttributes", "MessageBody"] = "MessageAttributes"
    dead_letter_target_arn: str = ""
    delivery_policy: Annotated[str, Field(max_length=4096)] = ""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        named = parse_topic_arn(self.topic_arn)
        if named is None or named.subscription:
            raise ValueError(f"topicArn: {self.topic_arn!r} is no ARN of a topic")
        if self.protocol in ADDRESSES:
            _require_address(self.protocol, self.endpoint, named.name)
        queues = (self.endpoint if self.protocol not in ADDRESSES else "", self.dead_letter_target_arn)
        for each in filter(None, queues):
            if parse_queue_arn(each) is None:
                raise ValueError(f"{each!r} is no ARN of a queue")
        if self.delivery_policy and self.protocol not in ADDRESSES:
            raise ValueError("deliveryPolicy: only addresses have one")
        if self.delivery_policy:
            try:
                delivery_policy(self.delivery_policy)
            except PolicyFault as wrong:
                raise ValueError(f"deliveryPolicy: {wrong}") from None
        if self.filter_policy:
            try:
                _require_text(self.filter_policy)
                FilterPolicy(self.filter_policy, nested=self.filter_policy_scope == "MessageBody")
            except FilterPolicyError as wrong:
                raise ValueError(f"filterPolicy: {wrong}") from None
        return self


class SubscriptionStatus(Status):
    """`confirmed`: whether an address said that it wants what is published. `authenticated`: to unsubscribe it takes
    a right to its topic, and not the link in its messages alone. `origin`: how whoever subscribed it reached this
    cloud, for links.
    """

    arn: str = ""
    confirmed: bool = False
    authenticated: bool = False
    origin: str = ""


class Subscription(Resource[SubscriptionSpec, SubscriptionStatus]):
    """A queue or address that gets what is published to a topic."""

    spec: SubscriptionSpec
    status: SubscriptionStatus = Field(default_factory=SubscriptionStatus)


TOPIC = Kind(
    name="Topic",
    plural="topics",
    singular="topic",
    model=Topic,
    categories=("all",),
    description="What is published once, for many, over the AWS SNS protocol.",
    invariants=(keeps_its_topic_name,),
    columns=(
        Column("Name", "metadata.name"),
        Column("Topic", "spec.topicName", priority=1),
        Column("Subscriptions", "status.subscriptions", "integer"),
        Column("ARN", "status.arn"),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
SUBSCRIPTION = Kind(
    name="Subscription",
    plural="subscriptions",
    singular="subscription",
    model=Subscription,
    categories=("all",),
    description="A queue or address that gets what is published to a topic.",
    invariants=(keeps_its_topic,),
    columns=(
        Column("Name", "metadata.name"),
        Column("Topic", "spec.topicArn"),
        Column("Endpoint", "spec.endpoint"),
        Column("Confirmed", "status.confirmed", "boolean", priority=1),
        Column("Raw", "spec.rawDelivery", priority=1),
        Column("Filter", "spec.filterPolicy", priority=1),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
