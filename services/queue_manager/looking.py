"""What AWS has no call for: to look at messages without receiving them, and at how subscriptions are doing.

Nothing changes by it: no message is hidden, and none counts as received.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Any

from crds.errors import BadRequest, NotFound
from crds.model import rfc3339
from services.queue_manager.authorization import QueueAuthorizer
from services.queue_manager.broker import Broker, is_leaving
from services.queue_manager.directory import QueueDirectory
from services.queue_manager.found_topic import FoundTopic, subscription_arn
from services.queue_manager.http_subscriptions import HttpSubscriptions
from services.queue_manager.kinds import QUEUE
from services.queue_manager.live_queue import LiveQueue
from services.queue_manager.message import Message
from services.queue_manager.message_store import Seen, failures, look
from services.queue_manager.topic_kinds import ADDRESSES, TOPIC, Subscription
from services.queue_manager.topics import Topics, address_queue
from services.sdk.aws.accounts import account_of
from services.sdk.aws.caller_policies import PoliciesOf
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import Operation, RequestContext
from services.sdk.aws.resource_names import DEFAULT_REGION
from services.sdk.permissions import Permission
from services.sdk.routes import Request, route

Json = dict[str, Any]
MOST, SHOWN_CHARACTERS = 100, 4_096
MOST_FAILURES, _PIECE = 1_000, 50
"""Of so many of the oldest dead letters is told why they are there; read in pieces, since others wait for each."""
_QUEUE = "/queues/{namespace}/{name}"
_RECEIVE = Operation("ReceiveMessage", Permission("use", QUEUE), frozenset())


class LookingRoutes:
    """One declared method per route."""

    def __init__(
        self,
        directory: QueueDirectory,
        broker: Broker,
        topics: Topics,
        addresses: HttpSubscriptions,
        authorizer: QueueAuthorizer,
        policies_of: PoliciesOf,
    ) -> None:
        self._directory, self._broker, self._topics, self._addresses = directory, broker, topics, addresses
        self._authorizer, self._policies_of = authorizer, policies_of

    @route("GET", f"{_QUEUE}/messages", permission=("use", QUEUE), query=("limit", "from"))
    async def messages(self, request: Request) -> Json:
        """`{messages, visible, inFlight, delayed}`: those at one end (`?from=oldest`, `newest`), ten or `?limit=`.

        A body has its first 4096 characters; `bytes` is what the whole one has.
        """
        live = await self._queue(request)
        live.come_due()
        order, newest = live.order, _from(request) == "newest"
        there = reversed(order.messages.values()) if newest else iter(order.messages.values())
        wanted = {each.id: each for each in islice((m for m in there if not is_leaving(m)), _limit(request))}
        numbers = list(wanted)
        found = await self._broker.submit(lambda db: look(db, numbers, SHOWN_CHARACTERS))
        counts = {"visible": order.visible, "inFlight": order.in_flight, "delayed": order.delayed}
        return {"messages": [_shown(each, wanted[each.number]) for each in found], **counts}

    @route("GET", f"{_QUEUE}/failures", permission=("use", QUEUE))
    async def failures(self, request: Request) -> Json:
        """`{failures: [{source, code, messages, oldest}], looked}`: the dead letters of a queue by where they failed
        and why, the most first, of the oldest `looked`. `code`: what a schedule said; empty for one that was received
        too often.
        """
        live = await self._queue(request)
        numbers = list(islice(live.order.messages, MOST_FAILURES))
        groups: dict[tuple[str, str], list[int]] = {}
        for start in range(0, len(numbers), _PIECE):
            piece = numbers[start : start + _PIECE]
            for source, code, sent in await self._broker.submit(lambda db, piece=piece: failures(db, piece)):  # type: ignore[misc]
                groups.setdefault((source, code), []).append(sent)
        found = [
            {"source": source, "code": code, "messages": len(sent), "oldest": _moment(min(sent))}
            for (source, code), sent in groups.items()
        ]
        return {"failures": sorted(found, key=lambda each: -int(each["messages"])), "looked": len(numbers)}

    @route("GET", "/topics/{namespace}/{name}/subscriptions", permission=("get", TOPIC))
    async def subscriptions(self, request: Request) -> Json:
        """`{subscriptions: [{name, arn, protocol, endpoint, state, waiting, oldest, fault, failedAt}]}`. `state`:
        `Confirmed`, `Pending` or `Failing`: an address whose last delivery failed, since this service started.
        """
        name, namespace = request.parameters["name"], request.parameters["namespace"]
        found = await self._topics.read(name, namespace)
        if found is None:
            raise NotFound(f"there is no Topic {name} in the namespace {namespace}")
        known = sorted(self._topics.subscriptions_of(found), key=lambda each: each.metadata.name)
        return {"subscriptions": [self._subscription(found, each) for each in known]}

    async def _queue(self, request: Request) -> LiveQueue:
        """To look is to receive: whom a policy refuses that, it refuses this. Raises NotFound, Forbidden."""
        name, namespace = request.parameters["name"], request.parameters["namespace"]
        found = await self._directory.read(name, namespace)
        if found is None:
            raise NotFound(f"there is no Queue {name} in the namespace {namespace}")
        caller = request.caller
        call = RequestContext(
            caller,
            found.spec.region or DEFAULT_REGION,
            account_of(caller.namespace),
            request.id,
            _RECEIVE,
            [],
            action="sqs:ReceiveMessage",
            policies=await self._policies_of(caller),
        )
        await self._authorizer.require(call, found)
        try:
            return self._directory.live(found)
        except AwsError:
            raise NotFound(f"the Queue {name} is being deleted") from None

    def _subscription(self, topic: FoundTopic, subscription: Subscription) -> Json:
        spec = subscription.spec
        told: Json = {
            "name": subscription.metadata.name,
            "arn": subscription_arn(topic, subscription),
            "protocol": spec.protocol,
            "endpoint": spec.endpoint,
        }
        if spec.protocol not in ADDRESSES:
            return {**told, "state": "Confirmed"}
        if not subscription.status.confirmed:
            return {**told, "state": "Pending", **self._waiting(subscription), **self._fault(subscription)}
        fault = self._fault(subscription)
        return {**told, "state": "Failing" if fault else "Confirmed", **self._waiting(subscription), **fault}

    def _waiting(self, subscription: Subscription) -> Json:
        live = self._broker.known_queue(address_queue(subscription))
        oldest = live.order.oldest() if live is not None else None
        count = len(live.order.messages) if live is not None else 0
        return {"waiting": count, **({"oldest": _moment(oldest)} if oldest is not None else {})}

    def _fault(self, subscription: Subscription) -> Json:
        known = self._addresses.fault_of(subscription.metadata.uid or "")
        return {"fault": known.reason, "failedAt": rfc3339(known.at)} if known is not None else {}


def _shown(seen: Seen, message: Message) -> Json:
    state = "Visible" if not message.hidden else "InFlight" if message.in_flight else "Delayed"
    told: Json = {
        "id": seen.id,
        "state": state,
        "body": seen.body,
        "bytes": seen.size,
        "sentAt": _moment(seen.sent),
        "receives": message.receives,
        "attributes": {name: _attribute(each) for name, each in seen.attributes.items()},
    }
    more = {
        "visibleAt": _moment(message.due) if message.hidden else "",
        "group": seen.group,
        "sender": seen.sender,
        "failedIn": seen.origin,
    }
    return {**told, **{name: value for name, value in more.items() if value}}


def _attribute(attribute: Json) -> Json:
    """Of bytes, how many there are."""
    if "BinaryValue" in attribute:
        return {"type": attribute["DataType"], "bytes": len(attribute["BinaryValue"])}
    return {"type": attribute["DataType"], "text": attribute.get("StringValue", "")}


def _from(request: Request) -> str:
    """Raises BadRequest."""
    end = request.query.get("from", "oldest")
    if end not in ("oldest", "newest"):
        raise BadRequest("from is oldest or newest")
    return end


def _limit(request: Request) -> int:
    """Raises BadRequest."""
    text = request.query.get("limit", "10")
    if text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= MOST:
        return int(text)
    raise BadRequest(f"limit is a number from 1 to {MOST}")


def _moment(milliseconds: int) -> str:
    return rfc3339(datetime.fromtimestamp(milliseconds / 1000, UTC))
