"""What Buckets say of their copies."""

from __future__ import annotations

from datetime import datetime

from crds.meta import Condition, set_condition
from services.storage_manager.conditions import BucketCondition, BucketReason
from services.storage_manager.kinds import Bucket
from services.storage_manager.replication.feed import Feed
from services.storage_manager.replication.instances import Instances


class Replication:
    """Knows who follows."""

    def __init__(self, feed: Feed, instances: Instances) -> None:
        self._feed, self._instances = feed, instances

    def update_condition(self, bucket: Bucket, now: datetime) -> None:
        """Sets the condition `Replicated`, unless nobody ever followed."""
        if self._feed.followed:
            set_condition(bucket.status.conditions, self._condition(), now=now)

    def _condition(self) -> Condition:
        kind, followers = BucketCondition.REPLICATED, self._feed.followers
        if not followers.in_sync:
            text = "writes are acknowledged by one copy alone until another worker has all of them"
            return Condition(type=kind, status="False", reason=BucketReason.COPY_AWAY, message=text)
        if not self._instances.alone():
            text = "more than one instance writes: each waits only for copies that asked it. Set replicas to 1"
            return Condition(type=kind, status="False", reason=BucketReason.SEVERAL_WRITERS, message=text)
        names = ["storage-manager", *sorted(each.name for each in followers.in_sync)]
        text = f"{len(names)} copies: {', '.join(names)}"
        if followers.healing.took is not None:
            text += f"; the last one to be lost was replaced after {followers.healing.took:.1f} s"
        return Condition(type=kind, status="True", reason=BucketReason.COPIES_IN_SYNC, message=text)
