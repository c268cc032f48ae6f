"""Nothing of a deleted queue comes to another one; and nothing that was acknowledged goes with a commit of others."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from crds.errors import NotFound
from services.queue_manager.directory import QueueDirectory
from services.queue_manager.live_queue import QueueRules
from services.queue_manager.tests.in_memory import queues_in_memory
from services.queue_manager.tests.opened import Opened
from services.sdk.aws.errors import AwsError
from services.sdk.testing import virtual_time


@virtual_time
async def test_dead_letters_of_a_deleted_queue_go_to_no_other(tmp_path: Path) -> None:
    """A long poll still has the rules of when the queue of the dead letters was there."""
    store = Opened(tmp_path)
    source, dead = store.broker.queue("source", False), store.broker.queue("dead", False)
    rules = QueueRules(0, 345_600_000, "arn", 1, dead)
    await store.send(source, "secret")
    assert await store.bodies(source, rules) == ["secret"]
    poll = asyncio.create_task(store.bodies(source, rules, wait=5))
    await asyncio.sleep(0.1)
    await store.broker.drop("dead")
    other = store.broker.queue("other", False)
    assert other.number != dead.number
    assert await poll == ["secret"]  # it has nowhere else to go
    assert await store.bodies(other) == []
    await store.close()


@virtual_time
async def test_a_message_that_is_being_sent_goes_with_its_queue(tmp_path: Path) -> None:
    store = Opened(tmp_path)
    queue = store.broker.queue("deleted", False)
    sending = asyncio.create_task(store.send(queue, "secret"))
    await asyncio.sleep(0)
    await asyncio.gather(sending, store.broker.drop("deleted"))
    assert (store.rows("messages"), store.rows("queues")) == (0, 0)
    await store.send(store.broker.queue("other", False), "mine")
    store = await store.reopened(tmp_path)
    assert await store.bodies(store.broker.queue("other", False)) == ["mine"]
    await store.close()


@virtual_time
async def test_nothing_is_sent_to_a_queue_that_is_being_deleted(tmp_path: Path) -> None:
    store = Opened(tmp_path)
    queue = store.broker.queue("deleted", False)
    await store.send(queue, "a")
    dropping = asyncio.create_task(store.broker.drop("deleted"))
    await asyncio.sleep(0)
    with pytest.raises(NotFound):
        await store.send(queue, "b")
    await dropping
    assert await store.bodies(queue, wait=1) == []
    with pytest.raises(NotFound):
        await store.send(queue, "c")
    assert store.rows("messages") == 0
    await store.close()


@virtual_time
async def test_what_was_left_behind_is_deleted_at_the_start(tmp_path: Path) -> None:
    store = Opened(tmp_path)
    await store.send(store.broker.queue("deleted", False), "secret")
    store.database.connection.execute("DELETE FROM queues")  # as an older version left it
    store = await store.reopened(tmp_path)
    assert store.rows("messages") == 0
    await store.close()


@virtual_time
async def test_a_refused_commit_takes_no_later_messages_with_it(tmp_path: Path) -> None:
    store = Opened(tmp_path)
    with store.full():
        queue = store.broker.queue("orders", False)
        with pytest.raises(sqlite3.OperationalError):
            await store.send(queue, "refused")
    await store.send(queue, "acknowledged")
    store = await store.reopened(tmp_path)
    assert await store.bodies(store.broker.queue("orders", False)) == ["acknowledged"]
    await store.close()


@virtual_time
async def test_a_deletion_that_the_disk_refuses_is_done_later(tmp_path: Path) -> None:
    store = Opened(tmp_path)
    queue = store.broker.queue("deleted", False)
    await store.send(queue, *"abc")
    with store.full(), pytest.raises(sqlite3.OperationalError):
        await store.broker.drop("deleted")
    await store.broker.drop("deleted")
    assert (store.rows("messages"), store.rows("queues"), store.broker.known()) == (0, 0, [])
    await store.close()


@virtual_time
async def test_who_found_a_queue_before_it_was_deleted_makes_none_of_it_again(tmp_path: Path) -> None:
    """Its messages would stay for ever: nobody deletes that queue another time."""
    async with queues_in_memory() as queues:
        url = await queues.queue()
        store = Opened(tmp_path)
        directory = QueueDirectory(queues.service.context, store.broker)
        (found,) = directory.all()
        await queues.call("DeleteQueue", QueueUrl=url)
        with pytest.raises(AwsError, match="does not exist"):
            directory.live(found)
        assert store.broker.known() == []
        await store.close()
