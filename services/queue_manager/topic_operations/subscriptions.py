"""SNS operations about subscriptions. Source: Amazon SNS API reference, Subscribe, SetSubscriptionAttributes."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import ValidationError

from services.queue_manager.delivery_policy import shown_for_subscription
from services.queue_manager.found_topic import FoundTopic, subscription_arn
from services.queue_manager.http_subscriptions import HttpSubscriptions
from services.queue_manager.names import parse_queue_arn
from services.queue_manager.sns_routes import Confirming
from services.queue_manager.topic_kinds import ADDRESSES, TOPIC, Subscription, SubscriptionSpec
from services.queue_manager.topic_operations.topic_access import TopicAccess, invalid, truth
from services.queue_manager.topics import is_confirmed
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
_CONFIRM = ("TopicArn", "Token", "AuthenticateOnUnsubscribe")
_SUBSCRIBE = ("TopicArn", "Protocol", "Endpoint", "Attributes", "ReturnSubscriptionArn")


class SubscriptionOperations:
    """One declared method per operation."""

    def __init__(self, access: TopicAccess, http: HttpSubscriptions, confirming: Confirming) -> None:
        self._access, self._http, self._confirming = access, http, confirming

    @operation("Subscribe", permission=("patch", TOPIC), understands=_SUBSCRIBE)
    async def subscribe(self, call: RequestContext, request: Json) -> Json:
        found = await self._access.resolve(call, request["TopicArn"])
        endpoint = request.get("Endpoint") or ""
        protocol = request["Protocol"]
        _require_endpoint(found, protocol, endpoint)
        wanted: Json = {"topicArn": found.arn, "protocol": protocol, "endpoint": endpoint}
        for name, value in (request.get("Attributes") or {}).items():
            wanted |= _patch_of(name, value)
        spec = _valid(wanted)
        known = self._access.topics.subscriptions_of(found)
        there = next((each for each in known if each.spec.endpoint == endpoint), None)
        there = there or await self._access.topics.subscribe(found, spec)
        if there.spec != spec:
            raise invalid("Attributes Reason: Subscription already exists with different attributes")
        if not is_confirmed(there):
            await self._ask_to_confirm(call, found, there)
        elif not there.status.origin:
            await self._access.topics.note_origin(there, call.origin)
        if is_confirmed(there) or request.get("ReturnSubscriptionArn"):
            return {"SubscriptionArn": subscription_arn(found, there)}
        return {"SubscriptionArn": "pending confirmation"}

    async def _ask_to_confirm(self, call: RequestContext, found: FoundTopic, there: Subscription) -> None:
        """Again with every Subscribe, as the first one may have gone astray."""
        there = await self._access.topics.note_origin(there, call.origin)
        await self._http.ask_to_confirm(found, there)

    @operation("ConfirmSubscription", permission=("patch", TOPIC), understands=_CONFIRM)
    async def confirm_subscription(self, call: RequestContext, request: Json) -> Json:
        """`AuthenticateOnUnsubscribe`: its `UnsubscribeURL` has to be signed then."""
        found = await self._access.resolve(call, request["TopicArn"])
        authenticated = truth("AuthenticateOnUnsubscribe", request.get("AuthenticateOnUnsubscribe") or "false")
        subscription = await self._confirming.confirm(found.arn, request["Token"], authenticated=authenticated)
        if subscription is None:
            raise invalid("Token")
        return {"SubscriptionArn": subscription_arn(found, subscription)}

    @operation("Unsubscribe", permission=("patch", TOPIC), understands=("SubscriptionArn",))
    async def unsubscribe(self, call: RequestContext, request: Json) -> Json:
        try:
            _, subscription = await self._access.resolve_subscription(call, request["SubscriptionArn"])
        except AwsError as error:
            if error.code == "NotFound":  # the same again is no fault
                return {}
            raise
        await self._access.topics.unsubscribe(subscription)
        return {}

    @operation("GetSubscriptionAttributes", permission=("get", TOPIC), understands=("SubscriptionArn",))
    async def get_subscription_attributes(self, call: RequestContext, request: Json) -> Json:
        found, subscription = await self._access.resolve_subscription(call, request["SubscriptionArn"])
        return {"Attributes": _attributes(found, subscription)}

    @operation(
        "SetSubscriptionAttributes",
        permission=("patch", TOPIC),
        understands=("SubscriptionArn", "AttributeName", "AttributeValue"),
    )
    async def set_subscription_attributes(self, call: RequestContext, request: Json) -> Json:
        _, subscription = await self._access.resolve_subscription(call, request["SubscriptionArn"])
        patch = _patch_of(request["AttributeName"], request.get("AttributeValue") or "")
        _valid({**subscription.spec.wire(), **patch})
        await self._access.topics.change(subscription, patch)
        return {}

    @operation("ListSubscriptions", permission=("list", TOPIC), understands=("NextToken",))
    async def list_subscriptions(self, call: RequestContext, request: Json) -> Json:
        await self._access.authorizer.require_any(call)
        mine = [
            (found, each)
            for found in self._access.topics.all(call)
            for each in self._access.topics.subscriptions_of(found)
        ]
        shown, token = self._access.page(call, request, mine, lambda each: subscription_arn(*each))
        return {"Subscriptions": [_listed(*each) for each in shown], **token}

    @operation("ListSubscriptionsByTopic", permission=("get", TOPIC), understands=("TopicArn", "NextToken"))
    async def list_subscriptions_by_topic(self, call: RequestContext, request: Json) -> Json:
        found = await self._access.resolve(call, request["TopicArn"])
        mine = [(found, each) for each in self._access.topics.subscriptions_of(found)]
        shown, token = self._access.page(call, request, mine, lambda each: subscription_arn(*each), found.arn)
        return {"Subscriptions": [_listed(*each) for each in shown], **token}


def _require_endpoint(found: FoundTopic, protocol: str, endpoint: str) -> None:
    if protocol in ADDRESSES:
        return  # its spec says what can be one
    if protocol != "sqs":
        text = f"Protocol Reason: {protocol[:40]} is not delivered to here; sqs, https and http are"
        raise invalid(text)
    named = parse_queue_arn(endpoint)
    if named is None:
        raise invalid("SQS endpoint ARN")
    if named.name.endswith(".fifo") != found.is_fifo:
        raise invalid("Endpoint Reason: FIFO topics deliver to FIFO queues, other topics to standard queues")


def _patch_of(name: str, value: str) -> Json:
    """Raises AwsError for what is not done here, and never drops it."""
    if name == "RawMessageDelivery":
        return {"rawDelivery": truth(name, value)}
    if name == "FilterPolicy":
        return {"filterPolicy": "" if value in ("", "{}") else value}
    if name == "FilterPolicyScope":
        return {"filterPolicyScope": value}
    if name == "DeliveryPolicy":
        return {"deliveryPolicy": value}
    if name == "RedrivePolicy":
        return {"deadLetterTargetArn": _target_of(value)}
    raise invalid(f"AttributeName Reason: {name[:100]} is not done here")


def _target_of(text: str) -> str:
    if not text:
        return ""
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise invalid("RedrivePolicy: failed to parse JSON.") from None
    target = said.get("deadLetterTargetArn") if isinstance(said, dict) and len(said) == 1 else None
    if not isinstance(target, str) or parse_queue_arn(target) is None:
        raise invalid("RedrivePolicy: deadLetterTargetArn is an invalid arn")
    return target


def _valid(wire: Json) -> SubscriptionSpec:
    try:
        return SubscriptionSpec.model_validate(wire)
    except ValidationError as wrong:
        text = wrong.errors()[0]["msg"].removeprefix("Value error, ")
        raise invalid(
            text.replace("filterPolicy:", "FilterPolicy:").replace("deliveryPolicy:", "DeliveryPolicy:")
        ) from None


def _attributes(found: FoundTopic, subscription: Subscription) -> dict[str, str]:
    spec = subscription.spec
    known = {
        "SubscriptionArn": subscription_arn(found, subscription),
        "TopicArn": found.arn,
        "Owner": found.account,
        "Protocol": spec.protocol,
        "Endpoint": spec.endpoint,
        "RawMessageDelivery": str(spec.raw_delivery).lower(),
        "PendingConfirmation": str(not is_confirmed(subscription)).lower(),
        "ConfirmationWasAuthenticated": str(
            spec.protocol not in ADDRESSES or subscription.status.authenticated
        ).lower(),
    }
    if spec.filter_policy:
        known |= {"FilterPolicy": spec.filter_policy, "FilterPolicyScope": spec.filter_policy_scope}
    if spec.delivery_policy:
        known["DeliveryPolicy"] = spec.delivery_policy
    if spec.protocol in ADDRESSES:
        topic = found.spec.delivery_policy
        known["EffectiveDeliveryPolicy"] = shown_for_subscription(topic, spec.delivery_policy)
    if spec.dead_letter_target_arn:
        known["RedrivePolicy"] = orjson.dumps({"deadLetterTargetArn": spec.dead_letter_target_arn}).decode()
    return known


def _listed(found: FoundTopic, subscription: Subscription) -> Json:
    return {
        "SubscriptionArn": subscription_arn(found, subscription),
        "Owner": found.account,
        "Protocol": subscription.spec.protocol,
        "Endpoint": subscription.spec.endpoint,
        "TopicArn": found.arn,
    }
