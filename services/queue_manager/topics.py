"""Finds topics and subscriptions, from memory, and publishes: one transaction for all the queues that get it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
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
from services.queue_manager.envelopes import Envelope, Envelopes, OpenEnvelopes, notification_of
from services.queue_manager.filter_policy import TooMuchEffort, filter_policy
from services.queue_manager.found_topic import FoundTopic, subscription_arn
from services.queue_manager.live_queue import ADDRESS, LiveQueue, QueueRules
from services.queue_manager.message import Draft
from services.queue_manager.message_attributes import MOST, attributes_size
from services.queue_manager.metrics import TopicMetrics
from services.queue_manager.notification import Notification, Published
from services.queue_manager.queue import FoundQueue
from services.queue_manager.topic_kinds import (
    ADDRESSES,
    SUBSCRIPTION,
    TOPIC,
    Subscription,
    SubscriptionSpec,
    Topic,
)
from services.queue_manager.topic_names import TopicName, parse_topic_arn
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


class _Publication:
    """One message on its way to all who want it; signed once, and not before somebody gets the envelope."""

    def __init__(
        self, found: FoundTopic, what: Notification, known: Published, now: datetime, envelopes: Envelopes
    ) -> None:
        self.found, self._what, self._known, self._now, self._envelopes = found, what, known, now, envelopes

    def for_address(self, protocol: str) -> str:
        """Without a signature: an address gets one with each attempt."""
        return orjson.dumps(notification_of(self.found, self._what, self._known, self._now, protocol)).decode()

    def draft_for(self, subscription: Subscription, *, raw: bool) -> Draft:
        """As a queue gets it."""
        what = self._what
        body = what.for_queues if raw else self._envelopes.text_for(subscription, self.found, self._envelope)
        sender = subscription_arn(self.found, subscription)
        return Draft(body, None, what.attributes if raw else {}, "", what.group, what.deduplication, sender)

    @cached_property
    def _envelope(self) -> Envelope:
        return self._envelopes.sealed(self.found, notification_of(self.found, self._what, self._known, self._now))


class Topics:
    """One per process. It writes subscriptions as the service itself: to subscribe takes a right to the topic, which
    whoever calls it has asked for.
    """

    def __init__(
        self, context: ServiceContext, queues: QueueDirectory, broker: Broker, envelopes: OpenEnvelopes
    ) -> None:
        self._envelopes = envelopes
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
                if one.is_named(named):
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
        if not meant:
            return published
        envelopes = await self._envelopes()
        now, pairs = self._clock.now(), zip(notifications, published, strict=True)
        each = [_Publication(found, what, known, now, envelopes) for what, known in pairs]
        wanted = (self._delivery(each[at], subscription, only_dead=not judged) for subscription, at, judged in meant)
        items = [item for item in wanted if item is not None]
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

    def _delivery(self, what: _Publication, subscription: Subscription, *, only_dead: bool) -> ToSend | None:
        """To the subscription's queue, or the queue of its address; where that cannot take it, to its dead letters.
        None where nobody can.
        """
        found, spec = what.found, subscription.spec
        if spec.protocol in ADDRESSES and not only_dead:
            body = what.for_address(spec.protocol)
            address = self._broker.queue(address_queue(subscription), False)
            if _has_room(address, len(body.encode())):
                return ToSend(address, ADDRESS_RULES, Draft(body))
            only_dead = True
        for queue, is_dead in self._queues_for(found, spec):
            if only_dead and not is_dead:
                continue
            draft = what.draft_for(subscription, raw=spec.raw_delivery and not is_dead)
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
            draft = Draft(body, sender=subscription_arn(found, subscription))
            if is_dead and _fits(draft, queue):
                await self._broker.send([ToSend(self._queues.live(queue), self._queues.rules(queue), draft)])
                self._metrics.undelivered(found.namespace, "dead_letters")
                return
        self._metrics.undelivered(found.namespace, "lost")

    def topic_of(self, subscription: Subscription) -> FoundTopic | None:
        """The topic whose subscription it is."""
        named = parse_topic_arn(subscription.spec.topic_arn)
        known = map(FoundTopic, self._topics.all(subscription.metadata.namespace))
        return next((each for each in known if named is not None and each.is_named(named)), None)

    def subscription_of(self, plain_uid: str) -> Subscription | None:
        """By its uid without hyphens."""
        known = self._subscriptions.all()
        return next((each for each in known if (each.metadata.uid or "").replace("-", "") == plain_uid), None)

    async def confirm(self, subscription: Subscription, *, authenticated: bool) -> Subscription:
        """authenticated: whether to unsubscribe it takes a right to its topic, and not its link alone."""
        return await self._report(subscription, {"confirmed": True, "authenticated": authenticated})

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

    def _is_of(self, subscription: Subscription, found: FoundTopic) -> bool:
        named = parse_topic_arn(subscription.spec.topic_arn)
        return named is not None and found.is_named(named)


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


def _has_room(address: LiveQueue, size: int) -> bool:
    order = address.order
    return len(order.messages) < MOST_WAITING and order.size + size <= MOST_WAITING_BYTES


def _fits(draft: Draft, queue: FoundQueue) -> bool:
    """Whether that queue takes it: messages of queues have fewer attributes than those of topics may."""
    size = len(draft.body.encode()) + attributes_size(draft.attributes)
    return len(draft.attributes) <= MOST and size <= queue.spec.maximum_message_bytes
