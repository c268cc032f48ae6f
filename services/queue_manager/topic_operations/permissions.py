"""SNS operations that write a statement of a topic's policy. Source: Amazon SNS API reference, AddPermission,
RemovePermission.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from services.queue_manager.found_topic import FoundTopic
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
from services.queue_manager.queue_policy import policy_fault
from services.queue_manager.topic_kinds import TOPIC
from services.queue_manager.topic_operations.topic_access import TopicAccess, invalid
from services.queue_manager.topic_operations.topics import default_policy
from services.sdk.aws.errors import AwsError
from services.sdk.aws.operations import RequestContext, operation

Json = dict[str, Any]
SHARED = (
    "AddPermission",
    "DeleteTopic",
    "GetTopicAttributes",
    "ListSubscriptionsByTopic",
    "Publish",
    "RemovePermission",
    "SetTopicAttributes",
    "Subscribe",
)
_ADD = ("TopicArn", "Label", "AWSAccountId", "ActionName")


class TopicPermissionOperations:
    """One declared method per operation."""

    def __init__(self, access: TopicAccess) -> None:
        self._access = access

    @operation("AddPermission", permission=("patch", TOPIC), understands=_ADD)
    async def add_permission(self, call: RequestContext, request: Json) -> Json:
        found = await self._access.resolve(call, request["TopicArn"])
        statement = _statement(found, request)
        await self._change(call, found, lambda policy: _with(policy, statement))
        return {}

    @operation("RemovePermission", permission=("patch", TOPIC), understands=("TopicArn", "Label"))
    async def remove_permission(self, call: RequestContext, request: Json) -> Json:
        found = await self._access.resolve(call, request["TopicArn"])
        await self._change(call, found, lambda policy: _without(policy, request["Label"]))
        return {}

    async def _change(self, call: RequestContext, found: FoundTopic, change: Callable[[Json], Json]) -> None:
        """Two at once are both in it."""
        acting = await self._access.authorizer.resources_for(call, found.name, found.namespace)
        await self._access.topics.change_spec(
            acting, found, lambda newest: {"policy": _text_of(newest, change(_policy_of(newest)))}
        )


def _policy_of(found: FoundTopic) -> Json:
    """As GetTopicAttributes shows it, also where nobody wrote one."""
    return read_policy(found.spec.policy or default_policy(found))


def _text_of(found: FoundTopic, policy: Json) -> str:
    """What is stored: nothing, where it is what a topic without a policy shows. Raises AwsError."""
    if policy == _default(found) or not policy["Statement"]:
        return ""
    text = orjson.dumps(policy).decode()
    if fault := policy_fault(text):
        raise invalid(f"Policy statement: {fault}")
    return text


def _default(found: FoundTopic) -> Json:
    return read_policy(default_policy(found))


def _with(policy: Json, statement: Json) -> Json:
    try:
        return with_statement(policy, statement)
    except LabelTaken:
        raise invalid("Statement already exists") from None


def _without(policy: Json, label: str) -> Json:
    try:
        return without_statement(policy, label)
    except NoSuchLabel:
        raise AwsError("NotFound", "Statement does not exist", 404) from None


def _statement(found: FoundTopic, request: Json) -> Json:
    label, accounts, actions = request["Label"], request["AWSAccountId"], request["ActionName"]
    if not is_label(label):
        raise invalid("Label Reason: 1 to 80 letters, digits, hyphens or underscores")
    if not accounts or not actions:
        raise invalid("AWSAccountId and ActionName Reason: at least one of each")
    if wrong := [each for each in accounts if not is_account(each)]:
        raise invalid(f"AWSAccountId Reason: {wrong[0][:40]} is no account")
    if wrong := [each for each in actions if each not in SHARED]:
        raise invalid(f"Policy statement action out of service scope! {wrong[0][:40]}; there are {', '.join(SHARED)}")
    return allowing(label, accounts, [f"SNS:{each}" for each in actions], found.arn)
