"""What addresses that subscribed may ask without being known to the cloud: to confirm, to unsubscribe, and for the
certificate.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from crds.errors import BadRequest, NotFound
from services.queue_manager.envelopes import CERTIFICATE, CERTIFICATES, CONFIRM, UNSUBSCRIBE
from services.queue_manager.found_topic import subscription_arn
from services.queue_manager.sns_signing import Key, uid_of, unsubscribed_uid
from services.queue_manager.topic_kinds import ADDRESSES, Subscription
from services.queue_manager.topics import Topics
from services.sdk.resources import Clock
from services.sdk.routes import Request, Response, route

_ANSWER = """<?xml version="1.0"?>
<ConfirmSubscriptionResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">
  <ConfirmSubscriptionResult><SubscriptionArn>{arn}</SubscriptionArn></ConfirmSubscriptionResult>
  <ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>
</ConfirmSubscriptionResponse>
"""
_UNSUBSCRIBED = """<?xml version="1.0"?>
<UnsubscribeResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">
  <ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata>
</UnsubscribeResponse>
"""


class Confirming:
    """Lets whoever has the token of a subscription confirm it, or end it."""

    def __init__(self, topics: Topics, key: Key, clock: Clock) -> None:
        self._topics, self._key, self._clock = topics, key, clock

    async def confirm(self, topic_arn: str, token: str, *, authenticated: bool = False) -> Subscription | None:
        """None for a token that confirms nothing of that topic. authenticated: its link does not unsubscribe it.
        Raises ApiError.
        """
        plain = uid_of(await self._key(), token, self._clock.now())
        found = None if plain is None else self._topics.subscription_of(plain)
        if found is None or found.spec.protocol not in ADDRESSES or found.spec.topic_arn != topic_arn:
            return None
        if found.status.confirmed:
            return found
        return await self._topics.confirm(found, authenticated=authenticated)

    async def end(self, arn: str, token: str) -> bool:
        """Unsubscribe whom that token and that ARN of a subscription name, as its messages say; whether there is such
        a subscription. Raises ApiError.
        """
        plain = unsubscribed_uid(await self._key(), token)
        found = None if plain is None else self._topics.subscription_of(plain)
        topic = self._topics.topic_of(found) if found is not None else None
        if found is None or topic is None or arn != subscription_arn(topic, found) or found.status.authenticated:
            return False
        await self._topics.unsubscribe(found)
        return True


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

    @route("GET", UNSUBSCRIBE, permission=None, query=("Action", "SubscriptionArn", "Token"))
    async def unsubscribe(self, request: Request) -> Response:
        """What `UnsubscribeURL` of an address leads to; as `Unsubscribe` answers."""
        told = request.query
        if not await self._confirming.end(told.get("SubscriptionArn", ""), told.get("Token", "")):
            raise BadRequest("the token ends no subscription: it is no more, or to end it takes a login")
        content = _UNSUBSCRIBED.format(id=escape(request.id))
        return Response(content.encode(), content_type="text/xml")

    @route("GET", f"{CERTIFICATES}/{{file}}", permission=None)
    async def certificate(self, request: Request) -> Response:
        """What `SigningCertURL` leads to: one address for each certificate, as receivers keep what they read."""
        key = await self._key()
        if request.parameters["file"].removeprefix(CERTIFICATE) != f"{key.fingerprint}.pem":
            raise NotFound("no message is signed by that certificate here")
        return Response(key.certificate, content_type="application/x-pem-file")
