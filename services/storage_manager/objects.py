"""Operations on objects: put, get, head, delete."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from typing import TypedDict

from anyio import to_thread

from crds.numbers import whole_number
from services.storage_manager.checksums import CHECKSUMS, PREFIX, TYPE
from services.storage_manager.context import S3Context, S3Request, S3Response, with_encryption
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.metadata import Object
from services.storage_manager.operations import operation
from services.storage_manager.supported_parameters import META, SSE, sealing_of

KEPT = {
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "cache-control",
    "expires",
}
# Query of a (presigned) GET -> the header it sets.
OVERRIDES = {f"response-{name}": name for name in sorted(KEPT)}
# What a new object may be given in headers.
WRITTEN = (
    *("ACL", "StorageClass", "Metadata", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage"),
    *("ContentType", "Expires", "ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled"),
)
CHECKSUM_MEMBERS = tuple(f"Checksum{name.removeprefix(PREFIX).upper()}" for name in CHECKSUMS)
_READ = (
    *("Range", "PartNumber", "ChecksumMode", "IfMatch", "IfNoneMatch", "IfModifiedSince", "IfUnmodifiedSince"),
    *("ResponseCacheControl", "ResponseContentDisposition", "ResponseContentEncoding", "ResponseContentLanguage"),
    *("ResponseContentType", "ResponseExpires"),
)
LONGEST_KEY = 1024
MOST_METADATA = 2048
RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})$")


class WritePrecondition(TypedDict):
    """What `If-None-Match: *` and `If-Match` mean for a write."""

    only_new: bool
    only_over: str


def when(moment: float) -> datetime:
    """Whole seconds: a listing says no more than the header `Last-Modified`."""
    return datetime.fromtimestamp(int(moment), UTC)


def kept_headers(headers: dict[str, str]) -> dict[str, str]:
    """Headers that are stored with an object and given back."""
    kept = {k: v for k, v in headers.items() if k in KEPT or k.startswith(META)}
    _require_small(kept)
    encoding = [
        e.strip() for e in kept.pop("content-encoding", "").split(",") if e.strip() not in ("", "aws-chunked")
    ]
    return kept | ({"content-encoding": ",".join(encoding)} if encoding else {})


def _require_small(kept: dict[str, str]) -> None:
    """Raises MetadataTooLarge. Names without their prefix, and values, in bytes; people's and the standard ones."""
    for own in (True, False):
        said = {k.removeprefix(META): v for k, v in kept.items() if k.startswith(META) is own}
        if sum(len(k.encode()) + len(v.encode()) for k, v in said.items()) > MOST_METADATA:
            raise S3Error("MetadataTooLarge", f"Your metadata headers exceed the {MOST_METADATA} bytes allowed")


def sealed_by(ref: BucketRef) -> dict[str, str]:
    """The header that says how the bucket is encrypted."""
    return {SSE: "aws:kms"} if ref.encrypted else {}


@operation(
    "PutObject",
    action="s3:PutObject",
    verb="update",
    understands=(*WRITTEN, *CHECKSUM_MEMBERS, "IfMatch", "IfNoneMatch"),
    uses_key=True,
)
async def put(context: S3Context, request: S3Request) -> S3Response:
    """PutObject. `If-None-Match: *` keeps what is there, `If-Match` replaces that version only."""
    check_key(request.key)
    write_precondition(request.headers)
    kept, sealing = kept_headers(request.headers), sealing_of(request.headers)
    ref = with_encryption(await context.writable_bucket(request), sealing)
    piece, md5, sums = await context.receive_body(ref, request)
    sums |= {TYPE: "FULL_OBJECT"} if sums else {}
    new = Object(request.key, piece.size, md5, context.clock(), kept | sealing | sums, (piece,))
    await commit_object(context, ref, new, request.headers)
    return S3Response(headers={"etag": f'"{md5}"'} | sums | sealed_by(ref) | sealing)


def check_key(key: str) -> None:
    """Raises KeyTooLongError, InvalidArgument."""
    if "\0" in key:
        raise S3Error("InvalidArgument", "a key has no NUL")
    if len(key.encode()) > LONGEST_KEY:
        raise S3Error("KeyTooLongError", f"a key has {LONGEST_KEY} bytes at most")


def write_precondition(headers: dict[str, str]) -> WritePrecondition:
    """Return which predecessor a write insists on. Raises NotImplemented for an `If-None-Match` that names one."""
    if headers.get("if-none-match", "*") != "*":
        raise S3Error("NotImplemented", "A header you provided implies functionality that is not implemented")
    return {"only_new": headers.get("if-none-match") == "*", "only_over": headers.get("if-match", "").strip('"')}


async def commit_object(context: S3Context, ref: BucketRef, new: Object, headers: dict[str, str]) -> None:
    """Index it, as the request's `If-...` allow. Raises as `metadata.put`; the blobs are then gone."""
    try:
        await to_thread.run_sync(lambda: context.metadata.put(ref.id, new, **write_precondition(headers)))
    except S3Error:
        await context.abandon(p.blob for p in new.pieces)
        raise
    if not ref.objects:
        await context.report_emptiness(ref)


async def find_object(context: S3Context, ref: BucketRef, key: str) -> Object:
    """Raises NoSuchKey."""
    found = await to_thread.run_sync(context.metadata.find, ref.id, key)
    if found is None:
        raise S3Error("NoSuchKey", f"no key {key}")
    return found


def not_modified(found: Object, headers: dict[str, str]) -> bool:
    """RFC 9110 section 13.2.2. Raises PreconditionFailed."""
    second = int(found.modified)
    if "if-match" in headers:
        if not _names(headers["if-match"], found.etag):
            raise S3Error("PreconditionFailed")
    elif second > _moment(headers.get("if-unmodified-since"), second):
        raise S3Error("PreconditionFailed")
    if "if-none-match" in headers:
        return _names(headers["if-none-match"], found.etag)
    return second <= _moment(headers.get("if-modified-since"), second - 1)


def _names(tags: str, etag: str) -> bool:
    """Whether that list of entity tags holds the ETag."""
    return "*" in tags or etag in {each.strip().removeprefix("W/").strip('"') for each in tags.split(",")}


def _moment(text: str | None, default: float) -> float:
    try:
        return parsedate_to_datetime(text).timestamp() if text else default
    except ValueError:
        return default


def requested_range(text: str | None, size: int) -> tuple[int, int] | None:
    """[start, stop), or None for everything. Raises InvalidRange."""
    match = RANGE.match(text or "")
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if start >= size or stop <= start:
        raise S3Error("InvalidRange", f"the object has {size} bytes")
    return start, stop


@operation("GetObject", action="s3:GetObject", verb="get", understands=_READ, uses_key=True)
@operation("HeadObject", action="s3:GetObject", verb="get", understands=_READ)
async def get(context: S3Context, request: S3Request) -> S3Response:
    """GetObject and HeadObject: whole, a range (`Range`), or one part as it was uploaded (`partNumber`)."""
    ref = await context.bucket(request)
    found = await find_object(context, ref, request.key)
    headers = {"etag": f'"{found.etag}"', "last-modified": formatdate(found.modified, usegmt=True)}
    if not_modified(found, request.headers):
        return S3Response(304, headers)
    headers |= {"content-type": "binary/octet-stream", "accept-ranges": "bytes"} | sealed_by(ref) | found.headers
    headers |= _overridden(request)
    number = request.query.get("partNumber")
    part = part_range(number, found) if number else requested_range(_range(found, request.headers), found.size)
    start, stop = part or (0, found.size)
    if part or request.headers.get("x-amz-checksum-mode", "").upper() != "ENABLED":
        headers = {k: v for k, v in headers.items() if not k.startswith(PREFIX)}
    if part:
        headers["content-range"] = f"bytes {start}-{stop - 1}/{found.size}"
    if number:
        headers["x-amz-mp-parts-count"] = str(len(found.pieces))
    content = context.stream(ref, found, start, stop) if request.method == "GET" else b""
    return S3Response(206 if part else 200, headers, content, stop - start)


def _range(found: Object, headers: dict[str, str]) -> str | None:
    """The range, unless `If-Range` names another version: a download that goes on must go on with the same bytes."""
    condition, wanted = headers.get("if-range"), headers.get("range")
    if condition is None or condition.strip('"') == found.etag:
        return wanted
    return wanted if condition == formatdate(found.modified, usegmt=True) else None


def _overridden(request: S3Request) -> dict[str, str]:
    """What `response-...` asks for. As S3: who signs a link says what its answer looks like, nobody else."""
    wanted = {name: request.query[asked] for asked, name in OVERRIDES.items() if asked in request.query}
    identity = request.caller.identity
    if wanted and identity.name and not identity.access_key:
        raise S3Error("InvalidRequest", "Request specific response headers cannot be used for unsigned requests")
    if not all(value.isascii() and value.isprintable() for value in wanted.values()):
        raise S3Error("InvalidArgument", "a response header is printable ASCII")
    return wanted


def part_range(number: str, found: Object) -> tuple[int, int] | None:
    """[start, stop) of that part, None when that is everything. Raises InvalidArgument, InvalidRange."""
    if not (wanted := whole_number(number)):
        raise S3Error("InvalidArgument", "part numbers are 1 to 10000")
    if wanted > len(found.pieces):
        raise S3Error("InvalidRange", f"the object has {len(found.pieces)} parts")
    if len(found.pieces) == 1:
        return None
    start = sum(piece.size for piece in found.pieces[: wanted - 1])
    return start, start + found.pieces[wanted - 1].size
