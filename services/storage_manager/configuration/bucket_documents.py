"""Operations on plain documents of buckets: each is checked, kept as it was meant, and given back.

What is asked for and cannot be done here is refused by the topic's check; nothing is kept then.
"""

from __future__ import annotations

from collections.abc import Callable

from services.storage_manager.answers import render_answer
from services.storage_manager.configuration.cors import check_cors
from services.storage_manager.configuration.documents import Document, read_document
from services.storage_manager.configuration.lifecycle import check_lifecycle, shown_lifecycle
from services.storage_manager.configuration.tagging import check_bucket_tags
from services.storage_manager.configuration.unset import (
    check_acceleration,
    check_logging,
    check_payment,
    check_replication,
)
from services.storage_manager.configuration.website import check_website
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.errors import S3Error
from services.storage_manager.operations import operation

CORS, LIFECYCLE, TAGGING, WEBSITE = "cors", "lifecycle", "tagging", "website"
Check = Callable[[Document], Document]
MINIMUM = "all_storage_classes_128K"


@operation("PutBucketCors", action="s3:PutBucketCORS", verb="update")
async def put_cors(context: S3Context, request: S3Request) -> S3Response:
    """PutBucketCors."""
    return await _put(context, request, CORS, check_cors)


@operation("GetBucketCors", action="s3:GetBucketCORS", verb="get")
async def get_cors(context: S3Context, request: S3Request) -> S3Response:
    """GetBucketCors."""
    return await _get(context, request, CORS, "NoSuchCORSConfiguration", "The CORS configuration does not exist")


@operation("DeleteBucketCors", action="s3:PutBucketCORS", verb="update")
async def delete_cors(context: S3Context, request: S3Request) -> S3Response:
    """DeleteBucketCors."""
    return await _delete(context, request, CORS)


@operation(
    "PutBucketLifecycleConfiguration",
    action="s3:PutLifecycleConfiguration",
    verb="update",
    understands=("TransitionDefaultMinimumObjectSize",),
)
async def put_lifecycle(context: S3Context, request: S3Request) -> S3Response:
    """PutBucketLifecycleConfiguration. The smallest size of a transition is about none: there are no transitions."""
    return await _put(context, request, LIFECYCLE, check_lifecycle)


@operation("GetBucketLifecycleConfiguration", action="s3:GetLifecycleConfiguration", verb="get")
async def get_lifecycle(context: S3Context, request: S3Request) -> S3Response:
    """GetBucketLifecycleConfiguration."""
    ref = await context.bucket(request)
    kept = context.configuration(ref, LIFECYCLE)
    if kept is None:
        raise S3Error("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")
    headers = {"x-amz-transition-default-minimum-object-size": MINIMUM}
    return S3Response(headers=headers, content=render_answer(request.operation, shown_lifecycle(kept)))


@operation("DeleteBucketLifecycle", action="s3:PutLifecycleConfiguration", verb="update")
async def delete_lifecycle(context: S3Context, request: S3Request) -> S3Response:
    """DeleteBucketLifecycle."""
    return await _delete(context, request, LIFECYCLE)


@operation("PutBucketTagging", action="s3:PutBucketTagging", verb="update")
async def put_tagging(context: S3Context, request: S3Request) -> S3Response:
    """PutBucketTagging."""
    response = await _put(context, request, TAGGING, check_bucket_tags)
    response.status = 204
    return response


@operation("GetBucketTagging", action="s3:GetBucketTagging", verb="get")
async def get_tagging(context: S3Context, request: S3Request) -> S3Response:
    """GetBucketTagging."""
    return await _get(context, request, TAGGING, "NoSuchTagSet", "The TagSet does not exist")


@operation("DeleteBucketTagging", action="s3:PutBucketTagging", verb="update")
async def delete_tagging(context: S3Context, request: S3Request) -> S3Response:
    """DeleteBucketTagging."""
    return await _delete(context, request, TAGGING)


@operation("PutBucketWebsite", action="s3:PutBucketWebsite", verb="update")
async def put_website(context: S3Context, request: S3Request) -> S3Response:
    """PutBucketWebsite."""
    return await _put(context, request, WEBSITE, check_website)


@operation("GetBucketWebsite", action="s3:GetBucketWebsite", verb="get")
async def get_website(context: S3Context, request: S3Request) -> S3Response:
    """GetBucketWebsite."""
    why = "The specified bucket does not have a website configuration"
    return await _get(context, request, WEBSITE, "NoSuchWebsiteConfiguration", why)


@operation("DeleteBucketWebsite", action="s3:DeleteBucketWebsite", verb="update")
async def delete_website(context: S3Context, request: S3Request) -> S3Response:
    """DeleteBucketWebsite."""
    return await _delete(context, request, WEBSITE)


@operation("PutBucketLogging", action="s3:PutBucketLogging", verb="update")
async def put_logging(context: S3Context, request: S3Request) -> S3Response:
    """PutBucketLogging, that says none."""
    return await _refuse_more(context, request, check_logging)


@operation("GetBucketLogging", action="s3:GetBucketLogging", verb="get")
async def get_logging(context: S3Context, request: S3Request) -> S3Response:
    """GetBucketLogging: there is none."""
    return await _nothing(context, request, {})


@operation("PutBucketAccelerateConfiguration", action="s3:PutAccelerateConfiguration", verb="update")
async def put_acceleration(context: S3Context, request: S3Request) -> S3Response:
    """PutBucketAccelerateConfiguration, that says suspended."""
    return await _refuse_more(context, request, check_acceleration)


@operation("GetBucketAccelerateConfiguration", action="s3:GetAccelerateConfiguration", verb="get")
async def get_acceleration(context: S3Context, request: S3Request) -> S3Response:
    """GetBucketAccelerateConfiguration: it was never set."""
    return await _nothing(context, request, {})


@operation("PutBucketRequestPayment", action="s3:PutBucketRequestPayment", verb="update")
async def put_payment(context: S3Context, request: S3Request) -> S3Response:
    """PutBucketRequestPayment, that says the owner."""
    return await _refuse_more(context, request, check_payment)


@operation("GetBucketRequestPayment", action="s3:GetBucketRequestPayment", verb="get")
async def get_payment(context: S3Context, request: S3Request) -> S3Response:
    """GetBucketRequestPayment: the owner."""
    return await _nothing(context, request, {"Payer": "BucketOwner"})


@operation("PutBucketReplication", action="s3:PutReplicationConfiguration", verb="update", understands=("Token",))
async def put_replication(context: S3Context, request: S3Request) -> S3Response:
    """PutBucketReplication: refused."""
    return await _refuse_more(context, request, check_replication)


@operation("GetBucketReplication", action="s3:GetReplicationConfiguration", verb="get")
async def get_replication(context: S3Context, request: S3Request) -> S3Response:
    """GetBucketReplication: there is none."""
    await context.bucket(request)
    raise S3Error("ReplicationConfigurationNotFoundError", "The replication configuration was not found")


@operation("DeleteBucketReplication", action="s3:PutReplicationConfiguration", verb="update")
async def delete_replication(context: S3Context, request: S3Request) -> S3Response:
    """DeleteBucketReplication: there is none."""
    await context.bucket(request)
    return S3Response(204)


async def _put(context: S3Context, request: S3Request, name: str, check: Check) -> S3Response:
    ref = await context.writable_bucket(request)
    await context.put_configuration(ref, name, check(read_document(request.operation, await request.document())))
    return S3Response()


async def _get(context: S3Context, request: S3Request, name: str, code: str, absent: str) -> S3Response:
    ref = await context.bucket(request)
    kept = context.configuration(ref, name)
    if kept is None:
        raise S3Error(code, absent)
    return S3Response(content=render_answer(request.operation, kept))


async def _delete(context: S3Context, request: S3Request, name: str) -> S3Response:
    ref = await context.bucket(request)
    await context.drop_configuration(ref, name)
    return S3Response(204)


async def _refuse_more(context: S3Context, request: S3Request, check: Check) -> S3Response:
    """A document that passes the check asks for nothing: there is nothing to keep."""
    await context.writable_bucket(request)
    check(read_document(request.operation, await request.document()))
    return S3Response()


async def _nothing(context: S3Context, request: S3Request, answer: Document) -> S3Response:
    await context.bucket(request)
    return S3Response(content=render_answer(request.operation, answer))
