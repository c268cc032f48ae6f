"""Names of queues: as AWS calls them, ARNs, and the URLs clients use. Light and pure.

Source: Amazon SQS Developer Guide, "Amazon SQS queue and message identifiers".
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from services.sdk.aws.arns import parse_arn
from services.sdk.aws.resource_names import DEFAULT_REGION

FIFO_ENDING = ".fifo"
LONGEST_NAME = 80
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
_ACCOUNT = re.compile(r"[0-9]{12}")
_LONGEST_URL = 2048


class QueueName(NamedTuple):
    """Which queue is meant. region: empty for the caller's own."""

    account: str
    name: str
    region: str = ""


def name_fault(name: str, *, fifo: bool) -> str | None:
    """Why that is no name of a queue, or None."""
    if name.endswith(FIFO_ENDING) != fifo:
        return (
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, "
            "must end with .fifo suffix and be 1 to 80 in length."
        )
    plain = name.removesuffix(FIFO_ENDING) if fifo else name
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(plain):
        return "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
    return None


def is_entry_id(text: str) -> bool:
    """Whether an entry of a batch may be called so."""
    return _NAME.fullmatch(text) is not None


def queue_arn(region: str, account: str, name: str) -> str:
    """`arn:aws:sqs:eu-central-1:111122223333:orders`."""
    return f"arn:aws:sqs:{region or DEFAULT_REGION}:{account}:{name}"


def queue_url(origin: str, account: str, name: str) -> str:
    """origin: `https://cloud:7443`."""
    return f"{origin}/{account}/{name}"


def parse_url(url: str) -> QueueName | None:
    """The queue of a URL, whichever host it names, or of its path alone."""
    if len(url) > _LONGEST_URL:
        return None
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    account, _, name = path.strip("/").rpartition("/")
    account = account.rpartition("/")[2]
    return QueueName(account, name) if _ACCOUNT.fullmatch(account) and name else None


def plain_name(text: str, account: str) -> QueueName | None:
    """The queue of a name that stands where a URL should, which AWS takes as well."""
    return None if name_fault(text, fifo=text.endswith(FIFO_ENDING)) else QueueName(account, text)


def parse_queue_arn(text: str) -> QueueName | None:
    """None for what is no ARN of a queue."""
    arn = parse_arn(text)
    if arn is None or arn.service != "sqs" or not arn.account:
        return None
    if name_fault(arn.resource, fifo=arn.resource.endswith(FIFO_ENDING)):
        return None
    return QueueName(arn.account, arn.resource, arn.region)
