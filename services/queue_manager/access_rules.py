"""What SQS and SNS ask of their callers, for whoever explains decisions: also what policies of theirs say."""

from __future__ import annotations

from services.queue_manager.authorization import Guarded, decide_by_queue_policy
from services.queue_manager.found_topic import FoundTopic
from services.queue_manager.kinds import QUEUE
from services.queue_manager.operations import OPERATIONS
from services.queue_manager.queue import FoundQueue
from services.queue_manager.topic_kinds import TOPIC
from services.queue_manager.topic_operations import TOPIC_OPERATIONS
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


def _known(service: str, objects: StoredObjects, namespace: str) -> list[FoundQueue] | list[FoundTopic]:
    if service == "sns":
        return [FoundTopic(each) for each in objects.all(TOPIC, namespace)]
    return [FoundQueue(each) for each in objects.all(QUEUE, namespace)]


def locate(arn: Arn, objects: StoredObjects, namespace: str) -> Located:
    """The queue or topic of that ARN, also of a subscription."""
    name = arn.resource.partition(":")[0]
    for each in _known(arn.service, objects, namespace):
        if each.label == name and each.is_in(arn.region):
            return Located(each.name, each.arn)
    return Located(name, str(arn))


def judge(asked: ResourceQuestion) -> ResourceVerdict | None:
    """As `QueueAuthorizer.require` decides."""
    service = asked.action.partition(":")[0]
    known = _known(service, asked.objects, asked.namespace)
    found: Guarded | None = next((each for each in known if each.name == asked.name), None)
    policy = asked.policy or (found.spec.policy if found is not None else "")
    if found is None or not policy:
        return None
    facts = {f"aws:ResourceTag/{key}": value for key, value in (found.spec.tags or {}).items()}
    context = Context({**facts, **asked.facts})
    request = Request(asked.requester, asked.action, asked.arn, context, account_of(asked.namespace))
    decision = decide_by_queue_policy(request, policy, allowed=asked.by_identity)
    return ResourceVerdict(decision.allowed, decision, document=policy)


RULES = AccessRules(
    permissions_of("sqs", OPERATIONS) | permissions_of("sns", TOPIC_OPERATIONS), locate, judge, has_policies=True
)
