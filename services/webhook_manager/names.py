"""Names that appear outside: paths, Secrets, ids of messages, ARNs. Light and pure."""

from __future__ import annotations

import hashlib
import re
from uuid import uuid4

from services.sdk.aws.accounts import account_of

INBOUND = "/inbound/"
SECRET_TYPE = "aerekos.cloud/webhook"  # noqa: S105 - a type's name
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")


def secret_name(endpoint: str) -> str:
    """What the Secret of an endpoint is called."""
    return f"{endpoint}-webhook"


def inbound_path(namespace: str, name: str) -> str:
    """Where the messages of a source are posted to, at the cloud's own address."""
    return f"/services/webhook-manager{INBOUND}{namespace}/{name}"


def source_arn(namespace: str, name: str) -> str:
    """What trust policies know as `aws:SourceArn` when a source puts messages into a queue."""
    return f"arn:aws:events:us-east-1:{account_of(namespace)}:event-source/webhooks/{name}"


def endpoint_path(namespace: str, name: str) -> str:
    """The `source` of CloudEvents that say none."""
    return f"/namespaces/{namespace}/webhookendpoints/{name}"


def new_id() -> str:
    return f"msg_{uuid4().hex}"


def is_id(text: str) -> bool:
    """Whether a message may be called that: no dot, which ends the id in what is signed."""
    return _ID.fullmatch(text) is not None


def id_of(text: str) -> str:
    """The id of a message that somebody else calls `text`."""
    return text if is_id(text) else f"in_{hashlib.sha256(text.encode()).hexdigest()[:40]}"
