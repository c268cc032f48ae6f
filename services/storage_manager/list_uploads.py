"""Listings of multipart uploads: their parts, and the uploads nobody has completed yet."""

from __future__ import annotations

from typing import Any

from anyio import to_thread

from services.storage_manager.answers import render_answer
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.listing import encoder, number
from services.storage_manager.multipart import bucket_of, upload_of
from services.storage_manager.operations import operation
from services.storage_manager.preconditions import whole_second as when

LONGEST_PAGE = 1000


@operation(
    "ListParts",
    action="s3:ListMultipartUploadParts",
    verb="update",
    understands=("UploadId", "MaxParts", "PartNumberMarker"),
)
async def list_parts(context: S3Context, request: S3Request) -> S3Response:
    """ListParts, by number, after `part-number-marker`."""
    ref = await bucket_of(context, request)
    upload = await upload_of(context, ref, request)
    after, limit = number(request.query, "part-number-marker", 0), number(request.query, "max-parts", LONGEST_PAGE)
    limit = min(limit, LONGEST_PAGE)
    left = [p for p in await to_thread.run_sync(context.metadata.parts, upload.id) if p.number > after]
    parts = [
        {"PartNumber": p.number, "LastModified": when(p.modified), "ETag": f'"{p.etag}"', "Size": p.size}
        for p in left[:limit]
    ]
    fields: dict[str, Any] = {"Bucket": ref.name, "Key": upload.key, "UploadId": upload.id}
    fields |= {"PartNumberMarker": after, "MaxParts": limit, "IsTruncated": 0 < limit < len(left), "Parts": parts}
    if 0 < limit < len(left):
        fields["NextPartNumberMarker"] = left[limit - 1].number
    return S3Response(content=render_answer("ListParts", fields))


@operation(
    "ListMultipartUploads",
    action="s3:ListBucketMultipartUploads",
    verb="list",
    understands=("Prefix", "EncodingType", "KeyMarker", "UploadIdMarker", "MaxUploads"),
)
async def list_uploads(context: S3Context, request: S3Request) -> S3Response:
    """ListMultipartUploads, by key and time, after `key-marker` and `upload-id-marker`."""
    ref = await context.bucket(request)
    limit, text = min(number(request.query, "max-uploads", LONGEST_PAGE), LONGEST_PAGE), encoder(request.query)
    key, id = request.query.get("key-marker", ""), request.query.get("upload-id-marker", "")
    prefix = request.query.get("prefix", "")
    found = await to_thread.run_sync(context.metadata.uploads, ref.id, prefix)
    begin = next((i + 1 for i, u in enumerate(found) if (u.key, u.id) == (key, id)), None)
    left = found[begin:] if begin is not None else [u for u in found if u.key > key]
    uploads = [{"Key": text(u.key), "UploadId": u.id, "Initiated": when(u.created)} for u in left[:limit]]
    fields: dict[str, Any] = {"Bucket": ref.name, "Prefix": text(prefix), "MaxUploads": limit}
    fields |= {"KeyMarker": text(key), "UploadIdMarker": id, "Uploads": uploads}
    fields |= {"EncodingType": request.query.get("encoding-type"), "IsTruncated": 0 < limit < len(left)}
    if 0 < limit < len(left):
        fields |= {"NextKeyMarker": uploads[-1]["Key"], "NextUploadIdMarker": uploads[-1]["UploadId"]}
    return S3Response(content=render_answer("ListMultipartUploads", fields))
