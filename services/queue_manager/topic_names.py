"""Names of topics and subscriptions as AWS has them. Light and pure. Source: Amazon SNS API, CreateTopic."""

from __future__ import annotations

import re
from typing import NamedTuple

from services.sdk.aws.arns import parse_arn
from services.sdk.aws.resource_names import DEFAULT_REGION

FIFO_ENDING = ".fifo"
LONGEST_NAME = 256
_NAME = re.compile(r"[A-Za-z0-9_-]{1,256}")


class TopicName(NamedTuple):
    """Which topic is meant, and which subscription of it; empty for the topic alone."""

    region: str
    account: str
    name: str
    subscription: str = ""


def topic_name_fault(name: str, *, fifo: bool) -> str | None:
    """Why that is no name of a topic, or None."""
    plain = name.removesuffix(FIFO_ENDING) if fifo else name
    if name.endswith(FIFO_ENDING) != fifo or len(name) > LONGEST_NAME or not _NAME.fullmatch(plain):
        end = "the ones of FIFO topics end in .fifo, and no others"
        return f"Topic Name: 1 to 256 letters, digits, hyphens or underscores; {end}"
    return None


def topic_arn(region: str, account: str, name: str) -> str:
    """`arn:aws:sns:eu-central-1:111122223333:orders`."""
    return f"arn:aws:sns:{region or DEFAULT_REGION}:{account}:{name}"


def parse_topic_arn(text: str) -> TopicName | None:
    """Of a topic, or of a subscription of it. None for others."""
    arn = parse_arn(text)
    if arn is None or arn.service != "sns" or not arn.account:
        return None
    name, _, subscription = arn.resource.partition(":")
    return TopicName(arn.region, arn.account, name, subscription)
