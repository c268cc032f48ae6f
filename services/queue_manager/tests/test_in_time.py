"""What SQS promises in time, on a virtual clock: delays, visibility, long polls, retention, and FIFO order.

Among them what emulators are known to get wrong: order behind an invisible message, one group to two readers, a group
that a send sets free, an expired receipt handle, a delayed message that blocks its group.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from services.queue_manager.tests.in_memory import Queues, queues_in_memory, queues_of
from services.sdk.testing import virtual_time


def fifo(group: str, id: str = "") -> dict[str, Any]:
    return {"MessageGroupId": group, "MessageDeduplicationId": id or f"{group}-{next(_IDS)}"}


_IDS = iter(range(1_000_000))


async def after(queues: Queues, work: Any) -> tuple[float, Any]:
    """How long it took, and what came of it."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    found = await work
    return round(loop.time() - began, 3), found


@virtual_time
async def test_a_message_comes_back_after_its_visibility_timeout() -> None:
    async with queues_in_memory() as queues:
        url = await queues.queue(VisibilityTimeout="30")
        await queues.send(url, "a")
        assert await queues.bodies(url) == ["a"]
        await queues.service.advance(29.9)
        assert await queues.bodies(url) == []
        await queues.service.advance(0.1)
        (again,) = await queues.receive(url, AttributeNames=["ApproximateReceiveCount"])
        assert again["Attributes"] == {"ApproximateReceiveCount": "2"}


@virtual_time
async def test_a_delayed_message_comes_when_it_is_due() -> None:
    async with queues_in_memory() as queues:
        url = await queues.queue(DelaySeconds="5")
        await queues.send(url, "of the queue")
        await queues.send(url, "its own", DelaySeconds=0)
        assert await queues.bodies(url) == ["its own"]
        await queues.service.advance(5)
        assert await queues.bodies(url) == ["of the queue"]


@pytest.mark.parametrize("what", ["send", "delay", "visibility", "zeroed"])
@virtual_time
async def test_a_long_poll_ends_with_what_comes(what: str) -> None:
    async with queues_in_memory() as queues:
        url = await queues.queue(VisibilityTimeout="3")
        if what == "delay":
            await queues.send(url, "a", DelaySeconds=3)
        if what in ("visibility", "zeroed"):
            await queues.send(url, "a")
            (got,) = await queues.receive(url, VisibilityTimeout=3 if what == "visibility" else 100)
        poll = asyncio.create_task(after(queues, queues.bodies(url, WaitTimeSeconds=20)))
        await queues.service.advance(3)
        if what == "send":
            await queues.send(url, "a")
        if what == "zeroed":
            handle = got["ReceiptHandle"]
            await queues.call("ChangeMessageVisibility", QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)
        assert await poll == (3, ["a"])


@virtual_time
async def test_a_long_poll_without_messages_ends_in_time() -> None:
    async with queues_in_memory() as queues:
        url = await queues.queue(ReceiveMessageWaitTimeSeconds="7")
        assert await after(queues, queues.bodies(url)) == (7, [])
        assert await after(queues, queues.bodies(url, WaitTimeSeconds=0)) == (0, [])


@virtual_time
async def test_each_message_wakes_one_who_waits() -> None:
    async with queues_in_memory() as queues:
        url = await queues.queue()
        polls = [asyncio.create_task(queues.bodies(url, most=1, WaitTimeSeconds=20)) for _ in range(3)]
        await queues.service.advance(1)
        for body in "abc":
            await queues.send(url, body)
        assert await asyncio.gather(*polls) == [["a"], ["b"], ["c"]]


@virtual_time
async def test_whoever_left_gets_nothing() -> None:
    """Else its message would be hidden from everybody until its visibility timeout has passed."""
    async with queues_in_memory() as queues:
        url = await queues.queue()
        left = asyncio.create_task(queues.bodies(url, WaitTimeSeconds=20))
        await queues.service.advance(1)
        left.cancel()
        await queues.service.advance(1)
        await queues.send(url, "a")
        assert await queues.bodies(url) == ["a"]


@virtual_time
async def test_a_purge_forgets_what_was_sent_and_not_what_is_there(tmp_path: Path) -> None:
    ids = {"MessageGroupId": "g", "MessageDeduplicationId": "1"}
    (tmp_path / "before").mkdir()
    async with queues_of(tmp_path / "before") as before:
        url = await before.queue("orders.fifo")
        await before.send(url, "a", **ids)
        await before.call("PurgeQueue", QueueUrl=url)
        await before.send(url, "b", **ids)
        await before.send(url, "double", **ids)
        assert await before.bodies(url, VisibilityTimeout=0) == ["b"]
        await before.call("PurgeQueue", QueueUrl=url)
        shutil.copytree(tmp_path / "before", tmp_path / "after")
    async with queues_of(tmp_path / "after", before) as queues:
        await queues.send(url, "c", **ids)
        assert await queues.bodies(url) == ["c"]


@virtual_time
async def test_a_batch_is_refused_where_doubles_of_one_could_not_be_known() -> None:
    async with queues_in_memory() as queues:
        url = await queues.queue("orders.fifo")
        entries = [{"Id": each, "MessageBody": each, "MessageGroupId": "g"} for each in "ab"]
        entries[0]["MessageDeduplicationId"] = "1"
        status, answer = await queues.ask("SendMessageBatch", QueueUrl=url, Entries=entries)
        assert (status, "MessageDeduplicationId" in answer["message"]) == (400, True)
        assert await queues.bodies(url) == []


@virtual_time
async def test_old_messages_go() -> None:
    async with queues_in_memory() as queues:
        url = await queues.queue(MessageRetentionPeriod="60")
        await queues.send(url, "old")
        await queues.service.advance(59)
        await queues.send(url, "new")
        await queues.service.advance(1)
        assert await queues.bodies(url) == ["new"]


@virtual_time
async def test_visibility_has_an_end() -> None:
    async with queues_in_memory() as queues:
        url = await queues.queue()
        await queues.send(url, "a")
        (got,) = await queues.receive(url, VisibilityTimeout=43_200)
        await queues.service.advance(3600)
        change = {"QueueUrl": url, "ReceiptHandle": got["ReceiptHandle"]}
        status, told = await queues.ask("ChangeMessageVisibility", **change, VisibilityTimeout=43_200)
        assert (status, "beyond the limit" in told["message"]) == (400, True)
        await queues.call("ChangeMessageVisibility", **change, VisibilityTimeout=1)
        await queues.service.advance(1)
        status, told = await queues.ask("ChangeMessageVisibility", **change, VisibilityTimeout=10)
        assert told["__type"] == "MessageNotInflight"


@virtual_time
async def test_failed_messages_go_to_their_queue() -> None:
    async with queues_in_memory() as queues:
        dead = await queues.queue("dead")
        arn = (await queues.call("GetQueueAttributes", QueueUrl=dead, AttributeNames=["QueueArn"]))["Attributes"]
        policy = f'{{"deadLetterTargetArn":"{arn["QueueArn"]}","maxReceiveCount":2}}'
        url = await queues.queue(RedrivePolicy=policy, VisibilityTimeout="1")
        await queues.send(url, "poison")
        for _ in range(2):
            assert await queues.bodies(url) == ["poison"]
            await queues.service.advance(1)
        assert await queues.bodies(url) == []
        (got,) = await queues.receive(dead, AttributeNames=["All"])
        assert got["Attributes"]["DeadLetterQueueSourceArn"].endswith(":orders")
        assert got["Attributes"]["ApproximateReceiveCount"] == "3"
        sources = await queues.call("ListDeadLetterSourceQueues", QueueUrl=dead)
        assert sources == {"queueUrls": [url]}


@virtual_time
async def test_nothing_overtakes_an_invisible_message_of_its_group() -> None:
    async with queues_in_memory() as queues:
        url = await queues.queue("orders.fifo")
        for body in ("a1", "a2", "b1"):
            await queues.send(url, body, **fifo(body[0]))
        assert await queues.bodies(url, most=1) == ["a1"]
        assert await queues.bodies(url) == ["b1"]
        await queues.send(url, "a3", **fifo("a"))  # a send sets no group free
        assert await queues.bodies(url) == []
        await queues.service.advance(30)
        assert await queues.bodies(url) == ["a1", "a2", "a3", "b1"]


@virtual_time
async def test_a_group_goes_on_when_its_message_is_deleted() -> None:
    async with queues_in_memory() as queues:
        url = await queues.queue("orders.fifo")
        await queues.send(url, "a1", **fifo("a"))
        await queues.send(url, "a2", **fifo("a"))
        (first,) = await queues.receive(url)
        poll = asyncio.create_task(after(queues, queues.bodies(url, WaitTimeSeconds=20)))
        await queues.service.advance(2)
        await queues.call("DeleteMessage", QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
        assert await poll == (2, ["a2"])


@virtual_time
async def test_one_group_is_never_with_two_readers() -> None:
    async with queues_in_memory() as queues:
        url = await queues.queue("orders.fifo")
        for number in range(6):
            await queues.send(url, f"a{number}", **fifo("a"))
        got = await queues.receive(url, MaxNumberOfMessages=3)
        for each in (got[0], got[2]):
            await queues.call("DeleteMessage", QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
        assert await queues.bodies(url) == []  # a1 is still with somebody
        await queues.service.advance(30)
        assert await queues.bodies(url) == ["a1", "a3", "a4", "a5"]


@virtual_time
async def test_an_expired_receipt_handle_of_a_fifo_queue_deletes_nothing() -> None:
    async with queues_in_memory() as queues:
        url = await queues.queue("orders.fifo", VisibilityTimeout="10")
        await queues.send(url, "a", **fifo("a"))
        (got,) = await queues.receive(url)
        delete = {"QueueUrl": url, "ReceiptHandle": got["ReceiptHandle"]}
        await queues.call("ChangeMessageVisibility", **delete, VisibilityTimeout=20)
        await queues.service.advance(15)  # the extension counts
        assert await queues.bodies(url) == []
        await queues.service.advance(5)
        status, told = await queues.ask("DeleteMessage", **delete)
        assert (status, told["__type"]) == (400, "InvalidParameterValue") and "has expired" in told["message"]
        assert await queues.bodies(url) == ["a"]


@virtual_time
async def test_a_delayed_message_keeps_no_other_group_back() -> None:
    async with queues_in_memory() as queues:
        url = await queues.queue("orders.fifo", DelaySeconds="10")
        await queues.send(url, "a1", **fifo("a"))
        await queues.service.advance(9)
        await queues.send(url, "a2", **fifo("a"))
        await queues.send(url, "b1", **fifo("b"))
        await queues.service.advance(1)
        (first,) = await queues.receive(url, MaxNumberOfMessages=10)
        assert first["Body"] == "a1"
        await queues.call("DeleteMessage", QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
        await queues.call("SetQueueAttributes", QueueUrl=url, Attributes={"DelaySeconds": "0"})
        await queues.service.advance(1)  # a changed delay counts for what waits already
        assert await queues.bodies(url) == ["a2", "b1"]


@virtual_time
async def test_the_same_is_not_sent_twice_in_five_minutes() -> None:
    async with queues_in_memory() as queues:
        url = await queues.queue("orders.fifo", ContentBasedDeduplication="true")
        first = await queues.send(url, "x", MessageGroupId="a")
        again = await queues.send(url, "x", MessageGroupId="b")
        assert (first["MessageId"], first["SequenceNumber"]) == (again["MessageId"], again["SequenceNumber"])
        (got,) = await queues.receive(url)
        await queues.call("DeleteMessage", QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
        await queues.service.advance(299)
        await queues.send(url, "x", MessageGroupId="a")
        assert await queues.bodies(url) == []
        await queues.service.advance(1)
        await queues.send(url, "x", MessageGroupId="a")
        assert await queues.bodies(url) == ["x"]


@virtual_time
async def test_with_high_throughput_ids_are_unique_in_their_group() -> None:
    async with queues_in_memory() as queues:
        scopes = {"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}
        url = await queues.queue("orders.fifo", **scopes)
        for group in ("a", "b", "a"):
            await queues.send(url, group, **fifo(group, "1"))
        assert await queues.bodies(url) == ["a", "b"]


@virtual_time
async def test_a_receive_that_is_repeated_gets_the_same_messages() -> None:
    async with queues_in_memory() as queues:
        url = await queues.queue("orders.fifo")
        for body in ("a1", "a2", "b1"):
            await queues.send(url, body, **fifo(body[0]))
        asked = {"MaxNumberOfMessages": 2, "ReceiveRequestAttemptId": "try"}
        assert await queues.bodies(url, most=2, ReceiveRequestAttemptId="try") == ["a1", "a2"]
        again = await queues.receive(url, **asked)
        assert [each["Body"] for each in again] == ["a1", "a2"]
        await queues.call("DeleteMessage", QueueUrl=url, ReceiptHandle=again[0]["ReceiptHandle"])
        assert await queues.bodies(url, ReceiveRequestAttemptId="try") == ["b1"]


@virtual_time
async def test_a_receive_may_be_repeated_more_than_once() -> None:
    async with queues_in_memory() as queues:
        url = await queues.queue("orders.fifo")
        await queues.send(url, "a1", **fifo("a"))
        for _ in range(3):
            assert await queues.bodies(url, ReceiveRequestAttemptId="try") == ["a1"]
