"""The Topic reconciler: says what it is called in AWS, and how many queues get what is published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.queue_manager.conditions import TopicReason
from services.queue_manager.found_topic import FoundTopic
from services.queue_manager.topic_kinds import TOPIC, Topic
from services.queue_manager.topics import Topics
from services.sdk.reconcile import AlsoWatch, Outcome, World, done


class TopicReconciler:
    """Looks at the subscriptions beside the operations."""

    kind = TOPIC
    finalizer: str | None = None

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self.also_watch: Sequence[AlsoWatch[Any]] = ()

    async def reconcile(self, resource: Topic, world: World) -> Outcome:
        found = FoundTopic(resource)
        resource.status.arn = found.arn
        resource.status.subscriptions = len(self._topics.subscriptions_of(found))
        return done(reason=TopicReason.SERVING, requeue_after=60.0)

    async def finalize(self, resource: Topic, world: World) -> Outcome:
        return done()
