"""What of Amazon EventBridge is done here, and why the rest is refused."""

from __future__ import annotations

from services.schedule_manager.events.operations import EVENT_OPERATIONS
from services.sdk.aws.coverage import Coverage, served_operations
from services.sdk.aws.model import load_model

COVERAGE = Coverage(
    "events",
    served_operations(load_model("events"), EVENT_OPERATIONS),
    refused=(
        ("events are not kept once they were delivered", ("Archive", "Replay")),
        ("addresses are targets themselves, as `https://...`", ("Connection", "ApiDestination")),
        ("events go on buses of their own account alone", ("Permission",)),
        ("there are no partners here", ("Partner", "EventSource")),
        ("there are no other clouds to fall back on", ("Endpoint",)),
    ),
    answer="UnknownOperationException",
    differences=(
        "Targets are queues, topics, https addresses, and operations of services of this cloud as universal targets "
        "(`arn:aws:scheduler:::aws-sdk:service:operation`, with what the rule sends as its request); others (Lambda, "
        "another bus, `eventbridge:putEvents`, ...) are refused by name.",
        "A queue or topic is called under an IAM role where there is one (`RoleArn` of the target or of the rule, "
        "which trusts `events.amazonaws.com`); without one, as `events.amazonaws.com`, where its own policy allows "
        "that (`aws:SourceArn`, `aws:SourceAccount`). Universal targets need a role.",
        "Events that one target of a rule gets are sent one after another, in the order in which they were put; one "
        "that failed waits for its next attempt and lets the later ones pass. For one target 10,000 may wait, and "
        "256 MiB in an account; then `PutEvents` answers `ThrottlingException` for the entry.",
        "A bus with more than 300 rules takes no events, and the values of one request's events are compared with "
        "patterns 100,000 times at most: `PutEvents` answers `InvalidArgument` for the entry.",
        "What a target refuses for good (4xx, but for throttling) is a dead letter at once. Without a dead-letter "
        "queue it is logged and gone.",
        "A dot in the name of a field is part of the name: `a.b` in a pattern is not the field `b` of `a`.",
        "Numbers are compared as numbers: `300` and `3.0e2` are equal.",
        "Templates: what stands between quotation marks is escaped, so that a text stays one.",
        "Rules and buses that `kubectl` made are seen in every region; their ARN says `us-east-1`.",
        "The bus `default` has no tags, no description and no dates.",
    ),
)
