"""Operations on how a bucket protects what is put into it: default encryption, object lock."""

from __future__ import annotations

from services.storage_manager.answers import render_answer
from services.storage_manager.configuration.documents import read_document
from services.storage_manager.configuration.encryption import (
    check_encryption,
    encryption_document,
    encryption_spec,
)
from services.storage_manager.configuration.new_acls import LOCK, VERSIONING
from services.storage_manager.configuration.object_lock import check_lock
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.errors import S3Error
from services.storage_manager.operations import operation

ENCRYPTION = "encryption"


@operation("PutBucketEncryption", action="s3:PutEncryptionConfiguration", verb="update")
async def put_encryption(context: S3Context, request: S3Request) -> S3Response:
    """PutBucketEncryption: `spec.encryption` of the Bucket, and the words it was said in."""
    ref = await context.writable_bucket(request)
    document = check_encryption(read_document(request.operation, await request.document()))
    await context.directory.set_encryption(ref, encryption_spec(document))
    await context.put_configuration(ref, ENCRYPTION, document)
    return S3Response()


@operation("GetBucketEncryption", action="s3:GetEncryptionConfiguration", verb="get")
async def get_encryption(context: S3Context, request: S3Request) -> S3Response:
    """GetBucketEncryption. A Bucket may be made without any, but not over S3."""
    ref = await context.bucket(request)
    if not ref.encrypted:
        why = "The server side encryption configuration was not found"
        raise S3Error("ServerSideEncryptionConfigurationNotFoundError", why)
    document = encryption_document(ref.key, context.configuration(ref, ENCRYPTION))
    return S3Response(content=render_answer(request.operation, {"ServerSideEncryptionConfiguration": document}))


@operation("DeleteBucketEncryption", action="s3:PutEncryptionConfiguration", verb="update")
async def delete_encryption(context: S3Context, request: S3Request) -> S3Response:
    """DeleteBucketEncryption: back to the account's own key, for what is written from then on."""
    ref = await context.bucket(request)
    await context.directory.set_encryption(ref, {"enabled": True, "key": None})
    await context.drop_configuration(ref, ENCRYPTION)
    return S3Response(204)


@operation(
    "PutObjectLockConfiguration", action="s3:PutBucketObjectLockConfiguration", verb="update", understands=("Token",)
)
async def put_lock(context: S3Context, request: S3Request) -> S3Response:
    """PutObjectLockConfiguration: of a bucket with versions. It is never turned off again."""
    ref = await context.writable_bucket(request)
    document = check_lock(read_document(request.operation, await request.document()))
    if (context.configuration(ref, VERSIONING) or {}).get("Status") != "Enabled":
        why = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
        raise S3Error("InvalidBucketState", why)
    await context.put_configuration(ref, LOCK, document)
    return S3Response()


@operation("GetObjectLockConfiguration", action="s3:GetBucketObjectLockConfiguration", verb="get")
async def get_lock(context: S3Context, request: S3Request) -> S3Response:
    """GetObjectLockConfiguration."""
    kept = context.configuration(await context.bucket(request), LOCK)
    if kept is None:
        why = "Object Lock configuration does not exist for this bucket"
        raise S3Error("ObjectLockConfigurationNotFoundError", why)
    return S3Response(content=render_answer(request.operation, {"ObjectLockConfiguration": kept}))
