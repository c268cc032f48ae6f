"""The topic or subscription an operation is about: found by its ARN, with the caller's right to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from crds.errors import ApiError, Forbidden, NotFound
from services.queue_manager.authorization import QueueAuthorizer
from services.queue_manager.found_topic import FoundTopic
from services.queue_manager.topic_kinds import Subscription
from services.queue_manager.topic_names import LONGEST_NAME, TopicName, parse_topic_arn, topic_arn
from services.queue_manager.topics import Topics
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext
from services.sdk.aws.pagination import InvalidToken, PageTokens
from services.sdk.aws.policy.context import Given
from services.sdk.aws.translation import translate

Json = dict[str, Any]
T = TypeVar("T")
PAGE = 100


class TopicAccess:
    """What every operation on a topic begins with."""

    def __init__(self, topics: Topics, authorizer: QueueAuthorizer, tokens: PageTokens) -> None:
        self.topics, self.authorizer, self._tokens = topics, authorizer, tokens

    async def resolve(
        self,
        call: RequestContext,
        arn: str,
        member: str = "TopicArn",
        facts: Mapping[str, Given] | None = None,
    ) -> FoundTopic:
        """Raises AwsError, Forbidden. Whoever may not know of topics there does not learn which there are. facts:
        what the request says, for conditions.
        """
        named = parse_topic_arn(arn)
        if named is None or named.subscription:
            await self.authorizer.require_any(call)
            raise invalid(f"{member} Reason: An ARN must have at least 6 elements, not {arn[:100]}")
        found = await self._allowed(call, named, facts)
        if found is None:
            raise AwsError("NotFound", "Topic does not exist", 404)
        return found

    async def resolve_subscription(self, call: RequestContext, arn: str) -> tuple[FoundTopic, Subscription]:
        """Raises AwsError, Forbidden."""
        named = parse_topic_arn(arn)
        if named is None or not named.subscription:
            await self.authorizer.require_any(call)
            raise invalid("SubscriptionArn Reason: it is none of a subscription")
        found = await self._allowed(call, named)
        subscription = None if found is None else self.topics.subscription(found, named.subscription)
        if found is None or subscription is None:
            raise AwsError("NotFound", "Subscription does not exist", 404)
        return found, subscription

    async def _allowed(
        self, call: RequestContext, named: TopicName, facts: Mapping[str, Given] | None = None
    ) -> FoundTopic | None:
        """The topic, if there is one. Raises AwsError, Forbidden."""
        require_length(named.name)
        found = await self.topics.find(named, call)
        if found is None:
            namespace = self.topics.namespace_of(named.account)
            await self.authorizer.require_absent(call, named.name, named.region, named.account, namespace)
        else:
            arn = topic_arn(named.region, named.account, named.name)
            await self.authorizer.require(call, found, meant=arn, facts=facts)
        return found

    def page(
        self, call: RequestContext, request: Json, items: Sequence[T], by: Callable[[T], str], about: str = ""
    ) -> tuple[list[T], Json]:
        """A hundred of them, and the token of what follows. Raises AwsError."""
        scope = (call.operation, call.account, call.region, about)
        try:
            found = self._tokens.page(items, by, scope, request.get("NextToken") or None, PAGE)
        except InvalidToken as wrong:
            raise invalid(f"NextToken Reason: {wrong}") from None
        return found.items, {"NextToken": found.token} if found.token else {}


def invalid(what: str) -> AwsError:
    return AwsError("InvalidParameter", f"Invalid parameter: {what}")


def truth(name: str, value: str) -> bool:
    """What an attribute says. Raises AwsError."""
    if value not in ("true", "false"):
        raise invalid(f"{name} Reason: true or false")
    return value == "true"


def require_length(name: str) -> None:
    """Nobody's rights are asked for what can be no name. Raises AwsError."""
    if len(name) > LONGEST_NAME:
        raise invalid(f"Topic Name: at most {LONGEST_NAME} characters")


def as_sns_error(error: ApiError) -> AwsError:
    """Translate an error of the resource API to the one SNS would give."""
    if isinstance(error, Forbidden):
        return AwsError("AuthorizationError", error.message, 403)
    if isinstance(error, NotFound):
        return AwsError("NotFound", error.message, 404)
    found = translate(error)
    if found.status >= 500:
        return AwsError("InternalError", found.message, found.status)
    return AwsError("InvalidParameter", found.message) if found.code == "ValidationException" else found
