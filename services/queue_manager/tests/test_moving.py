"""Dead letters go back: to where they failed, at a rate, until somebody stops it. In virtual time."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
from pathlib import Path

import pytest

from services.queue_manager.live_queue import QueueRules
from services.queue_manager.tests.in_memory import Queues, queues_in_memory, queues_of
from services.queue_manager.tests.opened import Opened
from services.sdk.testing import virtual_time


async def with_dead_letters(queues: Queues, count: int) -> tuple[str, str, str]:
    """URLs of a queue and of its dead letters, of which there are so many, and the ARN of those."""
    dead = await queues.queue("dead")
    told = await queues.call("GetQueueAttributes", QueueUrl=dead, AttributeNames=["QueueArn"])
    arn = told["Attributes"]["QueueArn"]
    url = await queues.queue(RedrivePolicy=f'{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"1"}}')
    for number in range(count):
        await queues.send(url, str(number))
    for _ in range(2):
        for _ in range(0, count, 10):
            await queues.bodies(url, VisibilityTimeout=1)
        await queues.service.advance(1)
    await queues.bodies(url)
    return url, dead, arn


@virtual_time
async def test_dead_letters_go_back_to_where_they_failed() -> None:
    async with queues_in_memory() as queues:
        url, dead, arn = await with_dead_letters(queues, 3)
        await queues.call("StartMessageMoveTask", SourceArn=arn)
        await queues.service.advance(1)
        assert await queues.bodies(dead) == []
        got = await queues.receive(url, MaxNumberOfMessages=10, AttributeNames=["All"])
        assert [each["Body"] for each in got] == ["0", "1", "2"]
        assert {each["Attributes"]["ApproximateReceiveCount"] for each in got} == {"1"}
        (task,) = (await queues.call("ListMessageMoveTasks", SourceArn=arn))["Results"]
        assert (task["Status"], task["ApproximateNumberOfMessagesMoved"], "TaskHandle" in task) == (
            "COMPLETED",
            3,
            False,
        )


@virtual_time
async def test_a_rate_is_kept_and_a_task_is_cancelled() -> None:
    async with queues_in_memory() as queues:
        url, _, arn = await with_dead_letters(queues, 9)
        begun = await queues.call("StartMessageMoveTask", SourceArn=arn, MaxNumberOfMessagesPerSecond=2)
        await queues.service.advance(2.5)
        status, told = await queues.ask("StartMessageMoveTask", SourceArn=arn)
        assert (status, "already a task" in told["message"]) == (400, True)
        told = await queues.call("CancelMessageMoveTask", TaskHandle=begun["TaskHandle"])
        assert told == {"ApproximateNumberOfMessagesMoved": 6}
        await queues.service.advance(10)
        assert len(await queues.bodies(url)) in (6, 8)  # the step that was under way ends
        (task,) = (await queues.call("ListMessageMoveTasks", SourceArn=arn))["Results"]
        assert task["Status"] == "CANCELLED"


@virtual_time
async def test_only_dead_letters_are_moved_and_only_to_queues_that_are_there() -> None:
    async with queues_in_memory() as queues:
        _, _, arn = await with_dead_letters(queues, 1)
        for request, code in (
            ({"SourceArn": arn.replace("dead", "orders")}, "InvalidParameterValue"),
            ({"SourceArn": arn.replace("dead", "nobody")}, "ResourceNotFoundException"),
            ({"SourceArn": arn, "DestinationArn": arn.replace("dead", "nobody")}, "ResourceNotFoundException"),
            ({"SourceArn": arn, "DestinationArn": arn}, "InvalidParameterValue"),
            ({"SourceArn": arn, "MaxNumberOfMessagesPerSecond": 501}, "InvalidParameterValue"),
        ):
            assert (await queues.ask("StartMessageMoveTask", **request))[1]["__type"] == code
        assert (await queues.ask("CancelMessageMoveTask", TaskHandle="x"))[1]["__type"] == "InvalidParameterValue"


@virtual_time
async def test_a_task_goes_on_after_a_restart(tmp_path: Path) -> None:
    """The queues are not known yet when the tasks are read."""
    async with queues_of(tmp_path) as before:
        url, _, arn = await with_dead_letters(before, 4)
        await before.call("StartMessageMoveTask", SourceArn=arn, MaxNumberOfMessagesPerSecond=1)
        await before.service.advance(1.5)
    async with queues_of(tmp_path, before) as queues:
        await queues.service.advance(5)
        (task,) = (await queues.call("ListMessageMoveTasks", SourceArn=arn))["Results"]
        assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 4)
        assert await queues.bodies(url) == ["0", "1", "2", "3"]


@virtual_time
async def test_a_message_that_goes_while_others_are_moved_stops_nothing(tmp_path: Path) -> None:
    store = Opened(tmp_path)
    dead, target = store.broker.queue("dead", False), store.broker.queue("target", False)
    await store.send(dead, "old")
    await asyncio.sleep(700)
    await store.send(dead, "a", "b")
    moving = asyncio.create_task(store.broker.send_back(dead, 10, {}, target))
    await asyncio.sleep(0)
    await asyncio.gather(store.broker.expire(dead, QueueRules(0, 600_000)), store.broker.purge(dead), moving)
    assert (len(dead.order.messages), await store.bodies(target)) == (0, ["old", "a", "b"])
    store = await store.reopened(tmp_path)
    assert [len(each.order.messages) for each in store.broker.known()] == [0, 3]
    await store.close()


@pytest.mark.parametrize("how", ["full", "cancelled", "unknown"])
@virtual_time
async def test_what_could_not_be_moved_is_there(tmp_path: Path, how: str) -> None:
    store = Opened(tmp_path)
    dead, target = store.broker.queue("dead", False), store.broker.queue("target", False)
    await store.send(dead, "a", "b")
    if how == "full":
        with store.full(), pytest.raises(sqlite3.OperationalError):
            await store.broker.send_back(dead, 10, {}, target)
    elif how == "unknown":
        with pytest.raises(LookupError):
            await store.broker.send_back(dead, 10, {"arn": target})
    else:
        moving = asyncio.create_task(store.broker.send_back(dead, 10, {}, target))
        await asyncio.sleep(0)
        moving.cancel()
        await store.committer.drained()
    assert (len(await store.bodies(dead)), len(await store.bodies(target))) in ((2, 0), (0, 2))
    await store.close()


@virtual_time
async def test_a_handle_that_names_another_queue_cancels_nothing() -> None:
    async with queues_in_memory() as queues:
        _, _, arn = await with_dead_letters(queues, 9)
        begun = await queues.call("StartMessageMoveTask", SourceArn=arn, MaxNumberOfMessagesPerSecond=1)
        task = json.loads(base64.b64decode(begun["TaskHandle"]))["taskId"]
        forged = {"taskId": task, "sourceArn": arn.replace("dead", "orders")}
        handle = base64.b64encode(json.dumps(forged).encode()).decode()
        status, told = await queues.ask("CancelMessageMoveTask", TaskHandle=handle)
        assert (status, told["message"]) == (400, "Only active tasks can be cancelled.")
        (task,) = (await queues.call("ListMessageMoveTasks", SourceArn=arn))["Results"]
        assert task["Status"] == "RUNNING"
