"""Two instances of the one that takes writes: no copy hears of both."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from services.storage_manager.kinds import Bucket
from services.storage_manager.replication.change_log import ChangeLog
from services.storage_manager.replication.condition import Replication
from services.storage_manager.replication.feed import Feed
from services.storage_manager.replication.instances import Instances
from services.storage_manager.tests.crash_load import Folder


def reason(replication: Replication) -> str:
    bucket = Bucket.model_validate({"metadata": {"name": "box", "namespace": "default"}})
    replication.update_condition(bucket, datetime(2026, 1, 1, tzinfo=UTC))
    (condition,) = bucket.status.conditions
    return str(condition.reason)


def test_buckets_say_that_more_than_one_instance_writes(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    ChangeLog(folder.metadata).enable()
    feed, first = Feed(folder.metadata, folder.data), Instances(tmp_path / "instances.lock")
    feed.followers.note_heard("copy", feed.head(), feed.head())
    replication = Replication(feed, first)
    assert reason(replication) == "CopiesInSync"
    second = Instances(tmp_path / "instances.lock")
    assert reason(replication) == "SeveralWriters"
    assert not second.alone()
    second.close()
    assert reason(replication) == "CopiesInSync"
