"""Operations on buckets, and what is listed in them."""

from __future__ import annotations

import re
from typing import Any

from anyio import to_thread

from services.sdk.aws.accounts import account_of
from services.sdk.aws.rest_xml import parse
from services.storage_manager.answers import render_answer
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.errors import S3Error
from services.storage_manager.listing import Page, encoder, number, page
from services.storage_manager.operations import operation
from services.storage_manager.preconditions import whole_second

NAME = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
MOST_BUCKETS = 10_000
_LISTING = ("Prefix", "Delimiter", "EncodingType", "MaxKeys")
REGION = re.compile(r"EU|[a-z]{2}(-[a-z]{2,12}){1,2}-[0-9]{1,2}")


@operation(
    "ListBuckets",
    action="s3:ListAllMyBuckets",
    verb="list",
    understands=("MaxBuckets", "ContinuationToken", "Prefix"),
)
async def list_all(context: S3Context, request: S3Request) -> S3Response:
    """ListBuckets."""
    query = request.query
    found = await context.directory.all(request.caller)
    limit, after = number(query, "max-buckets", MOST_BUCKETS), query.get("continuation-token", "")
    found = [each for each in found if each.name.startswith(query.get("prefix", "")) and each.name > after]
    more = found[limit - 1].name if limit and len(found) > limit else None
    found = found[:limit]
    buckets = [{"Name": each.name, "CreationDate": whole_second(each.created)} for each in found]
    owner = {"ID": request.caller.name, "DisplayName": request.caller.name}
    fields = {
        "Owner": owner,
        "Buckets": buckets,
        "ContinuationToken": more,
        "Prefix": query.get("prefix"),
    }
    return S3Response(content=render_answer("ListBuckets", fields))


@operation(
    "CreateBucket",
    action="s3:CreateBucket",
    verb="create",
    understands=("ACL", "ObjectOwnership", "ObjectLockEnabledForBucket"),
)
async def create(context: S3Context, request: S3Request) -> S3Response:
    """CreateBucket: makes the Bucket resource, as the caller."""
    if not NAME.fullmatch(request.bucket):
        raise S3Error("InvalidBucketName", f"{request.bucket} is no bucket name")
    _check_configuration(await request.document())
    await context.directory.create(request.caller, request.bucket)
    return S3Response(headers={"location": f"/{request.bucket}"})


def _check_configuration(document: bytes) -> None:
    """A region says where in AWS: any is ours. Raises S3Error for what else is asked for."""
    if not document.strip():
        return
    root = parse(document)
    if root.tag != "CreateBucketConfiguration":
        raise ValueError(f"the document is a {root.tag[:80]}, not a CreateBucketConfiguration")
    for each in root:
        if each.tag != "LocationConstraint":
            raise S3Error("NotImplemented", f"CreateBucket does not understand the member {each.tag[:80]}")
        if (each.text or "").strip() and not REGION.fullmatch((each.text or "").strip()):
            raise S3Error("InvalidLocationConstraint", "The specified location-constraint is not valid")


@operation("HeadBucket", action="s3:ListBucket", verb="list")
async def head(context: S3Context, request: S3Request) -> S3Response:
    """HeadBucket."""
    await context.bucket(request)
    return S3Response(headers={"x-amz-bucket-region": "us-east-1"})


@operation("GetBucketLocation", action="s3:GetBucketLocation", verb="list")
async def location(context: S3Context, request: S3Request) -> S3Response:
    """GetBucketLocation: empty means us-east-1."""
    await context.bucket(request)
    return S3Response(content=render_answer("GetBucketLocation", {}))


@operation("DeleteBucket", action="s3:DeleteBucket", verb="delete")
async def delete(context: S3Context, request: S3Request) -> S3Response:
    """DeleteBucket, only when empty. Closed first, so that no object slips in meanwhile."""
    ref = await context.bucket(request)
    objects = await to_thread.run_sync(context.metadata.seal_bucket, ref.id)
    if objects:
        raise S3Error("BucketNotEmpty", f"{ref.name} has {objects} objects")
    try:
        await context.directory.delete(request.caller, ref)
    except S3Error:
        await to_thread.run_sync(context.metadata.unseal_bucket, ref.id)
        raise
    return S3Response(204)


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
    fields = {"Name": ref.name, "MaxKeys": limit} | _fields(query, found, account_of(ref.namespace))
    operation = "ListObjectsV2" if query.get("list-type") == "2" else "ListObjects"
    return S3Response(content=render_answer(operation, fields))


def _after(query: dict[str, str]) -> str:
    if query.get("list-type") != "2":
        return query.get("marker", "")
    try:
        return bytes.fromhex(query.get("continuation-token", "")).decode() or query.get("start-after", "")
    except ValueError:
        raise S3Error("InvalidArgument", "the continuation token is not ours") from None


def _fields(query: dict[str, str], found: Page, account: str) -> dict[str, Any]:
    text = encoder(query)
    owner = {"ID": account} if query.get("list-type") != "2" or query.get("fetch-owner") == "true" else None
    contents = [
        {
            "Key": text(o.key),
            "LastModified": whole_second(o.modified),
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
