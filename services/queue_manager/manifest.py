"""The front page of queue_manager: AWS SQS for queues that are resources."""

from __future__ import annotations

from crds.managed import Grant, ManagedService
from services.queue_manager.kinds import QUEUE

MANIFEST = ManagedService(
    name="queue_manager",
    title="Queues",
    summary="Queues of messages, standard and FIFO, over the AWS SQS protocol.",
    create="services.queue_manager.app:create",
    access_rules="services.queue_manager.access_rules:RULES",
    kinds=(QUEUE,),
    speaks=("sqs",),
    grants=(Grant("queues", ("get", "list", "watch", "create", "update", "patch", "delete")),),
    acts=(Grant("queues", ("get", "list", "create", "patch", "delete", "use")),),
    keeps_data=True,
)
