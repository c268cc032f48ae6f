"""What of AWS SQS and SNS is done here, and why the rest is refused."""

from __future__ import annotations

from services.queue_manager.operations import OPERATIONS
from services.queue_manager.topic_operations import TOPIC_OPERATIONS
from services.sdk.aws.coverage import Coverage, served_operations
from services.sdk.aws.model import load_model

SQS_COVERAGE = Coverage(
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
SNS_COVERAGE = Coverage(
    "sns",
    served_operations(load_model("sns"), TOPIC_OPERATIONS),
    refused=(
        ("nothing here sends messages to phones", ("SMS", "Phone", "OriginationNumbers")),
        ("nothing here pushes to mobile devices", ("Platform", "Endpoint")),
        ("what is published is looked at by filters alone", ("DataProtection",)),
    ),
    answer="InvalidAction",
    differences=(
        "Queues (`sqs`) and addresses (`https`, `http`) subscribe; email, sms, application, lambda and firehose are "
        "refused. An address that is asked anew to confirm gets another token; each holds for two days.",
        "Of a `DeliveryPolicy` its healthy phase, its throttle and its `headerContentType` count; there is no sickly "
        "phase, and the curves of the functions are ours between the two waits.",
        "Who unsubscribes by `UnsubscribeURL` is not asked once more (no `UnsubscribeConfirmation`).",
        "Messages, in queues too, are signed by a key of this cloud: `SigningCertURL` is at its own address, which "
        "verifiers that ask for one of amazonaws.com do not take.",
        "All queues that want a message get it in one transaction, before `Publish` is answered, or none does.",
        "A topic delivers to queues of its own account unless their policy denies it; to others where it allows it "
        "(`sns.amazonaws.com`, `aws:SourceArn`).",
        "A FIFO topic delivers to FIFO queues alone; each queue forgets doubles itself, so a second `Publish` of the "
        "same deduplication id has another `MessageId`.",
        "Attributes of topics that are not done (`KmsMasterKeyId`, `TracingConfig`, archives, logging) are refused.",
    ),
)
COVERAGE = (SQS_COVERAGE, SNS_COVERAGE)
