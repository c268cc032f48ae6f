"""The queue or topic a call was about, for the audit log: as an ARN."""

from __future__ import annotations

from typing import Any

from services.queue_manager.names import parse_url, plain_name, queue_arn
from services.queue_manager.topic_names import topic_arn
from services.sdk.aws.operations import RequestContext

_LONGEST = 512


def queue_of(call: RequestContext, request: dict[str, Any], _: dict[str, Any]) -> str:
    """Empty for calls about no queue."""
    if name := request.get("QueueName"):
        return queue_arn(call.region, call.account, str(name)[:_LONGEST])
    if arn := request.get("SourceArn"):
        return str(arn)[:_LONGEST]
    said = str(request.get("QueueUrl") or call.path)
    meant = parse_url(said) or plain_name(said, call.account)
    return queue_arn(call.region, meant.account, meant.name) if meant else ""


def topic_of(call: RequestContext, request: dict[str, Any], _: dict[str, Any]) -> str:
    """Empty for calls about no topic."""
    for member in ("TopicArn", "SubscriptionArn", "ResourceArn", "TargetArn"):
        if said := request.get(member):
            return str(said)[:_LONGEST]
    return topic_arn(call.region, call.account, str(request["Name"])[:_LONGEST]) if request.get("Name") else ""
