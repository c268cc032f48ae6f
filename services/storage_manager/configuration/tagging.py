"""Tags of buckets and objects: in documents, and in the header `x-amz-tagging`.

Source: S3 API reference, PutObjectTagging and PutBucketTagging.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from services.sdk.aws.tags import LONGEST_KEY, LONGEST_VALUE, tag_fault
from services.storage_manager.configuration.documents import Document
from services.storage_manager.errors import S3Error

MOST_OF_OBJECT, MOST_OF_BUCKET = 10, 50
_TWICE = "Cannot provide multiple Tags with the same key"


def check_bucket_tags(document: Document) -> Document:
    """Raises S3Error InvalidTag."""
    tags = read_tags(document)
    if len(tags) > MOST_OF_BUCKET:
        raise S3Error("InvalidTag", f"Bucket tag count cannot be greater than {MOST_OF_BUCKET}")
    return document


def object_tags(document: Document) -> dict[str, str]:
    """The tags of an object's Tagging. Raises S3Error InvalidTag, BadRequest."""
    return _few(read_tags(document))


def header_tags(text: str) -> dict[str, str]:
    """The tags of `x-amz-tagging`, which are written as a query. Raises S3Error InvalidArgument, InvalidTag."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        why = "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters"
        raise S3Error("InvalidArgument", f"{why} without tag name duplicates.") from None
    return _few(read_tags({"TagSet": [{"Key": key, "Value": value} for key, value in pairs]}))


def tag_document(tags: Mapping[str, str]) -> Document:
    """As S3 lists them."""
    return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}


def read_tags(document: Document) -> dict[str, str]:
    """All tags of a document. Raises S3Error InvalidTag."""
    tags: dict[str, str] = {}
    for each in document.get("TagSet", []):
        if each["Key"] in tags:
            raise S3Error("InvalidTag", _TWICE)
        tags[each["Key"]] = each["Value"]
        _check(each["Key"], each["Value"])
    return tags


def _check(key: str, value: str) -> None:
    if key.lower().startswith("aws:"):
        raise S3Error("InvalidTag", "System tags cannot be added/updated by requester")
    if not 1 <= len(key) <= LONGEST_KEY or tag_fault({key: ""}):
        raise S3Error("InvalidTag", "The TagKey you have provided is invalid")
    if len(value) > LONGEST_VALUE or tag_fault({key: value}):
        raise S3Error("InvalidTag", "The TagValue you have provided is invalid")


def _few(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > MOST_OF_OBJECT:
        raise S3Error("BadRequest", f"Object tags cannot be greater than {MOST_OF_OBJECT}")
    return tags
