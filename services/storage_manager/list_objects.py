"""ListObjects and ListObjectsV2: the current versions of a bucket, by key."""

from __future__ import annotations

from typing import Any

from anyio import to_thread

from services.storage_manager.answers import render_answer
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.listing import Page, encoder, listed_fields, number, owner_in, page
from services.storage_manager.operations import operation

_LISTING = ("Prefix", "Delimiter", "EncodingType", "MaxKeys")


@operation(
    "ListObjects",
    action="s3:ListBucket",
    verb="list",
    understands=(*_LISTING, "Marker"),
)
@operation(
    "ListObjectsV2",
    action="s3:ListBucket",
    verb="list",
    understands=(*_LISTING, "ContinuationToken", "StartAfter", "FetchOwner"),
)
async def list_objects(context: S3Context, request: S3Request) -> S3Response:
    """ListObjects and ListObjectsV2 (`list-type=2`). The continuation token is the last key, in hex."""
    ref = await context.bucket(request)
    query, limit = request.query, number(request.query, "max-keys", 1000)
    prefix, delimiter, after = query.get("prefix", ""), query.get("delimiter", ""), _after(query)

    def list_page() -> Page:
        def fetch(at: str, inclusive: bool, count: int) -> list[Any]:
            return context.metadata.page(ref.id, at, inclusive, count)

        return page(fetch, prefix=prefix, delimiter=delimiter, after=after, limit=min(limit, 1000))

    found = await to_thread.run_sync(list_page)
    fields = {"Name": ref.name, "MaxKeys": limit} | _fields(query, found, ref)
    return S3Response(content=render_answer(request.operation, fields))


def _after(query: dict[str, str]) -> str:
    if query.get("list-type") != "2":
        return query.get("marker", "")
    try:
        return bytes.fromhex(query.get("continuation-token", "")).decode() or query.get("start-after", "")
    except ValueError:
        raise S3Error("InvalidArgument", "the continuation token is not ours") from None


def _fields(query: dict[str, str], found: Page, ref: BucketRef) -> dict[str, Any]:
    text = encoder(query)
    owned = query.get("list-type") != "2" or query.get("fetch-owner") == "true"
    contents = [{"Key": text(each.key), **listed_fields(each)} for each in found.objects]
    for said, each in zip(contents if owned else (), found.objects, strict=False):
        said["Owner"] = owner_in(each.attributes, ref.namespace)
    fields: dict[str, Any] = {
        "Prefix": text(query.get("prefix", "")),
        "Delimiter": text(query["delimiter"]) if query.get("delimiter") else None,
        "EncodingType": query.get("encoding-type"),
        "IsTruncated": found.truncated,
        "Contents": contents,
        "CommonPrefixes": [{"Prefix": text(each)} for each in found.prefixes],
    }
    if query.get("list-type") == "2":
        token = found.last.encode().hex() if found.truncated else None
        start = query.get("start-after")
        return fields | {
            "KeyCount": len(found),
            "ContinuationToken": query.get("continuation-token"),
            "NextContinuationToken": token,
            "StartAfter": text(start) if start is not None else None,
        }
    return fields | {
        "Marker": text(query.get("marker", "")),
        # S3 says it only where it cannot be told from the last key.
        "NextMarker": text(found.last) if found.truncated and query.get("delimiter") else None,
    }
