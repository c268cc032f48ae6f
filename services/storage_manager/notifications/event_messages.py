"""The messages that queues and topics get, as S3 writes them. Pure.

Source: S3 user guide, "Event message structure".
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote_plus

import orjson

from services.sdk.aws.accounts import account_of
from services.storage_manager.metadata.records import Object

# Those of the first version; later ones came with more.
_FIRST = ("ObjectCreated", "ObjectRemoved")
_HOST = "storage-manager"


class Origin(NamedTuple):
    """Who did it: as IAM names them, from which address, by which request."""

    principal: str
    address: str
    request: str


class SourceBucket(NamedTuple):
    """The bucket it happened in. `owner`: its account."""

    bucket: str
    owner: str
    region: str


def event_message(
    name: str, made: Object, origin: Origin, source: SourceBucket, configuration: str, sequencer: int, moment: float
) -> str:
    """`name`: without `s3:`. What was removed has no size, and no ETag."""
    removed = name.endswith(":Delete") and not name.startswith("ObjectTagging")
    told: dict[str, Any] = {"key": quote_plus(made.key, safe="/")}
    if not removed:
        told |= {"eTag": made.etag} if made.marker else {"size": made.size, "eTag": made.etag}
    if made.version:
        told["versionId"] = made.version
    record = {
        "eventVersion": "2.1" if name.startswith(_FIRST) else "2.3",
        "eventSource": "aws:s3",
        "awsRegion": source.region,
        "eventTime": moment_text(moment),
        "eventName": name,
        "userIdentity": {"principalId": origin.principal},
        "requestParameters": {"sourceIPAddress": origin.address},
        "responseElements": {"x-amz-request-id": origin.request, "x-amz-id-2": _HOST},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration,
            "bucket": {
                "name": source.bucket,
                "ownerIdentity": {"principalId": source.owner},
                "arn": f"arn:aws:s3:::{source.bucket}",
            },
            "object": told | {"sequencer": f"{sequencer:016X}"},
        },
    }
    return orjson.dumps({"Records": [record]}).decode()


def check_message(bucket: str, request: str, moment: float) -> str:
    """What each destination gets when it is configured."""
    told = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": moment_text(moment), "Bucket": bucket}
    return orjson.dumps({**told, "RequestId": request, "HostId": _HOST}).decode()


def source_bucket(bucket: str, namespace: str, region: str) -> SourceBucket:
    """Of a bucket in that namespace."""
    return SourceBucket(bucket, account_of(namespace), region)


def moment_text(seconds: float) -> str:
    """`2026-01-02T03:04:05.678Z`."""
    when = datetime.fromtimestamp(seconds, UTC)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{when.microsecond // 1000:03}Z"
