"""CopyObject, and the source of UploadPartCopy: opened with one bucket's key, sealed anew with the other's."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from services.storage_manager.answers import render_answer
from services.storage_manager.checksums import ALGORITHM, CHECKSUMS, PREFIX, TYPE, Hash
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.metadata import Object, Piece
from services.storage_manager.object_encryption import SOURCE as SOURCE_KEY
from services.storage_manager.object_encryption import opened, sealing_of, told
from services.storage_manager.objects import (
    LOCATION,
    WRITTEN,
    check_key,
    commit_object,
    find_object,
    kept_headers,
    version_header,
    written_version,
)
from services.storage_manager.operations import operation
from services.storage_manager.preconditions import not_modified, whole_second
from services.storage_manager.supported_parameters import SSE
from services.storage_manager.written_attributes import TAGS, attributes_of

LARGEST = 5 << 30
RANGE = re.compile(r"bytes=([0-9]{1,19})-([0-9]{1,19})")
SOURCE = (
    *("CopySource", "CopySourceIfMatch", "CopySourceIfNoneMatch", "CopySourceIfModifiedSince"),
    *("CopySourceIfUnmodifiedSince", "ExpectedSourceBucketOwner", "CopySourceSSECustomerAlgorithm"),
    *("CopySourceSSECustomerKey", "CopySourceSSECustomerKeyMD5"),
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
        taken = CopyIntake({sum: CHECKSUMS[sum]()} if sum else {})
        context.require_disk(self.stop - self.start)
        await context.require_room(target, self.stop - self.start)
        content = await context.data.read(self.ref, self.found, self.start, self.stop)
        piece = await context.data.store(target, as_blocks(content), taken)
        return piece, taken.md5.hexdigest(), taken.checksums()


@dataclass(slots=True)
class CopyIntake:
    """A copy's bytes on their way: digested once more."""

    sums: dict[str, Hash]
    md5: Any = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))

    def absorb(self, block: bytes) -> None:
        """Digest them."""
        for each in (self.md5, *self.sums.values()):
            each.update(block)

    async def verify(self) -> None:
        """What was opened is what was sealed: there is nothing to compare it with."""

    def checksums(self) -> dict[str, str]:
        """In base64, by header."""
        return {name: base64.b64encode(each.digest()).decode() for name, each in self.sums.items()}


async def as_blocks(content: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The stream, or all of it as its only block."""
    if isinstance(content, bytes):
        yield content
        return
    async for block in content:
        yield block


async def source_of(context: S3Context, request: S3Request) -> CopySource:
    """Open what `x-amz-copy-source` names. Raises NoSuchKey, PreconditionFailed, InvalidRange, InvalidRequest."""
    bucket, key, version = named_source(request.headers["x-amz-copy-source"])
    ref = await context.source_bucket(request, bucket, key, version)
    found = find_object(context, ref, key, version)
    asked = {k.removeprefix("x-amz-copy-source-"): v for k, v in request.headers.items() if k.startswith(CONDITION)}
    if not_modified(found, asked):
        raise S3Error("PreconditionFailed", "the source is not as x-amz-copy-source-if-... wants it")
    start, stop = _range(request.headers.get("x-amz-copy-source-range"), found.size)
    if stop - start > LARGEST:
        raise S3Error("InvalidRequest", f"one copy takes {LARGEST} bytes at most; use a multipart upload")
    return CopySource(opened(ref, found, request.headers, SOURCE_KEY), found, start, stop)


def named_source(text: str) -> tuple[str, str, str | None]:
    """Bucket, key and version. Raises InvalidArgument."""
    path, mark, version = text.rpartition("?versionId=")
    if not mark:
        path, version = text, ""
    try:
        bucket, _, key = unquote(path, errors="strict").removeprefix("/").partition("/")
    except UnicodeDecodeError:
        raise S3Error("InvalidArgument", "the copy source is not UTF-8") from None
    if not bucket or not key:
        raise S3Error("InvalidArgument", "the copy source is /bucket/key")
    return bucket, key, version if mark else None


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
    understands=(
        *(*WRITTEN, *SOURCE, "MetadataDirective", "TaggingDirective", "ChecksumAlgorithm", "IfMatch", "IfNoneMatch"),
    ),
    uses_key=True,
)
async def copy(context: S3Context, request: S3Request) -> S3Response:
    """CopyObject."""
    check_key(request.key)
    asked = request.headers
    ref, source = await context.writable_bucket(request), await source_of(context, request)
    sealed, sealing, more = sealing_of(ref, asked)
    _require_change(ref, source, request)
    algorithm = _sum_of(source.found, asked)
    piece, md5, sums = await source.sealed_again(context, sealed, algorithm)
    sums |= {TYPE: "FULL_OBJECT"} if sums else {}
    kept = _headers(source.found, asked) | sealing | sums
    attributes = _attributes(context, ref, source, asked) | more
    new = Object(request.key, piece.size, md5, context.clock(), kept, (piece,), attributes)
    made = await commit_object(context, ref, new, request, "ObjectCreated:Copy")
    said = {
        f"Checksum{name.removeprefix(PREFIX).upper()}": value for name, value in sums.items() if name in CHECKSUMS
    }
    said |= {"ChecksumType": sums[TYPE]} if TYPE in sums else {}
    copied = {"LastModified": whole_second(made.modified), "ETag": f'"{md5}"'} | said
    headers = told(asked, sealing) | written_version(made)
    if version := version_header(context, source.ref, source.found):
        headers["x-amz-copy-source-version-id"] = version["x-amz-version-id"]
    return S3Response(headers=headers, content=render_answer("CopyObject", {"CopyObjectResult": copied}))


def _require_change(ref: BucketRef, source: CopySource, request: S3Request) -> None:
    """Raises InvalidRequest for a copy of the current version onto itself that would be the same."""
    asked = request.headers
    is_same = (source.ref.id, source.found.key) == (ref.id, request.key)
    changes = ("x-amz-storage-class", SSE, LOCATION, f"{SSE}-customer-algorithm", f"{SOURCE_KEY}algorithm")
    replaces = asked.get("x-amz-metadata-directive") == "REPLACE"
    if is_same and not replaces and not any(name in asked for name in changes) and _is_current(request):
        why = "the object's metadata, storage class, website redirect location or encryption attributes."
        text = "This copy request is illegal because it is trying to copy an object to itself without changing"
        raise S3Error("InvalidRequest", f"{text} {why}")


def _is_current(request: S3Request) -> bool:
    return named_source(request.headers["x-amz-copy-source"])[2] is None


def _headers(found: Object, asked: dict[str, str]) -> dict[str, str]:
    """The copy's headers. How it is sealed, what its sum is and where it leads are its own matter."""
    given = kept_headers(asked)
    if asked.get("x-amz-metadata-directive") == "REPLACE":
        return given
    kept = {k: v for k, v in found.headers.items() if not k.startswith((PREFIX, SSE)) and k != LOCATION}
    return kept | {k: v for k, v in given.items() if k == LOCATION}


def _attributes(context: S3Context, ref: BucketRef, source: CopySource, asked: dict[str, str]) -> dict[str, Any]:
    """Tags come along unless they are replaced; retention and legal hold are the copy's own."""
    found = attributes_of(context, ref, asked)
    if asked.get("x-amz-tagging-directive", "COPY") == "COPY":
        found.pop(TAGS, None)
        found |= {TAGS: source.found.attributes[TAGS]} if TAGS in source.found.attributes else {}
    return found


def _sum_of(found: Object, asked: dict[str, str]) -> str:
    """The header of the checksum to compute: the one that is asked for, else the kind that the source has."""
    if wanted := asked.get(ALGORITHM, "").lower():
        return f"{PREFIX}{wanted}"
    return next((name for name in found.headers if name in CHECKSUMS), "")
