"""Operations on buckets, and what is listed in them."""

from __future__ import annotations

import re
from typing import Any

from anyio import to_thread

from services.sdk.aws.accounts import account_of
from services.sdk.aws.rest_xml import parse, render
from services.storage_manager.faults import S3Fault
from services.storage_manager.house import Answer, House, Request
from services.storage_manager.listing import Page, encoder, number, page
from services.storage_manager.objects import iso

NAME = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
MOST_BUCKETS = 10_000
REGION = re.compile(r"EU|[a-z]{2}(-[a-z]{2,12}){1,2}-[0-9]{1,2}")


async def list_all(house: House, request: Request) -> Answer:
    """ListBuckets."""
    query = request.query
    found = await house.registry.all(request.caller)
    limit, after = number(query, "max-buckets", MOST_BUCKETS), query.get("continuation-token", "")
    found = [each for each in found if each.name.startswith(query.get("prefix", "")) and each.name > after]
    more = found[limit - 1].name if limit and len(found) > limit else None
    found = found[:limit]
    buckets = [{"Name": each.name, "CreationDate": iso(each.created)} for each in found]
    owner = {"ID": request.caller.name, "DisplayName": request.caller.name}
    fields = {
        "Owner": owner,
        "Buckets": {"Bucket": buckets},
        "ContinuationToken": more,
        "Prefix": query.get("prefix"),
    }
    return Answer(content=render("ListAllMyBucketsResult", fields))


async def create(house: House, request: Request) -> Answer:
    """CreateBucket: makes the Bucket resource, as the caller."""
    if not NAME.fullmatch(request.bucket):
        raise S3Fault("InvalidBucketName", f"{request.bucket} is no bucket name")
    _check_configuration(await request.document())
    await house.registry.create(request.caller, request.bucket)
    return Answer(headers={"location": f"/{request.bucket}"})


def _check_configuration(document: bytes) -> None:
    """A region says where in AWS: any is ours. Raises S3Fault for what else is asked for."""
    if not document.strip():
        return
    root = parse(document)
    if root.tag != "CreateBucketConfiguration":
        raise ValueError(f"the document is a {root.tag[:80]}, not a CreateBucketConfiguration")
    for each in root:
        if each.tag != "LocationConstraint":
            raise S3Fault("NotImplemented", f"CreateBucket does not understand the member {each.tag[:80]}")
        if (each.text or "").strip() and not REGION.fullmatch((each.text or "").strip()):
            raise S3Fault("InvalidLocationConstraint", "The specified location-constraint is not valid")


async def head(house: House, request: Request) -> Answer:
    """HeadBucket."""
    await house.place(request)
    return Answer(headers={"x-amz-bucket-region": "us-east-1"})


async def location(house: House, request: Request) -> Answer:
    """GetBucketLocation: empty means us-east-1."""
    await house.place(request)
    return Answer(content=render("LocationConstraint", {}))


async def delete(house: House, request: Request) -> Answer:
    """DeleteBucket, only when empty. Closed first, so that no object slips in meanwhile."""
    place = await house.place(request)
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
    place = await house.place(request)
    query, limit = request.query, number(request.query, "max-keys", 1000)
    if query.get("list-type", "2") != "2":
        raise S3Fault("InvalidArgument", "list-type is 2")
    prefix, delimiter, after = query.get("prefix", ""), query.get("delimiter", ""), _after(query)

    def look() -> Page:
        def fetch(at: str, inclusive: bool, count: int) -> list[Any]:
            return house.book.page(place.id, at, inclusive, count)

        return page(fetch, prefix=prefix, delimiter=delimiter, after=after, limit=min(limit, 1000))

    found = await to_thread.run_sync(look)
    fields = {"Name": place.name, "MaxKeys": limit} | _fields(query, found, account_of(place.namespace))
    return Answer(content=render("ListBucketResult", fields))


def _after(query: dict[str, str]) -> str:
    if query.get("list-type") != "2":
        return query.get("marker", "")
    try:
        return bytes.fromhex(query.get("continuation-token", "")).decode() or query.get("start-after", "")
    except ValueError:
        raise S3Fault("InvalidArgument", "the continuation token is not ours") from None


def _fields(query: dict[str, str], found: Page, account: str) -> dict[str, Any]:
    text = encoder(query)
    owner = {"ID": account} if query.get("list-type") != "2" or query.get("fetch-owner") == "true" else None
    contents = [
        {
            "Key": text(o.key),
            "LastModified": iso(o.modified),
            "ETag": f'"{o.etag}"',
            "Size": o.size,
            "Owner": owner,
            "StorageClass": "STANDARD",
        }
        for o in found.objects
    ]
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
        return fields | {"KeyCount": len(found), "NextContinuationToken": token}
    return fields | {
        "Marker": text(query.get("marker", "")),
        "NextMarker": text(found.last) if found.truncated else None,
    }
