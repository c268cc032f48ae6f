"""What of AWS SQS is done here, and why the rest is refused."""

from __future__ import annotations

from services.queue_manager.operations import OPERATIONS
from services.sdk.aws.coverage import Coverage, served_operations
from services.sdk.aws.model import load_model

COVERAGE = Coverage(
    "sqs",
    served_operations(load_model("sqs"), OPERATIONS),
    refused=(),
    answer="UnknownOperationException",
    notes="Json and the older query protocol are both spoken, with the same answers.",
    differences=(
        "Messages are not encrypted at rest: `KmsMasterKeyId` and `SqsManagedSseEnabled=true` are refused.",
        "A receive is durable before it is answered: after a crash nobody gets what somebody else still has.",
        "Nothing is throttled: `FifoThroughputLimit` says how deduplication ids count, not how fast a queue is.",
        "A queue may be made again at once after it was deleted, and purged as often as one likes.",
        "`MessageGroupId` on a standard queue is kept and given back; it changes no order (no fair queues).",
        "`ReceiveRequestAttemptId` is remembered in memory: not over a restart of the service.",
        "Queues that `kubectl` made are seen in every region; their ARN says `us-east-1`.",
    ),
)
