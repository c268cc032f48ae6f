"""Operations on the versioning of a bucket. Source: S3 user guide, "Retaining multiple versions of objects"."""

from __future__ import annotations

from services.storage_manager.answers import render_answer
from services.storage_manager.configuration.new_acls import LOCK
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.errors import S3Error
from services.storage_manager.operations import operation

NAME = "versioning"


@operation("GetBucketVersioning", action="s3:GetBucketVersioning", verb="list")
async def get_versioning(context: S3Context, request: S3Request) -> S3Response:
    """GetBucketVersioning: empty for a bucket that never had versions."""
    ref = await context.bucket(request)
    return S3Response(content=render_answer(request.operation, context.configuration(ref, NAME) or {}))


@operation("PutBucketVersioning", action="s3:PutBucketVersioning", verb="update", understands=("ChecksumAlgorithm",))
async def put_versioning(context: S3Context, request: S3Request) -> S3Response:
    """PutBucketVersioning: `Enabled` or `Suspended`. MFA delete is refused: there is no second factor to ask for."""
    ref, params = await context.writable_bucket(request), await request.params()
    wanted = params["VersioningConfiguration"]
    if wanted.get("MFADelete", "Disabled") != "Disabled":
        raise S3Error("NotImplemented", "MFA delete is not implemented")
    if "Status" not in wanted:
        raise S3Error("IllegalVersioningConfigurationException", "The Versioning element must be specified")
    if wanted["Status"] != "Enabled" and context.configuration(ref, LOCK) is not None:
        why = "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
        raise S3Error("InvalidBucketState", why)
    await context.put_configuration(ref, NAME, {"Status": wanted["Status"]})
    return S3Response()
