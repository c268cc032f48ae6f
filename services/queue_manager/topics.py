"""Finds topics and subscriptions, from memory, and publishes: one transaction for all the queues that get it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import uuid4

import orjson

from crds.errors import AlreadyExists, Conflict
from crds.meta import OwnerReference
from services.queue_manager.authorization import decide_by_queue_policy
from services.queue_manager.broker import Broker, ToSend
from services.queue_manager.directory import QueueDirectory, asked_region
from services.queue_manager.filter_policy import TooMuchEffort, body_of, filter_policy, filterable
from services.queue_manager.live_queue import ADDRESS, LiveQueue, QueueRules
from services.queue_manager.message import Draft
from services.queue_manager.message_attributes import MOST, attributes_size
from services.queue_manager.metrics import TopicMetrics
from services.queue_manager.queue import FoundQueue
from services.queue_manager.topic_kinds import (
    ADDRESSES,
    SUBSCRIPTION,
    TOPIC,
    Subscription,
    SubscriptionSpec,
    Topic,
    TopicSpec,
)
from services.queue_manager.topic_names import TopicName, parse_topic_arn, topic_arn
from services.sdk.aws.accounts import account_of
from services.sdk.aws.judgement import moment_facts
from services.sdk.aws.operations import RequestContext
from services.sdk.aws.policy import Context, Outcome, Request, Requester
from services.sdk.aws.resource_names import resource_name
from services.sdk.context import ServiceContext
from services.sdk.resources import Resources

_ATTEMPTS = 10
ADDRESS_RULES = QueueRules(delay=0, retention=86_400_000)
"""Of the queue of an address: what was not delivered for a day is gone."""
MOST_WAITING, MOST_WAITING_BYTES = 100_000, 256 << 20
"""For one address."""
_PUBLISHER = Requester("service", "sns.amazonaws.com")


@dataclass(frozen=True, slots=True)
class FoundTopic:
    """A topic as it was read."""

    resource: Topic

    @property
    def name(self) -> str:
        """What the resource is called."""
        return self.resource.metadata.name

    @property
    def label(self) -> str:
        """What AWS calls it."""
        return self.spec.topic_name or self.name

    @property
    def namespace(self) -> str:
        return self.resource.metadata.namespace or "default"

    @property
    def uid(self) -> str:
        return self.resource.metadata.uid or ""

    @property
    def spec(self) -> TopicSpec:
        return self.resource.spec

    @property
    def account(self) -> str:
        return account_of(self.namespace)

    @property
    def arn(self) -> str:
        return topic_arn(self.spec.region, self.account, self.label)

    @property
    def is_fifo(self) -> bool:
        return self.spec.fifo is not None

    def is_in(self, region: str) -> bool:
        return not region or self.spec.region in ("", region)


@dataclass(frozen=True)
class Notification:
    """What is published. `texts`: by protocol, with `default`, where it is another one for each."""

    message: str
    subject: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    group: str = ""
    deduplication: str = ""

    @property
    def for_queues(self) -> str:
        return self.text_for("sqs")

    def text_for(self, protocol: str) -> str:
        """What those who subscribed by that protocol get."""
        return (self.texts.get(protocol) or self.texts["default"]) if self.texts else self.message

    @cached_property
    def values(self) -> dict[str, Any]:
        """Its attributes as filter policies see them."""
        return filterable(self.attributes)

    @cached_property
    def body(self) -> dict[str, Any] | None:
        """Its text as filter policies see it."""
        return body_of(self.for_queues)


@dataclass(frozen=True, slots=True)
class Published:
    """As who published it knows it. `sequence`: of a FIFO topic, else 0."""

    id: str
    sequence: int = 0


class Topics:
    """One per process. It writes subscriptions as the service itself: to subscribe takes a right to the topic, which
    whoever calls it has asked for.
    """

    def __init__(self, context: ServiceContext, queues: QueueDirectory, broker: Broker) -> None:
        self.own, self._clock, self._queues, self._broker = context.resources, context.clock, queues, broker
        self._metrics = TopicMetrics(context.metrics.registry)
        self._topics, self._subscriptions = context.informer(TOPIC), context.informer(SUBSCRIPTION)

    async def find(self, named: TopicName, call: RequestContext | None = None) -> FoundTopic | None:
        """The topic of that ARN."""
        namespace = call.namespace if call is not None and call.account == named.account else None
        for each in dict.fromkeys((resource_name(named.name, named.region), resource_name(named.name))):
            if namespace is not None:
                found = await self._topics.read(each, namespace)
                candidates = [] if found is None else [found]
            else:
                candidates = [one for one in self._topics.all() if one.metadata.name == each]
            for one in map(FoundTopic, candidates):
                if (one.account, one.label) == (named.account, named.name) and one.is_in(named.region):
                    return one
        return None

    async def read(self, name: str, namespace: str) -> FoundTopic | None:
        """By what the resource is called. Raises ApiError."""
        topic = await self._topics.read(name, namespace)
        return None if topic is None or topic.metadata.deletion_timestamp is not None else FoundTopic(topic)

    def namespace_of(self, account: str) -> str | None:
        """That of an account that has topics."""
        known = (each.metadata.namespace or "default" for each in self._topics.all())
        return next((each for each in known if account_of(each) == account), None)

    def all(self, call: RequestContext) -> list[FoundTopic]:
        """The account's, in the region that is asked in."""
        found = map(FoundTopic, self._topics.all(call.namespace))
        return sorted((each for each in found if each.is_in(asked_region(call))), key=lambda each: each.label)

    def note(self, topic: Topic) -> FoundTopic:
        """As it was just written."""
        return FoundTopic(self._topics.put(topic))

    async def patch(self, acting: Resources, found: FoundTopic, spec: dict[str, Any]) -> FoundTopic:
        return self.note(await acting.patch(TOPIC, found.name, {"spec": spec}, found.namespace))

    async def change_spec(
        self, acting: Resources, found: FoundTopic, patch_of: Callable[[FoundTopic], dict[str, Any]]
    ) -> FoundTopic:
        """Patch it by what follows from its spec as it is now, and again when somebody else changed it meanwhile.
        Raises ApiError, and what patch_of raises.
        """
        now = found
        for attempt in range(_ATTEMPTS):
            if attempt:
                now = self.note(await self.own.get(TOPIC, found.name, found.namespace))
            if now.uid != found.uid:
                break
            read = {"resourceVersion": now.resource.metadata.resource_version}
            try:
                patch = {"metadata": read, "spec": patch_of(now)}
                return self.note(await acting.patch(TOPIC, found.name, patch, found.namespace))
            except Conflict:
                continue
        raise Conflict("the topic was changed again and again meanwhile; try once more")

    async def delete(self, acting: Resources, found: FoundTopic) -> None:
        """With its subscriptions."""
        for each in self.subscriptions_of(found):
            await self.unsubscribe(each)
        await acting.delete(TOPIC, found.name, found.namespace, uid=found.uid)
        self._topics.drop(found.resource)

    def subscriptions_of(self, found: FoundTopic) -> list[Subscription]:
        """The oldest first."""
        known = self._subscriptions.all(found.namespace)
        mine = [each for each in known if self._is_of(each, found)]
        return sorted(mine, key=lambda each: (str(each.metadata.creation_timestamp), each.metadata.name))

    def subscriptions(self, namespace: str) -> list[Subscription]:
        """Of all topics of a namespace."""
        return sorted(self._subscriptions.all(namespace), key=lambda each: each.metadata.name)

    def subscription(self, found: FoundTopic, id: str) -> Subscription | None:
        """By what stands at the end of its ARN."""
        known = self._subscriptions.by_uid(id)
        return known if known is not None and self._is_of(known, found) else None

    async def subscribe(self, found: FoundTopic, spec: SubscriptionSpec) -> Subscription:
        """The new subscription, or that of the same endpoint that somebody made just now. Raises ApiError."""
        made = SUBSCRIPTION.new(_subscription_name(found, spec.endpoint), namespace=found.namespace, spec=spec)
        kind = TOPIC
        owner = OwnerReference(api_version=kind.api_version, kind=kind.name, name=found.name, uid=found.uid)
        made.metadata.owner_references = [owner]
        try:
            return self._subscriptions.put(await self.own.create(SUBSCRIPTION, made))
        except AlreadyExists:
            there = await self.own.get(SUBSCRIPTION, made.metadata.name, found.namespace)
            if not self._is_of(there, found) or there.spec.endpoint != spec.endpoint:
                raise
            return self._subscriptions.put(there)

    async def change(self, subscription: Subscription, spec: dict[str, Any]) -> Subscription:
        meta = subscription.metadata
        return self._subscriptions.put(
            await self.own.patch(SUBSCRIPTION, meta.name, {"spec": spec}, meta.namespace or "default")
        )

    async def unsubscribe(self, subscription: Subscription) -> None:
        meta = subscription.metadata
        await self.own.delete(SUBSCRIPTION, meta.name, meta.namespace or "default", uid=meta.uid or "")
        self._subscriptions.drop(subscription)

    async def publish(self, found: FoundTopic, notifications: Sequence[Notification]) -> list[Published]:
        """To all who want it, in one transaction: every queue gets it, or none does. Raises sqlite3.Error."""
        meant = await self._meant_for(found, notifications)
        published = [
            Published(str(uuid4()), self._broker.new_sequence() if found.is_fifo else 0) for _ in notifications
        ]
        items: list[ToSend] = []
        for subscription, at, is_judged in meant:
            item = self._delivery(found, subscription, notifications[at], published[at], only_dead=not is_judged)
            if item is not None:
                items.append(item)
        if items:
            await self._broker.send(items)
        return published

    async def _meant_for(
        self, found: FoundTopic, notifications: Sequence[Notification]
    ) -> list[tuple[Subscription, int, bool]]:
        """Who wants which of them, of those that are confirmed; False with those of which that cannot be told. Others
        go on between two.
        """
        meant = []
        for subscription in filter(is_confirmed, self.subscriptions_of(found)):
            for at, each in enumerate(notifications):
                await asyncio.sleep(0)
                try:
                    if _is_wanted(subscription.spec, each):
                        meant.append((subscription, at, True))
                except TooMuchEffort:
                    meant.append((subscription, at, False))
        return meant

    def _delivery(
        self, found: FoundTopic, subscription: Subscription, what: Notification, known: Published, *, only_dead: bool
    ) -> ToSend | None:
        """To the subscription's queue, or the queue of its address; where that cannot take it, to its dead letters.
        None where nobody can.
        """
        if subscription.spec.protocol in ADDRESSES and not only_dead:
            body = _envelope(found, what, known, self._clock.now(), subscription.spec.protocol)
            address = self._broker.queue(address_queue(subscription), False)
            if _has_room(address, len(body.encode())):
                return ToSend(address, ADDRESS_RULES, Draft(body))
            only_dead = True
        for queue, is_dead in self._queues_for(found, subscription.spec):
            if only_dead and not is_dead:
                continue
            raw = subscription.spec.raw_delivery and not is_dead
            draft = self._draft(found, subscription, what, known, raw=raw)
            if not _fits(draft, queue):
                continue
            if is_dead:
                self._metrics.undelivered(found.namespace, "dead_letters")
            return ToSend(self._queues.live(queue), self._queues.rules(queue), draft)
        self._metrics.undelivered(found.namespace, "lost")
        return None

    async def bury(self, subscription: Subscription, body: str) -> None:
        """What no address took: into the dead letters, where there are any. Raises ApiError, sqlite3.Error."""
        found = self.topic_of(subscription)
        if found is None:
            return
        for queue, is_dead in self._queues_for(found, subscription.spec):
            draft = Draft(body, sender=f"{found.arn}:{subscription.metadata.uid}")
            if is_dead and _fits(draft, queue):
                await self._broker.send([ToSend(self._queues.live(queue), self._queues.rules(queue), draft)])
                self._metrics.undelivered(found.namespace, "dead_letters")
                return
        self._metrics.undelivered(found.namespace, "lost")

    def topic_of(self, subscription: Subscription) -> FoundTopic | None:
        """The topic whose subscription it is."""
        known = map(FoundTopic, self._topics.all(subscription.metadata.namespace))
        return next((each for each in known if self._is_of(subscription, each)), None)

    def subscription_of(self, plain_uid: str) -> Subscription | None:
        """By its uid without hyphens."""
        known = self._subscriptions.all()
        return next((each for each in known if (each.metadata.uid or "").replace("-", "") == plain_uid), None)

    async def confirm(self, subscription: Subscription) -> Subscription:
        return await self._report(subscription, {"confirmed": True})

    async def note_origin(self, subscription: Subscription, origin: str) -> Subscription:
        return await self._report(subscription, {"origin": origin})

    async def _report(self, subscription: Subscription, status: dict[str, Any]) -> Subscription:
        """Raises ApiError."""
        meta = subscription.metadata
        return self._subscriptions.put(
            await self.own.patch(SUBSCRIPTION, meta.name, {"status": status}, meta.namespace, subresource="status")
        )

    def _queues_for(self, found: FoundTopic, spec: SubscriptionSpec) -> Iterator[tuple[FoundQueue, bool]]:
        """Those that take what the topic publishes: its own, then, with True, that of the dead letters."""
        for arn, is_dead in ((spec.endpoint, False), (spec.dead_letter_target_arn, True)):
            queue = self._queues.by_arn(arn) if arn and "://" not in arn else None
            if queue is not None and queue.is_fifo == found.is_fifo and self._takes(found, queue):
                yield queue, is_dead

    def _takes(self, found: FoundTopic, queue: FoundQueue) -> bool:
        """One of the same account, unless its policy denies it; one of another, where its policy allows it."""
        is_own = queue.namespace == found.namespace
        if not queue.spec.policy:
            return is_own
        facts = {**moment_facts(self._clock.now()), "aws:SourceArn": found.arn, "aws:SourceAccount": found.account}
        asked = Request(_PUBLISHER, "sqs:SendMessage", queue.arn, Context(facts), queue.account)
        decision = decide_by_queue_policy(asked, queue.spec.policy, allowed=False)
        return decision.allowed or (is_own and decision.outcome is not Outcome.EXPLICIT_DENY)

    def _draft(
        self, found: FoundTopic, subscription: Subscription, what: Notification, known: Published, *, raw: bool
    ) -> Draft:
        body, attributes = what.for_queues, what.attributes
        if not raw:
            body = _envelope(found, what, known, self._clock.now())
            attributes = {}
        sender = f"{found.arn}:{subscription.metadata.uid}"
        return Draft(body, None, attributes, "", what.group, what.deduplication, sender)

    def _is_of(self, subscription: Subscription, found: FoundTopic) -> bool:
        named = parse_topic_arn(subscription.spec.topic_arn)
        return (
            named is not None
            and (named.account, named.name) == (found.account, found.label)
            and found.is_in(named.region)
        )


def _subscription_name(found: FoundTopic, endpoint: str) -> str:
    """One for each topic and endpoint: of two who subscribe at once, the second finds the first's."""
    digest = hashlib.sha256(f"{found.uid}\x00{endpoint}".encode()).hexdigest()[:16]
    return f"{found.name[:40].rstrip('-.')}-{digest}"


def _is_wanted(spec: SubscriptionSpec, what: Notification) -> bool:
    """Raises TooMuchEffort."""
    if not spec.filter_policy:
        return True
    nested = spec.filter_policy_scope == "MessageBody"
    document = what.body if nested else what.values
    return document is not None and filter_policy(spec.filter_policy, nested=nested).matches(document)


def is_confirmed(subscription: Subscription) -> bool:
    """Whether it gets what is published."""
    return subscription.spec.protocol not in ADDRESSES or subscription.status.confirmed


def address_queue(subscription: Subscription | str) -> str:
    """What the queue of a subscription's address is called, by the subscription or its uid: none that has a
    resource.
    """
    uid = subscription if isinstance(subscription, str) else subscription.metadata.uid or ""
    return f"{ADDRESS}{uid}"


def time_text(when: datetime) -> str:
    """`2026-01-02T03:04:05.678Z`."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03}Z"


def _envelope(found: FoundTopic, what: Notification, known: Published, now: datetime, protocol: str = "sqs") -> str:
    """As SNS writes it, without a signature: who reads the queue knows that it came through it, and an address gets
    one with each attempt.
    """
    told: dict[str, Any] = {"Type": "Notification", "MessageId": known.id}
    if known.sequence:
        told["SequenceNumber"] = str(known.sequence)
    told["TopicArn"] = found.arn
    if what.subject:
        told["Subject"] = what.subject
    told["Message"] = what.text_for(protocol)
    told["Timestamp"] = time_text(now)
    if what.attributes:
        told["MessageAttributes"] = {name: _shown(each) for name, each in what.attributes.items()}
    return orjson.dumps(told).decode()


def _shown(attribute: dict[str, Any]) -> dict[str, str]:
    value = attribute.get("StringValue")
    if value is None:
        value = base64.b64encode(attribute["BinaryValue"]).decode()
    return {"Type": attribute["DataType"], "Value": value}


def _has_room(address: LiveQueue, size: int) -> bool:
    order = address.order
    return len(order.messages) < MOST_WAITING and order.size + size <= MOST_WAITING_BYTES


def _fits(draft: Draft, queue: FoundQueue) -> bool:
    """Whether that queue takes it: messages of queues have fewer attributes than those of topics may."""
    size = len(draft.body.encode()) + attributes_size(draft.attributes)
    return len(draft.attributes) <= MOST and size <= queue.spec.maximum_message_bytes


def subscription_arn(found: FoundTopic, subscription: Subscription) -> str:
    return f"{found.arn}:{subscription.metadata.uid}"
