"""What SNS wraps messages in, and what proves that it did: `Signature`, `SigningCertURL`, `UnsubscribeURL`.

Source: Amazon SNS Developer Guide, "Verifying the signatures of Amazon SNS messages", "Amazon SNS message and JSON
formats". FIFO topics sign nothing, as at AWS.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import orjson

from crds.model import rfc3339_milli
from services.queue_manager.found_topic import FoundTopic, subscription_arn
from services.queue_manager.notification import Notification, Published
from services.queue_manager.sns_signing import SigningKey, signed, unsubscribe_token
from services.queue_manager.topic_kinds import ADDRESSES, Subscription

Json = dict[str, Any]
SERVICE = "/services/queue-manager"
CONFIRM, UNSUBSCRIBE, CERTIFICATES = "/sns/confirm", "/sns/unsubscribe", "/sns/certificates"
CERTIFICATE = "SimpleNotificationService-"
"""What the name of a certificate begins with."""


OpenEnvelopes = Callable[[], "Awaitable[Envelopes]"]
"""The key they are signed with is made when it is first needed."""


class Envelope(NamedTuple):
    """A message in SNS's envelope. `proof`: its signature, of no subscription in particular."""

    told: Json
    proof: Json


class Envelopes:
    """One per process. `api`: the address of this cloud, for links in messages of subscriptions that nobody made
    over another one.
    """

    def __init__(self, key: SigningKey, api: str) -> None:
        self._key, self._api = key, api

    def sealed(self, found: FoundTopic, told: Json) -> Envelope:
        """Signed once, however many get it."""
        if found.is_fifo:
            return Envelope(told, {})
        version = found.spec.signature_version
        return Envelope(told, {"SignatureVersion": version, "Signature": signed(self._key, told, version)})

    def text_for(self, subscription: Subscription, found: FoundTopic, envelope: Envelope) -> str:
        """As that subscription gets it: JSON, the attributes last, as SNS writes them."""
        told, links = dict(envelope.told), {}
        attributes = told.pop("MessageAttributes", None)
        if envelope.proof:
            name = f"{CERTIFICATE}{self._key.fingerprint}.pem"
            links["SigningCertURL"] = self.link(subscription, f"{CERTIFICATES}/{name}")
        if told["Type"] == "Notification":
            links["UnsubscribeURL"] = self._unsubscribe_link(found, subscription)
        tail = {} if attributes is None else {"MessageAttributes": attributes}
        return orjson.dumps({**told, **envelope.proof, **links, **tail}).decode()

    def link(self, subscription: Subscription, path: str, **query: str) -> str:
        """To this cloud, as whoever subscribed reached it."""
        return f"{self._origin(subscription)}{SERVICE}{path}" + (f"?{urlencode(query)}" if query else "")

    def _origin(self, subscription: Subscription) -> str:
        return (subscription.status.origin or self._api).rstrip("/")

    def _unsubscribe_link(self, found: FoundTopic, subscription: Subscription) -> str:
        """Whoever gets what is published to an address may end that by it. Of a queue, and where whoever confirmed
        it wanted it so, it is an `Unsubscribe` that somebody with the right to it has to sign.
        """
        arn = quote(subscription_arn(found, subscription), safe=":")
        asked = f"?Action=Unsubscribe&SubscriptionArn={arn}"
        if subscription.spec.protocol not in ADDRESSES or subscription.status.authenticated:
            return f"{self._origin(subscription)}/{asked}"
        token = unsubscribe_token(self._key, subscription.metadata.uid or "")
        return f"{self._origin(subscription)}{SERVICE}{UNSUBSCRIBE}{asked}&Token={token}"


def notification_of(
    found: FoundTopic, what: Notification, known: Published, now: datetime, protocol: str = "sqs"
) -> Json:
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
    told["Timestamp"] = rfc3339_milli(now)
    if what.attributes:
        told["MessageAttributes"] = {name: _shown(each) for name, each in what.attributes.items()}
    return told


def _shown(attribute: dict[str, Any]) -> dict[str, str]:
    value = attribute.get("StringValue")
    if value is None:
        value = base64.b64encode(attribute["BinaryValue"]).decode()
    return {"Type": attribute["DataType"], "Value": value}
