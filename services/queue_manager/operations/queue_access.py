"""The queue an operation is about: found by its URL or ARN, with the caller's right to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.queue_manager import errors
from services.queue_manager.authorization import QueueAuthorizer
from services.queue_manager.broker import Broker
from services.queue_manager.directory import QueueDirectory
from services.queue_manager.names import (
    LONGEST_NAME,
    QueueName,
    parse_queue_arn,
    parse_url,
    plain_name,
    queue_arn,
    queue_url,
)
from services.queue_manager.queue import FoundQueue
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext
from services.sdk.aws.pagination import PageTokens
from services.sdk.aws.policy.context import Given

Json = dict[str, Any]


class QueueAccess:
    """What every operation on a queue begins with."""

    def __init__(
        self, directory: QueueDirectory, broker: Broker, authorizer: QueueAuthorizer, tokens: PageTokens
    ) -> None:
        self.directory, self.broker, self.authorizer, self.tokens = directory, broker, authorizer, tokens

    async def resolve(
        self, call: RequestContext, request: Json, facts: Mapping[str, Given] | None = None
    ) -> FoundQueue:
        """By QueueUrl; of a form that says none, by the path it was sent to. facts: what the request says, for
        conditions. Raises AwsError, Forbidden.
        """
        url = request.get("QueueUrl") or call.path
        meant = parse_url(url) or plain_name(url, call.account)
        if meant is None:
            if not request.get("QueueUrl"):
                raise errors.missing("QueueUrl")
            raise AwsError("InvalidAddress", f"The address {url[:200]} is not valid for this endpoint.", 404)
        return await self.resolve_named(call, meant, facts)

    async def resolve_arn(self, call: RequestContext, arn: str, parameter: str) -> FoundQueue:
        """Raises AwsError, Forbidden."""
        meant = parse_queue_arn(arn)
        if meant is None:
            raise errors.invalid_parameter(arn, parameter, "it is no ARN of a queue")
        return await self.resolve_named(call, meant)

    async def resolve_named(
        self, call: RequestContext, meant: QueueName, facts: Mapping[str, Given] | None = None
    ) -> FoundQueue:
        """Whoever may not know of queues there does not learn which there are. Raises AwsError, Forbidden."""
        require_length(meant.name)
        found = await self.directory.find(meant, call)
        if found is None:
            namespace = self.directory.namespace_of(meant.account, call)
            await self.authorizer.require_absent(call, meant.name, meant.region, meant.account, namespace)
            raise errors.no_queue()
        arn = queue_arn(meant.region or call.region, meant.account, meant.name)
        await self.authorizer.require(call, found, meant=arn, facts=facts)
        return found

    def url_of(self, call: RequestContext, found: FoundQueue) -> str:
        return queue_url(call.origin, found.account, found.label)


def require_length(name: str) -> None:
    """Nobody's rights are asked for what can be no name. Raises AwsError."""
    if len(name) > LONGEST_NAME:
        raise errors.invalid_value(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
        )
