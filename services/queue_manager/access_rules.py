"""What SQS asks of its callers, for whoever explains decisions: also what a queue's policy says."""

from __future__ import annotations

from services.queue_manager.authorization import decide_by_queue_policy
from services.queue_manager.kinds import QUEUE
from services.queue_manager.operations import OPERATIONS
from services.queue_manager.queue import FoundQueue
from services.sdk.aws.access_rules import (
    AccessRules,
    Located,
    ResourceQuestion,
    ResourceVerdict,
    StoredObjects,
    permissions_of,
)
from services.sdk.aws.accounts import account_of
from services.sdk.aws.arns import Arn
from services.sdk.aws.policy import Context, Request


def locate(arn: Arn, objects: StoredObjects, namespace: str) -> Located:
    """The queue of that ARN."""
    for each in objects.all(QUEUE, namespace):
        found = FoundQueue(each)
        if found.label == arn.resource and found.is_in(arn.region):
            return Located(found.name, found.arn)
    return Located(arn.resource, str(arn))


def judge_queue(asked: ResourceQuestion) -> ResourceVerdict | None:
    """As `QueueAuthorizer.require` decides."""
    queue = next(
        (each for each in asked.objects.all(QUEUE, asked.namespace) if each.metadata.name == asked.name), None
    )
    policy = asked.policy or (queue.spec.policy if queue is not None else "")
    if queue is None or not policy:
        return None
    facts = {f"aws:ResourceTag/{key}": value for key, value in (queue.spec.tags or {}).items()}
    context = Context({**facts, **asked.facts})
    request = Request(asked.requester, asked.action, asked.arn, context, account_of(asked.namespace))
    decision = decide_by_queue_policy(request, policy, allowed=asked.by_identity)
    return ResourceVerdict(decision.allowed, decision, document=policy)


RULES = AccessRules(permissions_of("sqs", OPERATIONS), locate, judge_queue, has_policies=True)
