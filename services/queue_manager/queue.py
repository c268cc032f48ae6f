"""A queue that was found: its resource, and what that means for its messages."""

from __future__ import annotations

from dataclasses import dataclass

from services.queue_manager.kinds import Queue, QueueSpec
from services.queue_manager.names import QueueName, queue_arn
from services.sdk.aws.accounts import account_of


@dataclass(frozen=True, slots=True)
class FoundQueue:
    """A queue as it was read."""

    resource: Queue

    @property
    def name(self) -> str:
        """What the resource is called."""
        return self.resource.metadata.name

    @property
    def label(self) -> str:
        """What AWS calls it."""
        return self.spec.queue_name or self.name

    @property
    def namespace(self) -> str:
        return self.resource.metadata.namespace or "default"

    @property
    def account(self) -> str:
        return account_of(self.namespace)

    @property
    def uid(self) -> str:
        return self.resource.metadata.uid or ""

    @property
    def spec(self) -> QueueSpec:
        return self.resource.spec

    @property
    def arn(self) -> str:
        return queue_arn(self.spec.region, self.account, self.label)

    @property
    def is_fifo(self) -> bool:
        return self.spec.fifo is not None

    def is_meant(self, meant: QueueName) -> bool:
        """Whether that is its account and name, and the region fits, if one is named."""
        return (self.account, self.label) == meant[:2] and self.is_in(meant.region)

    def is_in(self, region: str) -> bool:
        """Whether AWS clients find it in that region; services ask in none."""
        return not region or self.spec.region in ("", region)

    def takes_dead_letters_of(self, source: FoundQueue) -> bool:
        """Whether it is one of the same account, region and kind of order, that does not refuse it."""
        allow = self.spec.redrive_allow
        allowed = allow is None or allow.permission == "allowAll" or source.arn in allow.source_queue_arns
        fits = self.namespace == source.namespace and self.is_fifo == source.is_fifo
        return allowed and fits and self.uid != source.uid
