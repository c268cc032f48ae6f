"""Operations on buckets as wholes."""

from __future__ import annotations

import re

from anyio import to_thread

from services.sdk.aws.rest_xml import parse
from services.storage_manager.answers import render_answer
from services.storage_manager.configuration.acl import GRANTS
from services.storage_manager.configuration.new_acls import new_bucket_documents
from services.storage_manager.configuration.owners import owner_of
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.errors import S3Error
from services.storage_manager.listing import number
from services.storage_manager.operations import operation
from services.storage_manager.preconditions import whole_second

NAME = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
MOST_BUCKETS = 10_000
LOCATION, HOME = "location", "us-east-1"
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
    owner = owner_of(request.caller.namespace)
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
    understands=(*GRANTS, "ObjectOwnership", "ObjectLockEnabledForBucket"),
)
async def create(context: S3Context, request: S3Request) -> S3Response:
    """CreateBucket: makes the Bucket resource, as the caller."""
    if not NAME.fullmatch(request.bucket):
        raise S3Error("InvalidBucketName", f"{request.bucket} is no bucket name")
    _check_configuration(await request.document())
    documents = new_bucket_documents(request.headers, owner_of(request.caller.namespace))
    ref = await context.directory.create(request.caller, request.bucket)
    for name, document in documents.items():
        await context.put_configuration(ref, name, document)
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
    ref = await context.bucket(request)
    said = context.configuration(ref, LOCATION) or {}
    return S3Response(headers={"x-amz-bucket-region": said.get("LocationConstraint", HOME)})


@operation("GetBucketLocation", action="s3:GetBucketLocation", verb="list")
async def location(context: S3Context, request: S3Request) -> S3Response:
    """GetBucketLocation: what the bucket was made with; empty means us-east-1."""
    ref = await context.bucket(request)
    return S3Response(content=render_answer(request.operation, context.configuration(ref, LOCATION) or {}))


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
