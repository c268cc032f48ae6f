"""The front page of queue_manager: AWS SQS and SNS for queues and topics that are resources."""

from __future__ import annotations

from crds.managed import Grant, ManagedService, PublicPath
from services.queue_manager.kinds import QUEUE
from services.queue_manager.topic_kinds import SUBSCRIPTION, TOPIC

_ALL = ("get", "list", "watch", "create", "update", "patch", "delete")

MANIFEST = ManagedService(
    name="queue_manager",
    title="Queues",
    summary="Queues of messages and topics, standard and FIFO, over the AWS SQS and SNS protocols.",
    create="services.queue_manager.app:create",
    access_rules="services.queue_manager.access_rules:RULES",
    kinds=(QUEUE, TOPIC, SUBSCRIPTION),
    speaks=("sqs", "sns"),
    public=(PublicPath("GET", "/sns/"),),
    starts_enabled=True,
    activation="onDemand",
    grants=(Grant("queues", _ALL), Grant("topics", _ALL), Grant("subscriptions", _ALL)),
    acts=(
        Grant("queues", ("get", "list", "create", "patch", "delete", "use")),
        Grant("topics", ("get", "list", "create", "patch", "delete", "use")),
    ),
    keeps_data=True,
    backup="services.queue_manager.backup:HOOKS",
)
