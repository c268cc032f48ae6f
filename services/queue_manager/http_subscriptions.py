"""Delivers what is published to addresses that subscribed: out of a queue of each, which nobody else sees.

So what was published is durable before `Publish` is answered, as for any queue, and is delivered at least once, also
over a kill. An address is asked to confirm before anything else is sent to it.
Source: Amazon SNS Developer Guide, "Fanout to HTTP/S endpoints", "Message delivery retries".
"""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

import anyio
import anyio.abc
import orjson

from crds.kinds.namespace import NAMESPACE
from crds.model import rfc3339_milli
from services.queue_manager.broker import Broker, Gone, NotInFlight, TooLong, ToSend
from services.queue_manager.delivery_policy import (
    EffectivePolicy,
    RequestPolicy,
    ThrottlePolicy,
    effective,
)
from services.queue_manager.envelopes import CONFIRM, OpenEnvelopes
from services.queue_manager.found_topic import FoundTopic, subscription_arn
from services.queue_manager.live_queue import LiveQueue
from services.queue_manager.message import Draft, Received
from services.queue_manager.receipt_handles import ReceiptHandle
from services.queue_manager.sns_signing import Key, new_token
from services.queue_manager.topic_kinds import ADDRESSES, SUBSCRIPTION, Subscription
from services.queue_manager.topics import ADDRESS_RULES, Topics, address_queue
from services.sdk.context import ServiceContext
from services.sdk.outbound import OutboundFault, OutboundHttp, allowed_addresses, allows_private

TIMEOUT_SECONDS = 15.0
"""An answer may take so long."""
WORKERS = 4
_HIDDEN_MS, _WAIT_SECONDS, _FAILED_SECONDS = 60_000, 60.0, 5.0
_ASKED_SECONDS = 2.0
_AGENT = "Amazon Simple Notification Service Agent"
log = logging.getLogger("queue_manager")


class LastFault(NamedTuple):
    """Why what was posted to an address was not taken, and when."""

    at: datetime
    reason: str


class HttpSubscriptions:
    """One per process."""

    def __init__(
        self,
        context: ServiceContext,
        topics: Topics,
        broker: Broker,
        http: OutboundHttp,
        key: Key,
        envelopes: OpenEnvelopes,
    ) -> None:
        self._context, self._topics, self._broker, self._http = context, topics, broker, http
        self._key, self._envelopes = key, envelopes
        self._subscriptions, self._namespaces = context.informer(SUBSCRIPTION), context.informer(NAMESPACE)
        self._served: set[str] = set()
        self._faults: dict[str, LastFault] = {}
        self._free_at: dict[str, float] = {}

    def fault_of(self, uid: str) -> LastFault | None:
        """Of the last time something was posted to that subscription; None where it was taken, or nothing was posted
        since this service started.
        """
        return self._faults.get(uid)

    async def run(self) -> None:
        """Until cancelled."""
        await self._subscriptions.synced.wait()
        await self._namespaces.synced.wait()
        self._served.clear()
        await self._drop_orphans()
        async with anyio.create_task_group() as group:

            def noticed(change: str, subscription: Any, before: Any) -> None:
                if change != "DELETED":
                    self._serve(group, subscription)

            stop = self._subscriptions.listen(noticed)
            try:
                for each in self._subscriptions.all():
                    self._serve(group, each)
                await anyio.sleep_forever()
            finally:
                stop()

    async def ask_to_confirm(self, found: FoundTopic, subscription: Subscription) -> None:
        """Send the address the token that confirms it, unless one is on its way to it. Raises sqlite3.Error."""
        queue = self._broker.queue(address_queue(subscription), False)
        if queue.order.messages:  # until it confirms it gets nothing else
            return
        now = self._context.clock.now()
        token = new_token(await self._key(), subscription.metadata.uid or "", now)
        told = {
            "Type": "SubscriptionConfirmation",
            "MessageId": str(uuid4()),
            "Token": token,
            "TopicArn": found.arn,
            "Message": f"You have chosen to subscribe to the topic {found.arn}.\n"
            "To confirm the subscription, visit the SubscribeURL included in this message.",
            "SubscribeURL": (await self._envelopes()).link(subscription, CONFIRM, TopicArn=found.arn, Token=token),
            "Timestamp": rfc3339_milli(now),
        }
        await self._broker.send([ToSend(queue, ADDRESS_RULES, Draft(orjson.dumps(told).decode()))])

    def _serve(self, group: anyio.abc.TaskGroup, subscription: Subscription) -> None:
        uid = subscription.metadata.uid or ""
        if subscription.spec.protocol not in ADDRESSES or uid in self._served:
            return
        self._served.add(uid)
        group.start_soon(self._deliver_all, uid)

    async def _drop_orphans(self) -> None:
        """What is left of subscriptions that went while nobody looked."""
        there = {address_queue(each) for each in self._subscriptions.all()}
        for each in self._broker.known():
            if each.uid.startswith(address_queue("")) and each.uid not in there:
                await self._broker.drop(each.uid)

    async def _deliver_all(self, uid: str) -> None:
        """Until the subscription is no more. Raises nothing: what goes wrong with one stops no other."""
        queue = self._broker.queue(address_queue(uid), False)
        try:
            await self._ask_in_the_end(uid)
            async with anyio.create_task_group() as group:
                for _ in range(WORKERS):
                    group.start_soon(self._work, uid, queue)
            await self._broker.drop(queue.uid)
        except Exception:
            log.exception("what waits for an address that is no more stays until this service starts anew")
        finally:
            self._served.discard(uid)
            self._faults.pop(uid, None)
            self._free_at.pop(uid, None)

    async def _ask_in_the_end(self, uid: str) -> None:
        """Again after a while where it failed: the conductor may be starting anew."""
        while self._subscriptions.by_uid(uid) is not None:
            try:
                await self._ask_if_nobody_did(uid)
                return
            except Exception:
                log.exception("an address is not asked to confirm yet")
                await anyio.sleep(_FAILED_SECONDS)

    async def _ask_if_nobody_did(self, uid: str) -> None:
        """One that did not come by `Subscribe`, which asks by itself."""
        there = self._subscriptions.by_uid(uid)
        if there is None or there.status.confirmed or there.status.origin:
            return
        await anyio.sleep(_ASKED_SECONDS)
        there = self._subscriptions.by_uid(uid)
        found = self._topics.topic_of(there) if there is not None else None
        if there is not None and found is not None and not there.status.origin:
            await self._key()  # before it is written down that the address was asked: making the key can fail
            await self.ask_to_confirm(found, await self._topics.note_origin(there, self._context.api))

    async def _work(self, uid: str, queue: LiveQueue) -> None:
        while self._subscriptions.by_uid(uid) is not None:
            try:
                for each in await self._broker.receive(queue, ADDRESS_RULES, 1, _HIDDEN_MS, _WAIT_SECONDS):
                    # It waited for this one: by now the subscription may be another one, or no more.
                    if (subscription := self._subscriptions.by_uid(uid)) is not None:
                        await self._attempt(subscription, queue, each)
                if queue.stopped:
                    await anyio.sleep(_WAIT_SECONDS)  # the service ends
            except Exception:  # also of what nobody thought of: all others wait on the same tasks
                log.exception("what is published to an address waits")
                await anyio.sleep(_FAILED_SECONDS)

    async def _attempt(self, subscription: Subscription, queue: LiveQueue, message: Received) -> None:
        handle = ReceiptHandle(queue.number, message.number, message.receipt)
        told: dict[str, str] = orjson.loads(message.body)
        uid, policy = subscription.metadata.uid or "", self._policy_of(subscription)
        await self._wait_for_turn(uid, policy.throttle_policy)
        fault, lasting = await self._post(subscription, told, policy.request_policy)
        retries = policy.healthy_retry_policy
        self._note(uid, fault)
        if not fault:
            await self._broker.delete(queue, handle)
        elif not lasting and message.receives <= retries.num_retries:
            with suppress(Gone, NotInFlight, TooLong):  # it was kept for a day while it was posted
                await self._broker.postpone(queue, handle, round(retries.wait(message.receives) * 1000))
        else:
            fields = {"subscription": subscription.metadata.name}
            log.warning("not delivered to an address: %s", fault, extra={"fields": fields})
            if told["Type"] == "Notification":
                found = self._topics.topic_of(subscription)
                await self._topics.bury(subscription, await self._signed(subscription, found, told))
            await self._broker.delete(queue, handle)

    def _policy_of(self, subscription: Subscription) -> EffectivePolicy:
        found = self._topics.topic_of(subscription)
        return effective(found.spec.delivery_policy if found is not None else "", subscription.spec.delivery_policy)

    async def _wait_for_turn(self, uid: str, throttle: ThrottlePolicy | None) -> None:
        """Until that address may get another message."""
        if throttle is None:
            return
        now = anyio.current_time()
        turn = max(self._free_at.get(uid, now), now)
        self._free_at[uid] = turn + 1 / throttle.max_receives_per_second
        await anyio.sleep_until(turn)

    def _note(self, uid: str, fault: str) -> None:
        if fault:
            self._faults[uid] = LastFault(self._context.clock.now(), fault)
        else:
            self._faults.pop(uid, None)

    async def _post(self, subscription: Subscription, told: dict[str, Any], how: RequestPolicy) -> tuple[str, bool]:
        """Why it was not taken, empty where it was, and whether trying again cannot help."""
        meta, spec = subscription.metadata, subscription.spec
        raw = spec.raw_delivery and told["Type"] == "Notification"
        found = self._topics.topic_of(subscription)
        content = (told["Message"] if raw else await self._signed(subscription, found, told)).encode()
        headers = {
            "content-type": how.header_content_type,
            "user-agent": _AGENT,
            "x-amz-sns-message-type": told["Type"],
            "x-amz-sns-message-id": told["MessageId"],
            "x-amz-sns-topic-arn": told["TopicArn"],
            **({"x-amz-sns-subscription-arn": subscription_arn(found, subscription)} if found else {}),
            **({"x-amz-sns-rawdelivery": "true"} if raw else {}),
        }
        private = allows_private(self._namespaces, meta.namespace or "default")
        allowed = allowed_addresses(spec.endpoint, private=private)
        try:
            answer = await self._http.post(
                spec.endpoint, content, headers, seconds=TIMEOUT_SECONDS, is_allowed=allowed
            )
        except OutboundFault as fault:
            return str(fault), False
        if 200 <= answer.status < 300:
            return "", False
        return f"it answered {answer.status}", 400 <= answer.status < 500 and answer.status != 429

    async def _signed(self, subscription: Subscription, found: FoundTopic | None, told: dict[str, Any]) -> str:
        """As it is posted: by then its topic may be no more."""
        if found is None:
            return orjson.dumps(told).decode()
        envelopes = await self._envelopes()
        return envelopes.text_for(subscription, found, envelopes.sealed(found, told))
