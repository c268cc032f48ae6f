"""The messages that queues and topics get, as S3 writes them. Pure.

Source: S3 user guide, "Event message structure".
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote_plus

import orjson

from crds.model import rfc3339_milli
from services.sdk.aws.accounts import account_of
from services.storage_manager.metadata.records import Object

# Those of the first version; later ones came with more.
_FIRST = ("ObjectCreated", "ObjectRemoved")
_HOST = "storage-manager"
_OF_NOTHING = hashlib.md5(usedforsecurity=False).hexdigest()


class Origin(NamedTuple):
    """Who did it: as IAM names them, from which address (None: nobody asked for it), by which request, and the
    account they are of, or the service of AWS's.
    """

    principal: str
    address: str | None
    request: str
    account: str


class SourceBucket(NamedTuple):
    """The bucket it happened in. `owner`: its account."""

    bucket: str
    owner: str
    region: str


class Happening(NamedTuple):
    """What is told. `name`: without `s3:`; `made`: the version it is about; `moment`: in seconds since 1970."""

    name: str
    made: Object
    origin: Origin
    source: SourceBucket
    sequencer: int
    moment: float

    @property
    def removed(self) -> bool:
        """Whether the version itself is gone: it has no size then, and no ETag."""
        return self.name.endswith(":Delete") and not self.name.startswith("ObjectTagging")

    @property
    def etag(self) -> str:
        """That of nothing for a delete marker."""
        return _OF_NOTHING if self.made.marker else self.made.etag

    @property
    def sequence(self) -> str:
        """The sequencer, as it is told: later ones are greater texts."""
        return f"{self.sequencer:016X}"


def event_message(what: Happening, configuration: str) -> str:
    """`configuration`: the id of the one that asks for it."""
    name, made, origin, source = what.name, what.made, what.origin, what.source
    told: dict[str, Any] = {"key": quote_plus(made.key, safe="/")}
    if not what.removed:
        told |= {"eTag": what.etag} if made.marker else {"size": made.size, "eTag": what.etag}
    if made.version:
        told["versionId"] = made.version
    record = {
        "eventVersion": "2.1" if name.startswith(_FIRST) else "2.3",
        "eventSource": "aws:s3",
        "awsRegion": source.region,
        "eventTime": moment_text(what.moment),
        "eventName": name,
        "userIdentity": {"principalId": origin.principal},
        "requestParameters": {"sourceIPAddress": origin.principal if origin.address is None else origin.address},
        "responseElements": {"x-amz-request-id": origin.request, "x-amz-id-2": _HOST},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": configuration,
            "bucket": {
                "name": source.bucket,
                "ownerIdentity": {"principalId": source.owner},
                "arn": f"arn:aws:s3:::{source.bucket}",
            },
            "object": told | {"sequencer": what.sequence},
        },
    }
    return orjson.dumps({"Records": [record]}).decode()


def check_message(bucket: str, request: str, moment: float) -> str:
    """What each queue and topic gets when it is configured."""
    told = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": moment_text(moment), "Bucket": bucket}
    return orjson.dumps({**told, "RequestId": request, "HostId": _HOST}).decode()


def source_bucket(bucket: str, namespace: str, region: str) -> SourceBucket:
    """Of a bucket in that namespace. `region`: its location; `EU` is the old name of one."""
    return SourceBucket(bucket, account_of(namespace), "eu-west-1" if region == "EU" else region)


def moment_text(seconds: float) -> str:
    """`2026-01-02T03:04:05.678Z`."""
    return rfc3339_milli(datetime.fromtimestamp(seconds, UTC))
