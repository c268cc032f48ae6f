"""Every SQS operation queue_manager answers, one module per topic."""

from __future__ import annotations

from services.queue_manager.move_tasks import MoveTasks
from services.queue_manager.operations.batches import BatchOperations
from services.queue_manager.operations.messages import MessageOperations
from services.queue_manager.operations.moving import MoveOperations
from services.queue_manager.operations.permissions import PermissionOperations
from services.queue_manager.operations.queue_access import QueueAccess
from services.queue_manager.operations.queues import QueueOperations
from services.queue_manager.operations.tags import TagOperations
from services.sdk.aws.operations import declared_operations

# An operation that is missing here answers UnknownOperationException, or InvalidAction.
OPERATIONS = declared_operations(
    QueueOperations, MessageOperations, BatchOperations, TagOperations, PermissionOperations, MoveOperations
)


def handlers(queues: QueueAccess, tasks: MoveTasks) -> list[object]:
    """What answers them."""
    messages = MessageOperations(queues)
    return [
        QueueOperations(queues),
        messages,
        BatchOperations(queues, messages),
        TagOperations(queues),
        PermissionOperations(queues),
        MoveOperations(queues, tasks),
    ]
