"""Operations on buckets, and what is listed in them."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from anyio import to_thread

from crds.numbers import whole_number
from services.sdk.aws.rest_xml import render
from services.storage_manager.faults import S3Fault
from services.storage_manager.house import Answer, House, Request
from services.storage_manager.listing import Page, page
from services.storage_manager.objects import iso

NAME = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")


async def list_all(house: House, request: Request) -> Answer:
    """ListBuckets."""
    found = await house.registry.all(request.caller)
    buckets = [{"Name": each.name, "CreationDate": iso(each.created)} for each in found]
    owner = {"ID": request.caller.name, "DisplayName": request.caller.name}
    return Answer(content=render("ListAllMyBucketsResult", {"Owner": owner, "Buckets": {"Bucket": buckets}}))


async def create(house: House, request: Request) -> Answer:
    """CreateBucket: makes the Bucket resource, as the caller."""
    if not NAME.fullmatch(request.bucket):
        raise S3Fault("InvalidBucketName", f"{request.bucket} is no bucket name")
    await house.registry.create(request.caller, request.bucket)
    return Answer(headers={"location": f"/{request.bucket}"})


async def head(house: House, request: Request) -> Answer:
    """HeadBucket."""
    await house.registry.find(request.caller, request.bucket, "list")
    return Answer(headers={"x-amz-bucket-region": "us-east-1"})


async def location(house: House, request: Request) -> Answer:
    """GetBucketLocation: empty means us-east-1."""
    await house.registry.find(request.caller, request.bucket, "list")
    return Answer(content=render("LocationConstraint", {}))


async def delete(house: House, request: Request) -> Answer:
    """DeleteBucket, only when empty. Closed first, so that no object slips in meanwhile."""
    place = await house.registry.find(request.caller, request.bucket, "delete")
    objects = await to_thread.run_sync(house.book.close, place.id)
    if objects:
        raise S3Fault("BucketNotEmpty", f"{place.name} has {objects} objects")
    try:
        await house.registry.delete(request.caller, place.name)
    except S3Fault:
        await to_thread.run_sync(house.book.reopen, place.id)
        raise
    return Answer(204)


async def list_objects(house: House, request: Request) -> Answer:
    """ListObjects and ListObjectsV2 (`list-type=2`). The continuation token is the last key, in hex."""
    place = await house.registry.find(request.caller, request.bucket, "list")
    query, limit = request.query, whole_number(request.query.get("max-keys", "1000"))
    if limit is None:
        raise S3Fault("InvalidArgument", "max-keys is a number")
    prefix, delimiter, after = query.get("prefix", ""), query.get("delimiter", ""), _after(query)

    def look() -> Page:
        def fetch(at: str, inclusive: bool, count: int) -> list[Any]:
            return house.book.page(place.id, at, inclusive, count)

        return page(fetch, prefix=prefix, delimiter=delimiter, after=after, limit=min(limit, 1000))

    found = await to_thread.run_sync(look)
    return Answer(content=render("ListBucketResult", {"Name": place.name, "MaxKeys": limit} | _fields(query, found)))


def _after(query: dict[str, str]) -> str:
    if query.get("list-type") != "2":
        return query.get("marker", "")
    try:
        return bytes.fromhex(query.get("continuation-token", "")).decode() or query.get("start-after", "")
    except ValueError:
        raise S3Fault("InvalidArgument", "the continuation token is not ours") from None


def _fields(query: dict[str, str], found: Page) -> dict[str, Any]:
    encoded = query.get("encoding-type") == "url"

    def text(value: str) -> str:
        return quote(value, safe="/") if encoded else value

    contents = [
        {
            "Key": text(o.key),
            "LastModified": iso(o.modified),
            "ETag": f'"{o.etag}"',
            "Size": o.size,
            "StorageClass": "STANDARD",
        }
        for o in found.objects
    ]
    fields: dict[str, Any] = {
        "Prefix": text(query.get("prefix", "")),
        "Delimiter": text(query["delimiter"]) if query.get("delimiter") else None,
        "EncodingType": "url" if encoded else None,
        "IsTruncated": found.truncated,
        "Contents": contents,
        "CommonPrefixes": [{"Prefix": text(each)} for each in found.prefixes],
    }
    if query.get("list-type") == "2":
        token = found.last.encode().hex() if found.truncated else None
        return fields | {"KeyCount": len(found), "NextContinuationToken": token}
    return fields | {
        "Marker": text(query.get("marker", "")),
        "NextMarker": text(found.last) if found.truncated else None,
    }
