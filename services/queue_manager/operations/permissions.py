"""SQS operations that write a statement of a queue's policy. Source: Amazon SQS API reference, AddPermission,
RemovePermission; the policy they make is that of the Developer Guide, "Amazon SQS policy language".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from services.queue_manager import errors
from services.queue_manager.kinds import QUEUE
from services.queue_manager.labelled_statements import (
    LabelTaken,
    NoSuchLabel,
    allowing,
    is_account,
    is_label,
    read_policy,
    with_statement,
    without_statement,
)
from services.queue_manager.operations.queue_access import QueueAccess
from services.queue_manager.queue import FoundQueue
from services.queue_manager.queue_policy import policy_fault
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
# What one account may let another one do; what changes a queue it keeps to itself.
SHARED = (
    "ChangeMessageVisibility",
    "DeleteMessage",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "PurgeQueue",
    "ReceiveMessage",
    "SendMessage",
)
MOST_ACTIONS = 7


class PermissionOperations:
    """One declared method per operation."""

    def __init__(self, queues: QueueAccess) -> None:
        self._queues = queues

    @operation(
        "AddPermission", permission=("patch", QUEUE), understands=("QueueUrl", "Label", "AWSAccountIds", "Actions")
    )
    async def add_permission(self, call: RequestContext, request: Json) -> Json:
        found = await self._queues.resolve(call, request)
        statement = _statement(found, request)
        await self._change(call, found, lambda policy: _with(policy, statement))
        return {}

    @operation("RemovePermission", permission=("patch", QUEUE), understands=("QueueUrl", "Label"))
    async def remove_permission(self, call: RequestContext, request: Json) -> Json:
        found = await self._queues.resolve(call, request)
        await self._change(call, found, lambda policy: _without(policy, request["Label"]))
        return {}

    async def _change(self, call: RequestContext, found: FoundQueue, change: Callable[[Json], Json]) -> None:
        """Two at once are both in it."""
        acting = await self._queues.authorizer.resources_for(call, found.name, found.namespace)
        await self._queues.directory.change(
            acting, found, lambda newest: {"policy": _text_of(change(_policy_of(newest)))}
        )


def _with(policy: Json, statement: Json) -> Json:
    try:
        return with_statement(policy, statement)
    except LabelTaken:
        raise errors.invalid_parameter(statement["Sid"], "Label", "Already exists") from None


def _without(policy: Json, label: str) -> Json:
    try:
        return without_statement(policy, label)
    except NoSuchLabel:
        raise errors.invalid_parameter(label, "Label", "can't find label on existing policy") from None


def _text_of(policy: Json) -> str:
    text = orjson.dumps(policy).decode() if policy["Statement"] else ""
    if text and (fault := policy_fault(text)):
        raise AwsError("OverLimit" if "at most" in fault else "InvalidParameterValue", fault)
    return text


def _policy_of(found: FoundQueue) -> Json:
    if not found.spec.policy:
        return {"Version": "2012-10-17", "Id": f"{found.arn}/SQSDefaultPolicy", "Statement": []}
    return read_policy(found.spec.policy)


def _statement(found: FoundQueue, request: Json) -> Json:
    label, accounts, actions = request["Label"], request["AWSAccountIds"], request["Actions"]
    if not is_label(label):
        raise errors.invalid_parameter(label, "Label", "1 to 80 letters, digits, hyphens or underscores")
    if not accounts or not actions:
        raise errors.missing("AWSAccountId" if not accounts else "ActionName")
    if wrong := [each for each in accounts if not is_account(each)]:
        raise errors.invalid_parameter(wrong[0], "PrincipalId", "Unable to verify")
    if len(actions) > MOST_ACTIONS:
        raise AwsError("OverLimit", f"{len(actions)} Actions were found, maximum allowed is {MOST_ACTIONS}.")
    if wrong := [each for each in actions if each != "*" and each not in SHARED]:
        reason = f"Only the queue owner is allowed to invoke this action; there are {', '.join(SHARED)}"
        raise errors.invalid_parameter(f"SQS:{wrong[0]}", "ActionName", reason)
    return allowing(label, accounts, [f"SQS:{each}" for each in actions], found.arn)
