"""What of EventBridge and its Scheduler is done here, and why the rest is refused."""

from __future__ import annotations

from services.schedule_manager.events.coverage import COVERAGE as EVENTS_COVERAGE
from services.schedule_manager.operations import OPERATIONS
from services.sdk.aws.coverage import Coverage, served_operations
from services.sdk.aws.model import load_model

SCHEDULER_COVERAGE = Coverage(
    "scheduler",
    served_operations(load_model("scheduler"), OPERATIONS),
    refused=(),
    answer="UnknownOperationException",
    notes="Members that are refused answer UnsupportedOperationException when they are given, and change nothing.",
    differences=(
        "Targets are queues, topics, https addresses, and the operations of services of this cloud as universal "
        "targets; those of other services (Lambda, ECS, Step Functions, ...) are refused by name.",
        "`KmsKeyArn` is refused: schedules lie in the store of the cloud, as all resources do.",
        "A call comes when it is due, not within 60 seconds of it; `ActionAfterCompletion` is carried out at once.",
        "A flexible window is kept by a moment that is always the same for one due time.",
        "What a service refuses for good (4xx, but for throttling) is not tried again: it is a dead letter at once, "
        "with the `EXHAUSTED_RETRY_CONDITION` `NotRetryable`.",
        "Schedules that `kubectl` made are seen in every region; their ARN says `us-east-1`.",
        "The group `default` has no tags and no dates.",
    ),
)
COVERAGE = (SCHEDULER_COVERAGE, EVENTS_COVERAGE)
