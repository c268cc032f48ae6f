"""SQS operations that move messages out of a dead-letter queue.

Source: Amazon SQS API reference, StartMessageMoveTask, ListMessageMoveTasks, CancelMessageMoveTask.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson

from services.queue_manager import errors
from services.queue_manager.kinds import QUEUE
from services.queue_manager.move_tasks import MOST_SHOWN, RUNNING, MoveTask, MoveTasks
from services.queue_manager.operations.queue_access import QueueAccess
from services.queue_manager.queue import FoundQueue
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
MOST_A_SECOND = 500


class MoveOperations:
    """One declared method per operation."""

    def __init__(self, queues: QueueAccess, tasks: MoveTasks) -> None:
        self._queues, self._tasks = queues, tasks

    @operation(
        "StartMessageMoveTask",
        permission=("use", QUEUE),
        understands=("SourceArn", "DestinationArn", "MaxNumberOfMessagesPerSecond"),
    )
    async def start_message_move_task(self, call: RequestContext, request: Json) -> Json:
        source = await self._named(call, request["SourceArn"], "SourceArn")
        rate = request.get("MaxNumberOfMessagesPerSecond")
        if rate is not None and not 1 <= rate <= MOST_A_SECOND:
            reason = f"Must be between 1 and {MOST_A_SECOND}"
            raise errors.invalid_parameter(rate, "MaxNumberOfMessagesPerSecond", reason)
        failed_in = self._queues.directory.sources_of(source)
        if not failed_in:
            raise errors.invalid_value("Source queue must be configured as a Dead Letter Queue.")
        destination = request.get("DestinationArn") or ""
        await self._require_sending(call, source, destination, failed_in)
        live = self._queues.directory.live(source)
        live.come_due()
        task = await self._tasks.start(source.arn, destination, rate or 0, live.order.visible)
        if task is None:
            raise errors.invalid_value(
                "There is already a task running. "
                "Only one active task is allowed for a source queue arn at a given time."
            )
        return {"TaskHandle": _handle(task)}

    @operation("ListMessageMoveTasks", permission=("get", QUEUE), understands=("SourceArn", "MaxResults"))
    async def list_message_move_tasks(self, call: RequestContext, request: Json) -> Json:
        source = await self._named(call, request["SourceArn"], "SourceArn")
        most = request.get("MaxResults") or 1
        if not 1 <= most <= MOST_SHOWN:
            raise errors.invalid_parameter(most, "MaxResults", f"Must be between 1 and {MOST_SHOWN}")
        return {"Results": [_shown(each) for each in (await self._tasks.of(source.arn))[:most]]}

    @operation("CancelMessageMoveTask", permission=("use", QUEUE), understands=("TaskHandle",))
    async def cancel_message_move_task(self, call: RequestContext, request: Json) -> Json:
        said = _parsed(request["TaskHandle"])
        if said is None:
            await self._queues.authorizer.require_any(call)
            raise errors.invalid_parameter(request["TaskHandle"], "TaskHandle", "it is none of a task")
        source = await self._named(call, said[1], "SourceArn")
        task = await self._tasks.cancel(said[0], source.arn)
        if task is None:
            raise AwsError("UnsupportedOperation", "Only active tasks can be cancelled.")
        return {"ApproximateNumberOfMessagesMoved": task.moved}

    async def _named(self, call: RequestContext, arn: str, parameter: str) -> FoundQueue:
        try:
            return await self._queues.resolve_arn(call, arn, parameter)
        except AwsError as error:
            if error.code != "QueueDoesNotExist":
                raise
            text = f"The resource that you specified for the {parameter} parameter doesn't exist."
            raise AwsError("ResourceNotFoundException", text, 404) from None

    async def _require_sending(
        self, call: RequestContext, source: FoundQueue, destination: str, failed_in: list[FoundQueue]
    ) -> None:
        """To take them out takes the right to receive and delete them, and to send them where they go. Raises
        AwsError, Forbidden.
        """
        for each in ("ReceiveMessage", "DeleteMessage"):
            await self._queues.authorizer.require(call, source, each)
        targets = failed_in
        if destination:
            found = self._queues.directory.by_arn(destination)
            if found is None or found.namespace != source.namespace:
                text = "The resource that you specified for the DestinationArn parameter doesn't exist."
                raise AwsError("ResourceNotFoundException", text, 404)
            if found.uid == source.uid or found.is_fifo != source.is_fifo:
                raise errors.invalid_parameter(destination, "DestinationArn", "it is the source, or of another type")
            targets = [found]
        for target in targets:
            await self._queues.authorizer.require(call, target, "SendMessage")


def _shown(task: MoveTask) -> Json:
    found: Json = {
        "Status": task.status,
        "SourceArn": task.source,
        "ApproximateNumberOfMessagesMoved": task.moved,
        "ApproximateNumberOfMessagesToMove": task.total,
        "StartedTimestamp": task.started,
    }
    more = {
        "TaskHandle": _handle(task) if task.status == RUNNING else "",
        "DestinationArn": task.destination,
        "MaxNumberOfMessagesPerSecond": task.rate,
        "FailureReason": task.reason,
    }
    return {**found, **{name: value for name, value in more.items() if value}}


def _handle(task: MoveTask) -> str:
    return base64.b64encode(orjson.dumps({"taskId": task.id, "sourceArn": task.source})).decode()


def _parsed(handle: str) -> tuple[str, str] | None:
    try:
        said = orjson.loads(base64.b64decode(handle, validate=True))
        return str(said["taskId"]), str(said["sourceArn"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        return None
