"""A topic that was found: its resource, and what AWS calls it."""

from __future__ import annotations

from dataclasses import dataclass

from services.queue_manager.topic_kinds import Subscription, Topic, TopicSpec
from services.queue_manager.topic_names import TopicName, topic_arn
from services.sdk.aws.accounts import account_of


@dataclass(frozen=True, slots=True)
class FoundTopic:
    """A topic as it was read."""

    resource: Topic

    @property
    def name(self) -> str:
        """What the resource is called."""
        return self.resource.metadata.name

    @property
    def label(self) -> str:
        """What AWS calls it."""
        return self.spec.topic_name or self.name

    @property
    def namespace(self) -> str:
        return self.resource.metadata.namespace or "default"

    @property
    def uid(self) -> str:
        return self.resource.metadata.uid or ""

    @property
    def spec(self) -> TopicSpec:
        return self.resource.spec

    @property
    def account(self) -> str:
        return account_of(self.namespace)

    @property
    def arn(self) -> str:
        return topic_arn(self.spec.region, self.account, self.label)

    @property
    def is_fifo(self) -> bool:
        return self.spec.fifo is not None

    def is_in(self, region: str) -> bool:
        return not region or self.spec.region in ("", region)

    def is_named(self, named: TopicName) -> bool:
        """Whether it is meant by that ARN."""
        return (named.account, named.name) == (self.account, self.label) and self.is_in(named.region)


def subscription_arn(found: FoundTopic, subscription: Subscription) -> str:
    return f"{found.arn}:{subscription.metadata.uid}"
