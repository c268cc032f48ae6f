"""Messages that are deleted, and those whose deletion the disk refused: each is there once, or not at all."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from services.queue_manager.broker import NotInFlight
from services.queue_manager.database import FILE
from services.queue_manager.live_queue import QueueRules
from services.queue_manager.receipt_handles import ReceiptHandle
from services.queue_manager.tests.opened import RULES, Opened
from services.sdk.testing import virtual_time


@virtual_time
async def test_a_refused_deletion_of_a_visible_message_gives_it_once(tmp_path: Path) -> None:
    store = Opened(tmp_path)
    queue = store.broker.queue("orders", False)
    await store.send(queue, "a")
    (got,) = await store.broker.receive(queue, RULES, 1, 1000)
    await asyncio.sleep(2)
    queue.come_due()
    with store.full(), pytest.raises(sqlite3.OperationalError):
        await store.broker.delete(queue, ReceiptHandle(queue.number, got.number, got.receipt))
    assert await store.bodies(queue) == ["a"]
    assert (queue.order.visible, queue.order.in_flight) == (0, 1)
    await store.close()


@virtual_time
async def test_what_is_too_old_is_looked_for_once(tmp_path: Path) -> None:
    """Also where its deletion is refused, and done with the next receive."""
    store, rules = Opened(tmp_path), QueueRules(0, 60_000)
    queue = store.broker.queue("orders", False)
    await store.send(queue, *(["old"] * 5))
    await asyncio.sleep(60)
    await store.send(queue, "new")
    with store.full(), pytest.raises(sqlite3.OperationalError):
        await store.broker.expire(queue, rules)
    assert queue.order.oldest() == 1_700_000_000_000
    assert await store.bodies(queue, rules) == ["new"]
    assert store.rows("messages") == 1
    await store.close()


@virtual_time
async def test_a_purge_lets_others_in_between(tmp_path: Path) -> None:
    store = Opened(tmp_path)
    queue = store.broker.queue("deep", False)
    for _ in range(5):
        await store.send(queue, *(["x"] * 1000))
    purging = asyncio.create_task(store.broker.purge(queue))
    await asyncio.sleep(0)
    await store.send(store.broker.queue("other", False), "y")
    assert store.rows("messages") > 1
    await purging
    assert (store.rows("messages"), len(queue.order.messages)) == (1, 0)
    await store.close()


@virtual_time
async def test_the_space_of_deleted_messages_is_given_back(tmp_path: Path) -> None:
    store = Opened(tmp_path)
    queue = store.broker.queue("deep", False)
    for _ in range(20):
        await store.send(queue, *(["x" * 3000] * 500))
    await store.broker.purge(queue)
    giving = asyncio.create_task(store.broker.give_back_space())
    await asyncio.sleep(61)
    giving.cancel()
    await store.close()
    assert (tmp_path / FILE).stat().st_size < 6_000_000  # of some 40 million


@virtual_time
async def test_a_change_that_comes_too_late_keeps_nobody_waiting(tmp_path: Path) -> None:
    """What is due is shown by whoever looks first, here before the timer of the long poll."""
    store = Opened(tmp_path)
    queue = store.broker.queue("orders", False)
    await store.send(queue, "a")
    (got,) = await store.broker.receive(queue, RULES, 1, 300)
    loop = asyncio.get_running_loop()
    poll = asyncio.create_task(store.bodies(queue, wait=4))
    await asyncio.sleep(0.2)
    queue.order.hide(queue.order.messages[got.number], store.broker.now() - 1)
    began = loop.time()
    with pytest.raises(NotInFlight):
        await store.broker.postpone(queue, ReceiptHandle(queue.number, got.number, got.receipt), 9000)
    assert (await poll, loop.time()) == (["a"], began)
    await store.close()
