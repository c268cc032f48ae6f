"""Dead letters go back: to where they failed, at a rate, until somebody stops it. In virtual time."""

from __future__ import annotations

from services.queue_manager.tests.in_memory import Queues, queues_in_memory
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
