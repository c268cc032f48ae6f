"""The way out of this service: signed posts to endpoints, and messages into queues under the roles of sources."""

from __future__ import annotations

import httpx

from services.sdk.aws.arns import parse_arn
from services.sdk.aws.role_calls import CallFault, RoleCalls, RoleUse
from services.sdk.outbound import OutboundFault, OutboundHttp, Resolve, allowed_addresses, resolved
from services.sdk.resources import Clock
from services.webhook_manager.delivery import GONE, AttemptResult, NotAttempted, Receiver
from services.webhook_manager.directory import Directory
from services.webhook_manager.kinds import WebhookEndpoint
from services.webhook_manager.message import Message
from services.webhook_manager.names import source_arn
from services.webhook_manager.signatures import signed_headers
from services.webhook_manager.signing_secrets import FRESH_SECONDS, SecretUnreadable, SigningSecrets
from services.webhook_manager.source_kinds import QueueTarget

_OWN = {"user-agent": "aerekos-webhooks"}


class OutsideSender:
    """As `engine.Sender`. `calls`: makes calls of AWS."""

    def __init__(
        self,
        directory: Directory,
        secrets: SigningSecrets,
        calls: RoleCalls,
        http: httpx.AsyncClient,
        clock: Clock,
        resolve: Resolve = resolved,
    ) -> None:
        self._directory, self._secrets, self._calls = directory, secrets, calls
        self._http, self._clock = OutboundHttp(http, resolve), clock

    async def send(self, receiver: Receiver, message: Message) -> AttemptResult:
        """Raises NotAttempted."""
        endpoint = self._directory.endpoints.by_uid(receiver.uid)
        if endpoint is not None:
            return await self._post(endpoint, receiver, message)
        source = self._directory.sources.by_uid(receiver.uid)
        if source is None or source.spec.queue is None:
            return AttemptResult(0, "its source puts nothing into a queue any more", lasting=True)
        return await self._put(receiver, source.spec.queue, message)

    async def _post(self, endpoint: WebhookEndpoint, receiver: Receiver, message: Message) -> AttemptResult:
        """Any 2xx means that it was taken."""
        try:
            keys = await self._secrets.keys(receiver.uid, receiver.name, receiver.namespace)
        except SecretUnreadable as error:
            raise NotAttempted(str(error), retry_after=FRESH_SECONDS) from error
        at, url = int(self._clock.now().timestamp()), endpoint.spec.url
        headers = {**_OWN, **message.headers, **signed_headers(message.id, at, message.content, keys)}
        allowed = allowed_addresses(url, private=self._directory.allows_private(receiver.namespace))
        try:
            answer = await self._http.post(
                url, message.content, headers, seconds=receiver.timeout, is_allowed=allowed
            )
        except OutboundFault as fault:
            return AttemptResult(0, str(fault))
        if 200 <= answer.status < 300:
            return AttemptResult(answer.status)
        text = f"it answered {answer.status}"
        return AttemptResult(answer.status, text, answer.retry_after or 0.0, lasting=answer.status == GONE)

    async def _put(self, receiver: Receiver, queue: QueueTarget, message: Message) -> AttemptResult:
        arn = parse_arn(queue.arn)
        assert arn is not None
        use = RoleUse(queue.role_arn, receiver.namespace, source_arn(receiver.namespace, receiver.name))
        request = {
            "QueueUrl": f"https://sqs.{arn.region}.amazonaws.com/{arn.account}/{arn.resource}",
            "MessageBody": message.content.decode(),
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value}
                for name, value in (("webhook-id", message.id), ("webhook-type", message.type), *_kept(message))
                if value
            },
        }
        if queue.message_group_id:
            request |= {"MessageGroupId": queue.message_group_id, "MessageDeduplicationId": message.id}
        try:
            await self._calls.call(use, "sqs", arn.region, "SendMessage", request)
        except CallFault as fault:
            return AttemptResult(0, str(fault), lasting=fault.lasting)
        return AttemptResult(200)


def _kept(message: Message) -> list[tuple[str, str]]:
    return [("content-type", message.headers.get("content-type", ""))]
