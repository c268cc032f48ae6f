"""Listings of multipart uploads: their parts, and the uploads nobody has completed yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anyio import to_thread

from services.storage_manager.answers import render_answer
from services.storage_manager.checksums import ALGORITHM, PREFIX, TYPE
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.listing import encoder, group_of, number, owner_in
from services.storage_manager.metadata import Part, Upload
from services.storage_manager.multipart import bucket_of, upload_of
from services.storage_manager.operations import operation
from services.storage_manager.preconditions import whole_second

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
    fields: dict[str, Any] = {"Bucket": ref.name, "Key": upload.key, "UploadId": upload.id, **_owned(ref, upload)}
    fields |= {"PartNumberMarker": after, "MaxParts": limit, "IsTruncated": 0 < limit < len(left)}
    fields |= {"Parts": [_part(each) for each in left[:limit]], **_summed(upload)}
    fields["NextPartNumberMarker"] = left[:limit][-1].number if left[:limit] else after
    return S3Response(content=render_answer("ListParts", fields))


def _part(part: Part) -> dict[str, Any]:
    sums = {f"Checksum{name.removeprefix(PREFIX).upper()}": value for name, value in part.sums.items()}
    said = {"PartNumber": part.number, "LastModified": whole_second(part.modified), "ETag": f'"{part.etag}"'}
    return {**said, "Size": part.size, **sums}


def _summed(upload: Upload) -> dict[str, Any]:
    """The kind of checksum that its parts have."""
    if ALGORITHM not in upload.headers:
        return {}
    return {"ChecksumAlgorithm": upload.headers[ALGORITHM], "ChecksumType": upload.headers[TYPE]}


def _owned(ref: BucketRef, upload: Upload) -> dict[str, Any]:
    owner = owner_in(upload.attributes, ref.namespace)
    return {"Initiator": owner, "Owner": owner, "StorageClass": "STANDARD"}


@operation(
    "ListMultipartUploads",
    action="s3:ListBucketMultipartUploads",
    verb="list",
    understands=("Prefix", "Delimiter", "EncodingType", "KeyMarker", "UploadIdMarker", "MaxUploads"),
)
async def list_uploads(context: S3Context, request: S3Request) -> S3Response:
    """ListMultipartUploads, by key and time, after `key-marker` and `upload-id-marker`."""
    ref, query = await context.bucket(request), request.query
    limit, text = min(number(query, "max-uploads", LONGEST_PAGE), LONGEST_PAGE), encoder(query)
    key, id = query.get("key-marker", ""), query.get("upload-id-marker", "")
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    found = await to_thread.run_sync(context.metadata.uploads, ref.id, prefix)
    page, more = _page(_after(found, key, id), prefix, delimiter, key, limit)
    uploads = [each for each in page if isinstance(each, Upload)]
    fields: dict[str, Any] = {"Bucket": ref.name, "Prefix": text(prefix), "MaxUploads": limit, "IsTruncated": more}
    fields |= {"KeyMarker": text(key), "UploadIdMarker": id, "EncodingType": query.get("encoding-type")}
    fields |= {"Delimiter": text(delimiter) if delimiter else None}
    fields["Uploads"] = [_upload(each, ref, text) for each in uploads]
    fields["CommonPrefixes"] = [{"Prefix": text(each)} for each in page if isinstance(each, str)]
    if more:
        last = page[-1]
        fields |= {"NextKeyMarker": text(last if isinstance(last, str) else last.key)}
        fields |= {"NextUploadIdMarker": "" if isinstance(last, str) else last.id}
    return S3Response(content=render_answer(request.operation, fields))


def _upload(each: Upload, ref: BucketRef, text: Callable[[str], str]) -> dict[str, Any]:
    said = {"Key": text(each.key), "UploadId": each.id, "Initiated": whole_second(each.created)}
    return {**said, **_owned(ref, each), **_summed(each)}


def _after(found: list[Upload], key: str, id: str) -> list[Upload]:
    begin = next((i + 1 for i, u in enumerate(found) if (u.key, u.id) == (key, id)), None)
    return found[begin:] if begin is not None else [u for u in found if u.key > key]


def _page(
    left: list[Upload], prefix: str, delimiter: str, marker: str, limit: int
) -> tuple[list[Upload | str], bool]:
    """Uploads, and the common prefixes that others fall into, in order; whether there are more."""
    page: list[Upload | str] = []
    for each in left if limit else ():
        group = group_of(each.key, prefix, delimiter)
        if group and (group == marker or (page and page[-1] == group)):
            continue
        if len(page) == limit:
            return page, True
        page.append(group or each)
    return page, False
