"""Documents in the bodies of requests, read by S3's model: a member that it does not have is refused.

Moments are kept as the text S3 writes, so that a document is plain JSON.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from services.sdk.aws.errors import AwsError
from services.sdk.aws.model import load_model
from services.sdk.aws.protocols import Codec, HttpRequest, codec_for
from services.sdk.aws.protocols.timestamps import ISO, iso_text, moment_reader
from services.storage_manager.errors import S3Error

Document = dict[str, Any]
SAID_BESIDE = frozenset({"Bucket", "Key"})


def read_document(operation: str, body: bytes) -> Any:
    """The value of the operation's body. Raises S3Error MissingRequestBodyError, MalformedXML."""
    if not body.strip():
        raise S3Error("MissingRequestBodyError", "Request Body is empty")
    try:
        found = codec().parse(operation, HttpRequest("PUT", "/bucket/key", "", {}, body))
    except AwsError as wrong:
        raise S3Error("MalformedXML", wrong.message) from wrong
    values = [value for name, value in found.items() if name not in SAID_BESIDE]
    return _plain(values[0])


def moment_of(text: str) -> datetime:
    """A moment of a kept document."""
    return moment_reader(ISO)(text)


def midnight_after(moment: datetime) -> datetime:
    """The midnight (UTC) that comes next."""
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day if day == moment else datetime.fromtimestamp(day.timestamp() + 86_400, UTC)


@cache
def codec() -> Codec:
    """S3's own protocol."""
    return codec_for(load_model("s3"), "rest-xml")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return iso_text(value) if isinstance(value, datetime) else value
