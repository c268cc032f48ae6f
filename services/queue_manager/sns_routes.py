"""What addresses that subscribed may ask without being known to the cloud: to confirm, and for the certificate."""

from __future__ import annotations

from xml.sax.saxutils import escape

from crds.errors import BadRequest, NotFound
from services.queue_manager.http_subscriptions import CERTIFICATES, CONFIRM, Key
from services.queue_manager.sns_signing import uid_of
from services.queue_manager.topic_kinds import ADDRESSES, Subscription
from services.queue_manager.topics import Topics, subscription_arn
from services.sdk.resources import Clock
from services.sdk.routes import Request, Response, route

_ANSWER = """<?xml version="1.0"?>
<ConfirmSubscriptionResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">
  <ConfirmSubscriptionResult><SubscriptionArn>{arn}</SubscriptionArn></ConfirmSubscriptionResult>
  <ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>
</ConfirmSubscriptionResponse>
"""


class Confirming:
    """Lets whoever has the token of a subscription confirm it."""

    def __init__(self, topics: Topics, key: Key, clock: Clock) -> None:
        self._topics, self._key, self._clock = topics, key, clock

    async def confirm(self, topic_arn: str, token: str) -> Subscription | None:
        """None for a token that confirms nothing of that topic. Raises ApiError."""
        plain = uid_of(await self._key(), token, self._clock.now())
        found = None if plain is None else self._topics.subscription_of(plain)
        if found is None or found.spec.protocol not in ADDRESSES or found.spec.topic_arn != topic_arn:
            return None
        return found if found.status.confirmed else await self._topics.confirm(found)


class SnsRoutes:
    """One declared method per route."""

    def __init__(self, topics: Topics, confirming: Confirming, key: Key) -> None:
        self._topics, self._confirming, self._key = topics, confirming, key

    @route("GET", CONFIRM, permission=None, query=("TopicArn", "Token"))
    async def confirm(self, request: Request) -> Response:
        """As `ConfirmSubscription` answers."""
        told = request.query
        found = await self._confirming.confirm(told.get("TopicArn", ""), told.get("Token", ""))
        topic = self._topics.topic_of(found) if found is not None else None
        if found is None or topic is None:
            raise BadRequest("the token confirms no subscription of that topic, or it is over two days old")
        content = _ANSWER.format(arn=escape(subscription_arn(topic, found)), id=escape(request.id))
        return Response(content.encode(), content_type="text/xml")

    @route("GET", f"{CERTIFICATES}/{{name}}", permission=None)
    async def certificate(self, request: Request) -> Response:
        """What `SigningCertURL` leads to: one address for each certificate, as receivers keep what they read."""
        key = await self._key()
        if request.parameters["name"] != f"{key.fingerprint}.pem":
            raise NotFound("no message is signed by that certificate here")
        return Response(key.certificate, content_type="application/x-pem-file")
