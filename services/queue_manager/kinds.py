"""Queue: messages that wait for somebody. `aws sqs create-queue` and `kubectl apply` both make one."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from crds.kind import Column, Kind, Resource
from crds.meta import Spec, Status
from crds.model import Model, Timestamp
from services.queue_manager.conditions import QueuePhase
from services.queue_manager.invariants import MESSAGES, QUEUE_MANAGER, keeps_its_name
from services.queue_manager.names import parse_queue_arn
from services.queue_manager.queue_policy import policy_fault
from services.sdk.aws.tags import tag_fault

QueueArn = Annotated[str, Field(max_length=256)]


def _require_arn(arn: str) -> str:
    if parse_queue_arn(arn) is None:
        raise ValueError(f"{arn!r} is no ARN of a queue (arn:aws:sqs:REGION:ACCOUNT:NAME)")
    return arn


class Redrive(Model):
    """Where a message goes that was received `maxReceiveCount` times and not deleted: a queue of the same account."""

    dead_letter_target_arn: QueueArn
    max_receive_count: Annotated[int, Field(ge=1, le=1000)]

    _is_arn = field_validator("dead_letter_target_arn")(_require_arn)


class RedriveAllow(Model):
    """Whose dead letters it takes: those of all queues of the account, of none, or of `sourceQueueArns`."""

    permission: Literal["allowAll", "denyAll", "byQueue"] = "allowAll"
    source_queue_arns: Annotated[list[QueueArn], Field(max_length=10)] = []

    @model_validator(mode="after")
    def _names_queues_where_it_asks(self) -> Self:
        if bool(self.source_queue_arns) != (self.permission == "byQueue"):
            raise ValueError("sourceQueueArns are named with permission byQueue, and with no other")
        for each in self.source_queue_arns:
            _require_arn(each)
        return self


class Fifo(Model):
    """That messages of a group come one after the other, each once. With `throughputLimit: perMessageGroupId`,
    deduplication ids are unique in their group.
    """

    content_based_deduplication: bool = False
    deduplication_scope: Literal["queue", "messageGroup"] = "queue"
    throughput_limit: Literal["perQueue", "perMessageGroupId"] = "perQueue"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.throughput_limit == "perMessageGroupId" and self.deduplication_scope != "messageGroup":
            raise ValueError("throughputLimit perMessageGroupId takes deduplicationScope messageGroup")
        return self


class QueueSpec(Spec):
    """`queueName`: as AWS calls it, the resource's own name where it is empty; `region`: where AWS clients find it,
    empty: everywhere; neither may change. `fifo`: neither may that. `policy`: a resource policy of AWS, JSON.
    """

    queue_name: str = ""
    region: Annotated[str, Field(max_length=32)] = ""
    fifo: Fifo | None = None
    visibility_timeout_seconds: Annotated[int, Field(ge=0, le=43_200)] = 30
    delay_seconds: Annotated[int, Field(ge=0, le=900)] = 0
    retention_seconds: Annotated[int, Field(ge=60, le=1_209_600)] = 345_600
    receive_wait_seconds: Annotated[int, Field(ge=0, le=20)] = 0
    maximum_message_bytes: Annotated[int, Field(ge=1024, le=1_048_576)] = 1_048_576
    redrive: Redrive | None = None
    redrive_allow: RedriveAllow | None = None
    policy: str = ""
    tags: dict[str, str] | None = None

    @field_validator("tags")
    @classmethod
    def _are_tags(cls, tags: dict[str, str] | None) -> dict[str, str] | None:
        if fault := tag_fault(tags or {}):
            raise ValueError(fault)
        return tags

    @field_validator("policy")
    @classmethod
    def _is_policy(cls, text: str) -> str:
        if text and (fault := policy_fault(text)):
            raise ValueError(fault)
        return text


class QueueStatus(Status):
    """What was seen, a little while ago. `visible`, `inFlight`, `delayed`: how many messages; `oldestSentAt`: when
    the oldest of them was sent. `modifiedAt`: when its spec changed last.
    """

    phase: QueuePhase | None = None
    arn: str = ""
    visible: int | None = None
    in_flight: int | None = None
    delayed: int | None = None
    oldest_sent_at: Timestamp | None = None
    modified_at: Timestamp | None = None
    generation: int = 0


class Queue(Resource[QueueSpec, QueueStatus]):
    """Messages that wait for somebody."""

    spec: QueueSpec = Field(default_factory=QueueSpec)
    status: QueueStatus = Field(default_factory=QueueStatus)


QUEUE = Kind(
    name="Queue",
    plural="queues",
    singular="queue",
    model=Queue,
    categories=("all",),
    description="Messages that wait for somebody, over the AWS SQS protocol.",
    invariants=(keeps_its_name,),
    keepers=(MESSAGES,),
    keeper=QUEUE_MANAGER,
    columns=(
        Column("Name", "metadata.name"),
        Column("Phase", "status.phase"),
        Column("Visible", "status.visible", "integer"),
        Column("In flight", "status.inFlight", "integer"),
        Column("Delayed", "status.delayed", "integer"),
        Column("Oldest", "status.oldestSentAt", "date"),
        Column("Queue", "spec.queueName", priority=1),
        Column("Dead letters to", "spec.redrive.deadLetterTargetArn", priority=1),
        Column("ARN", "status.arn", priority=1),
        Column("Age", "metadata.creationTimestamp", "date"),
    ),
)
