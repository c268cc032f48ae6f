"""CopyObject, and the source of UploadPartCopy: opened with one bucket's key, sealed anew with the other's."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from urllib.parse import unquote

from anyio import to_thread

from services.storage_manager.answers import render_answer
from services.storage_manager.checksums import ALGORITHM, CHECKSUMS, PREFIX, TYPE
from services.storage_manager.context import S3Context, S3Request, S3Response, with_encryption
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.metadata import Object, Piece
from services.storage_manager.objects import (
    WRITTEN,
    check_key,
    commit_object,
    find_object,
    kept_headers,
    not_modified,
    sealed_by,
    when,
)
from services.storage_manager.operations import operation
from services.storage_manager.supported_parameters import SSE, sealing_of

LARGEST = 5 << 30
RANGE = re.compile(r"bytes=([0-9]{1,19})-([0-9]{1,19})")
SOURCE = (
    *("CopySource", "CopySourceIfMatch", "CopySourceIfNoneMatch", "CopySourceIfModifiedSince"),
    *("CopySourceIfUnmodifiedSince", "ExpectedSourceBucketOwner"),
)
CONDITION = "x-amz-copy-source-if-"


@dataclass(frozen=True, slots=True)
class CopySource:
    """Bytes [start, stop) of an object."""

    ref: BucketRef
    found: Object
    start: int
    stop: int

    async def sealed_again(
        self, context: S3Context, target: BucketRef, sum: str = ""
    ) -> tuple[Piece, str, dict[str, str]]:
        """A durable blob of that bucket: (piece, md5 hex, checksums: the one that `sum` names)."""
        md5, sums = hashlib.md5(usedforsecurity=False), {sum: CHECKSUMS[sum]()} if sum else {}

        def absorb(block: bytes) -> None:
            md5.update(block)
            for each in sums.values():
                each.update(block)

        await context.require_room(target, self.stop - self.start)
        blocks = context.stream(self.ref, self.found, self.start, self.stop)
        writer, blob, key = await context.write_blob(target, blocks, absorb)
        await to_thread.run_sync(writer.commit)
        values = {name: base64.b64encode(each.digest()).decode() for name, each in sums.items()}
        return Piece(blob, self.stop - self.start, key), md5.hexdigest(), values


async def source_of(context: S3Context, request: S3Request) -> CopySource:
    """Open what `x-amz-copy-source` names. Raises NoSuchKey, PreconditionFailed, InvalidRange, InvalidRequest."""
    bucket, key = _named(request.headers["x-amz-copy-source"])
    ref = await context.source_bucket(request, bucket, key)
    found = await find_object(context, ref, key)
    asked = {k.removeprefix("x-amz-copy-source-"): v for k, v in request.headers.items() if k.startswith(CONDITION)}
    if not_modified(found, asked):
        raise S3Error("PreconditionFailed", "the source is not as x-amz-copy-source-if-... wants it")
    start, stop = _range(request.headers.get("x-amz-copy-source-range"), found.size)
    if stop - start > LARGEST:
        raise S3Error("InvalidRequest", f"one copy takes {LARGEST} bytes at most; use a multipart upload")
    return CopySource(ref, found, start, stop)


def _named(text: str) -> tuple[str, str]:
    """Bucket and key. Raises InvalidArgument, NotImplemented for a version of it."""
    path, _, query = text.partition("?")
    if query:
        raise S3Error("NotImplemented", f"the copy source has no {query[:80]}")
    try:
        bucket, _, key = unquote(path, errors="strict").removeprefix("/").partition("/")
    except UnicodeDecodeError:
        raise S3Error("InvalidArgument", "the copy source is not UTF-8") from None
    if not bucket or not key:
        raise S3Error("InvalidArgument", "the copy source is /bucket/key")
    return bucket, key


def _range(text: str | None, size: int) -> tuple[int, int]:
    if text is None:
        return 0, size
    match = RANGE.fullmatch(text)
    if match is None:
        raise S3Error("InvalidArgument", "x-amz-copy-source-range is bytes=first-last")
    start, stop = int(match[1]), int(match[2]) + 1
    if not start < stop <= size:
        raise S3Error("InvalidRange", f"the source has {size} bytes")
    return start, stop


@operation(
    "CopyObject",
    action="s3:PutObject",
    verb="update",
    source="get",
    understands=(*WRITTEN, *SOURCE, "MetadataDirective", "TaggingDirective", "ChecksumAlgorithm"),
    uses_key=True,
)
async def copy(context: S3Context, request: S3Request) -> S3Response:
    """CopyObject."""
    check_key(request.key)
    sealing, sum = sealing_of(request.headers), request.headers.get(ALGORITHM, "").lower()
    ref, source = with_encryption(await context.writable_bucket(request), sealing), await source_of(context, request)
    replace = request.headers.get("x-amz-metadata-directive", "COPY") == "REPLACE"
    if not replace and (source.ref.id, source.found.key) == (ref.id, request.key):
        raise S3Error("InvalidRequest", "a copy onto itself must replace the metadata")
    headers = _headers(source.found, kept_headers(request.headers) if replace else None)
    piece, md5, sums = await source.sealed_again(context, ref, f"{PREFIX}{sum}" if sum else "")
    if sums:
        headers = {k: v for k, v in headers.items() if not k.startswith(PREFIX)} | sums | {TYPE: "FULL_OBJECT"}
    new = Object(request.key, piece.size, md5, context.clock(), headers | sealing, (piece,))
    await commit_object(context, ref, new, request.headers)
    told = {f"Checksum{name.removeprefix(PREFIX).upper()}": value for name, value in sums.items()}
    copied = {"LastModified": when(new.modified), "ETag": f'"{md5}"'} | told
    body = render_answer("CopyObject", {"CopyObjectResult": copied})
    return S3Response(headers=sealed_by(ref) | sealing, content=body)


def _headers(found: Object, replaced: dict[str, str] | None) -> dict[str, str]:
    """The copy's headers. Checksums of parts mean nothing for it: it has none. How it is sealed is its own matter."""
    sums = {k: v for k, v in found.headers.items() if k.startswith(PREFIX)}
    own = {k: v for k, v in found.headers.items() if k not in sums and not k.startswith(SSE)}
    kept = own if replaced is None else replaced
    return kept | (sums if sums.get(TYPE) != "COMPOSITE" else {})
