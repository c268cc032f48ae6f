"""Operations on buckets as wholes."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from services.sdk.aws.rest_xml import members, parse
from services.storage_manager.answers import render_answer
from services.storage_manager.configuration.acl import GRANTS
from services.storage_manager.configuration.bucket_documents import TAGGING
from services.storage_manager.configuration.new_acls import new_bucket_documents
from services.storage_manager.configuration.owners import owner_of
from services.storage_manager.configuration.tagging import check_bucket_tags
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.errors import S3Error
from services.storage_manager.listing import number
from services.storage_manager.operations import operation
from services.storage_manager.preconditions import whole_second

NAME = re.compile(r"(?!\d+\.\d+\.\d+\.\d+$)(?!.*(\.\.|\.-|-\.))[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
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
    """CreateBucket: makes the Bucket resource, as the caller. Who has it already and asks for nothing more has it."""
    if not NAME.fullmatch(request.bucket):
        raise S3Error("InvalidBucketName", "The specified bucket is not valid.", {"BucketName": request.bucket})
    documents = _documents_of(await request.document())
    documents |= new_bucket_documents(request.headers, owner_of(request.caller.namespace))
    answer = S3Response(headers={"location": f"/{request.bucket}"})
    try:
        ref = await context.directory.create(request.caller, request.bucket)
    except S3Error as refusal:
        if refusal.code != "BucketAlreadyOwnedByYou" or documents or "x-amz-acl" in request.headers:
            raise
        return answer
    for name, document in documents.items():
        await context.put_configuration(ref, name, document)
    return answer


def _documents_of(body: bytes) -> dict[str, dict[str, Any]]:
    """A region says where in AWS: any is ours, and is told again. Raises S3Error for what else is asked for."""
    if not body.strip():
        return {}
    root = parse(body)
    if root.tag != "CreateBucketConfiguration":
        raise ValueError(f"the document is a {root.tag[:80]}, not a CreateBucketConfiguration")
    found = members(root, frozenset({"LocationConstraint", "Tags"}))
    region = (found["LocationConstraint"][0].text or "").strip() if "LocationConstraint" in found else ""
    if region and not REGION.fullmatch(region):
        raise S3Error("InvalidLocationConstraint", "The specified location-constraint is not valid")
    documents: dict[str, dict[str, Any]] = {LOCATION: {"LocationConstraint": region}} if region else {}
    tags = [members(each, frozenset({"Key", "Value"})) for group in found.get("Tags", []) for each in group]
    if not all(set(each) == {"Key", "Value"} for each in tags):
        raise ValueError("a Tag has a Key and a Value")
    listed = [{name: values[0].text or "" for name, values in each.items()} for each in tags]
    return documents | ({TAGGING: check_bucket_tags({"TagSet": listed})} if listed else {})


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
    objects = await context.commit_alone(partial(context.metadata.seal_bucket, ref.id))
    if objects:
        raise S3Error("BucketNotEmpty", f"{ref.name} has {objects} objects")
    try:
        await context.directory.delete(request.caller, ref)
    except S3Error:
        await context.commit_alone(partial(context.metadata.unseal_bucket, ref.id))
        raise
    return S3Response(204)
