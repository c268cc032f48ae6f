"""What a schedule may call: an ARN, read into the operation of this cloud that it means. Light and pure.

    arn:aws:sqs:eu-central-1:111122223333:orders       SendMessage to that queue
    arn:aws:sns:eu-central-1:111122223333:news         Publish to that topic
    arn:aws:scheduler:::aws-sdk:sqs:purgeQueue         that operation, with the input as its request
    https://hooks.example.com/nightly                  POST to that address

Source: AWS EventBridge Scheduler User Guide, "Templated targets", "Universal targets".
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from services.sdk.aws.arns import parse_arn

UNIVERSAL = "aws-sdk:"
_TEMPLATED = {"sqs": "SendMessage", "sns": "Publish"}
_ELSEWHERE = {
    "ecs": "there is no ECS here",
    "lambda": "there are no Lambda functions here",
    "states": "there is no Step Functions here",
    "kinesis": "there is no Kinesis here",
    "firehose": "there is no Firehose here",
    "codebuild": "there is no CodeBuild here",
    "codepipeline": "there is no CodePipeline here",
    "inspector": "there is no Inspector here",
    "sagemaker": "there is no SageMaker here",
    "events": "event buses are not targets here yet",
}
_READING = (
    "get", "describe", "list", "poll", "receive", "search", "scan", "query", "select", "read", "lookup", "discover",
    "validate", "batchGet", "batchDescribe", "batchRead", "transactGet", "adminGet", "adminList", "testMigration",
    "retrieve", "testConnection", "translateDocument", "isAuthorized", "invokeModel",
)  # fmt: skip
_SIGNED_FOR = {"eventbridge": "events"}
_FORMS = "the ARN of a queue or topic, arn:aws:scheduler:::aws-sdk:service:operation, or an https address"


class Target(NamedTuple):
    """`service`: an AWS service, as models call it, `https` for an address. `operation`: as its model has it, but for
    a universal target the SDK's, in camel case. `universal`: the input is the whole request.
    """

    service: str
    operation: str
    universal: bool = False

    @property
    def puts_events(self) -> bool:
        """Whether rules would want what comes of it."""
        return (self.service.lower(), self.operation.lower()) == ("events", "putevents")


class TargetFault(ValueError):
    """Nothing a schedule can call, and why."""


def read_target(arn: str) -> Target:
    """Raises TargetFault."""
    if arn.startswith("https://"):
        return _address(arn)
    parsed = parse_arn(arn)
    if parsed is None:
        raise TargetFault(f"a target is {_FORMS}")
    if parsed.service == "scheduler" and parsed.resource.startswith(UNIVERSAL):
        return _universal(parsed.resource.removeprefix(UNIVERSAL))
    if parsed.service in _TEMPLATED:
        if not parsed.region or not parsed.account or ":" in parsed.resource:
            raise TargetFault(f"{arn} has no region, no account, or is no queue or topic")
        return Target(parsed.service, _TEMPLATED[parsed.service])
    raise TargetFault(_ELSEWHERE.get(parsed.service, f"a target is {_FORMS}"))


def _address(text: str) -> Target:
    try:
        parts = urlsplit(text)
        fits = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        fits = False
    if not fits or not text.isascii() or any(each.isspace() for each in text):
        raise TargetFault("that is no https address")
    if parts.username is not None or parts.fragment:
        raise TargetFault("an address has no user, password or fragment here")
    return Target("https", "POST")


def _universal(text: str) -> Target:
    service, colon, operation = text.partition(":")
    if not colon or not service.isalnum() or not operation.isalnum() or not operation[0].islower():
        raise TargetFault("a universal target is arn:aws:scheduler:::aws-sdk:service:operation, as sqs:sendMessage")
    if any(_begins(operation, each) for each in _READING):
        raise TargetFault(f"{service}:{operation} only reads; whoever reads wants an answer, and here nobody waits")
    return Target(_SIGNED_FOR.get(service.lower(), service), operation, universal=True)


def _begins(operation: str, word: str) -> bool:
    """Whether its first words are these: `getQueueUrl` begins with get, `getter` would not."""
    rest = operation.removeprefix(word)
    return rest != operation and (not rest or not rest[0].islower())
