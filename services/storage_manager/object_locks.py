"""Operations on the locks of objects: retention and legal hold, of each version for itself.

Source: S3 user guide, "Locking objects with Object Lock". Deletes look at them in `delete_objects`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.storage_manager.answers import render_answer
from services.storage_manager.configuration.documents import moment_of, read_document
from services.storage_manager.configuration.object_lock import (
    check_legal_hold,
    check_retention,
    require_retention_change,
)
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.delete_objects import may_bypass
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.metadata import Object
from services.storage_manager.object_tags import change_attribute, change_attributes
from services.storage_manager.objects import find_object
from services.storage_manager.operations import operation
from services.storage_manager.written_attributes import LEGAL_HOLD, LOCK, RETENTION

_MISSING = "Bucket is missing Object Lock Configuration"


@operation("GetObjectRetention", action="s3:GetObjectRetention", verb="get", understands=("VersionId",))
async def get_retention(context: S3Context, request: S3Request) -> S3Response:
    """GetObjectRetention."""
    ref = await _locking_bucket(context, request)
    found = find_object(context, ref, request.key, request.query.get("versionId"))
    kept = found.attributes.get(RETENTION)
    if not kept:
        raise _nothing()
    said = {"Mode": kept["Mode"], "RetainUntilDate": moment_of(kept["RetainUntilDate"])}
    return S3Response(content=render_answer(request.operation, {"Retention": said}))


@operation(
    "PutObjectRetention",
    action="s3:PutObjectRetention",
    verb="update",
    understands=("VersionId", "BypassGovernanceRetention", "ChecksumAlgorithm"),
)
async def put_retention(context: S3Context, request: S3Request) -> S3Response:
    """PutObjectRetention: longer or stricter always, else as the mode allows."""
    ref, now = await _locking_bucket(context, request), datetime.fromtimestamp(context.clock(), UTC)
    wanted = check_retention(read_document(request.operation, await request.document()), now)
    version, bypass = request.query.get("versionId"), await may_bypass(context, request, ref, request.key)
    find_object(context, ref, request.key, version)

    def change(found: Object) -> dict[str, Any]:
        require_retention_change(found.attributes.get(RETENTION), wanted, now, bypass=bypass)
        others = {name: kept for name, kept in found.attributes.items() if name != RETENTION}
        return others | ({RETENTION: wanted} if wanted else {})

    await change_attributes(context, ref, request, change)
    return S3Response()


@operation("GetObjectLegalHold", action="s3:GetObjectLegalHold", verb="get", understands=("VersionId",))
async def get_legal_hold(context: S3Context, request: S3Request) -> S3Response:
    """GetObjectLegalHold."""
    ref = await _locking_bucket(context, request)
    found = find_object(context, ref, request.key, request.query.get("versionId"))
    kept = found.attributes.get(LEGAL_HOLD)
    if not kept:
        raise _nothing()
    return S3Response(content=render_answer(request.operation, {"LegalHold": kept}))


@operation(
    "PutObjectLegalHold",
    action="s3:PutObjectLegalHold",
    verb="update",
    understands=("VersionId", "ChecksumAlgorithm"),
)
async def put_legal_hold(context: S3Context, request: S3Request) -> S3Response:
    """PutObjectLegalHold: `ON` or `OFF`."""
    ref = await _locking_bucket(context, request)
    wanted = check_legal_hold(read_document(request.operation, await request.document()))
    await change_attribute(context, ref, request, LEGAL_HOLD, wanted)
    return S3Response()


async def _locking_bucket(context: S3Context, request: S3Request) -> BucketRef:
    """Raises InvalidRequest for a bucket without object lock."""
    ref = await context.bucket(request)
    if context.configuration(ref, LOCK) is None:
        raise S3Error("InvalidRequest", _MISSING)
    return ref


def _nothing() -> S3Error:
    text = "The specified object does not have a ObjectLock configuration"
    return S3Error("NoSuchObjectLockConfiguration", text)
