"""Operations on the versioning of a bucket. Source: S3 user guide, "Retaining multiple versions of objects"."""

from __future__ import annotations

from services.storage_manager.answers import render_answer
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.operations import operation

NAME = "versioning"


@operation("GetBucketVersioning", action="s3:GetBucketVersioning", verb="list")
async def get_versioning(context: S3Context, request: S3Request) -> S3Response:
    """GetBucketVersioning: empty for a bucket that never had versions."""
    ref = await context.bucket(request)
    return S3Response(content=render_answer(request.operation, context.configuration(ref, NAME) or {}))
