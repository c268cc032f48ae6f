"""The events that a bucket's account gets on its event bus, as S3 writes them. Pure.

Source: S3 user guide, "Using EventBridge", "EventBridge event message structure"; EventBridge API reference,
PutEventsRequestEntry.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from services.storage_manager.notifications.event_messages import Happening, SourceBucket

SOURCE = "aws.s3"
_BY = {
    "ObjectCreated:Put": "PutObject",
    "ObjectCreated:Post": "POST Object",
    "ObjectCreated:Copy": "CopyObject",
    "ObjectCreated:CompleteMultipartUpload": "CompleteMultipartUpload",
    "ObjectRemoved": "DeleteObject",
    "LifecycleExpiration": "Lifecycle Expiration",
}


class _Told(NamedTuple):
    """What an event's detail says of its object beside its key, its version and, of one that is there, its ETag."""

    type: str
    size: bool = False
    sequencer: bool = False


_CREATED, _DELETED = _Told("Object Created", size=True, sequencer=True), _Told("Object Deleted", sequencer=True)
_TYPES = {
    "ObjectCreated": _CREATED,
    "ObjectRemoved": _DELETED,
    "LifecycleExpiration": _DELETED,
    "ObjectTagging:Put": _Told("Object Tags Added"),
    "ObjectTagging:Delete": _Told("Object Tags Deleted"),
    "ObjectAcl:Put": _Told("Object ACL Updated"),
}


def default_bus(source: SourceBucket) -> str:
    """The ARN of the bus that its events go on: the one every account has, in the bucket's region."""
    return f"arn:aws:events:{source.region}:{source.owner}:event-bus/default"


def bus_entry(what: Happening) -> str:
    """The entry of PutEvents, as JSON."""
    told, origin, bucket = _of(_TYPES, what.name), what.origin, what.source.bucket
    detail = {"version": "0", "bucket": {"name": bucket}, "object": _object(what, told), "request-id": origin.request}
    detail |= {"requester": origin.account}
    if origin.address is not None:
        detail["source-ip-address"] = origin.address
    if told in (_CREATED, _DELETED):
        detail["reason"] = _of(_BY, what.name)
    if told is _DELETED:
        detail["deletion-type"] = "Permanently Deleted" if what.removed else "Delete Marker Created"
    entry = {
        "Time": int(what.moment),
        "Source": SOURCE,
        "DetailType": told.type,
        "Resources": [f"arn:aws:s3:::{bucket}"],
        "Detail": orjson.dumps(detail).decode(),
    }
    return orjson.dumps(entry).decode()


def _object(what: Happening, told: _Told) -> dict[str, Any]:
    made = what.made
    found: dict[str, Any] = {"key": made.key}
    if not what.removed:
        found |= {"size": made.size, "etag": what.etag} if told.size else {"etag": what.etag}
    if made.version:
        found["version-id"] = made.version
    return found | ({"sequencer": what.sequence} if told.sequencer else {})


def _of(table: dict[str, Any], name: str) -> Any:
    """By the event's whole name, or by its kind."""
    return table[name] if name in table else table[name.partition(":")[0]]
