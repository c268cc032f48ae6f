"""Operations on objects: put, get, head. A version is asked for by its id; without one, the current one is meant."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache

from crds.numbers import whole_number
from services.storage_manager.checksums import CHECKSUMS, PREFIX, TYPE
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.metadata import Object
from services.storage_manager.notifications.object_events import origin_of
from services.storage_manager.object_encryption import opened, sealing_of, told
from services.storage_manager.operations import operation
from services.storage_manager.preconditions import not_modified, write_check
from services.storage_manager.supported_parameters import META, SSE
from services.storage_manager.written_attributes import PARTS, attributes_of, lock_headers

KEPT = {
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "cache-control",
    "expires",
}
LOCATION = "x-amz-website-redirect-location"
# Query of a (presigned) GET -> the header it sets.
OVERRIDES = {f"response-{name}": name for name in sorted(KEPT)}
# What a new object may be given in headers.
WRITTEN = (
    *("ACL", "GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP"),
    *("StorageClass", "Metadata", "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage"),
    *("ContentType", "Expires", "ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled", "SSECustomerAlgorithm"),
    *("SSECustomerKey", "SSECustomerKeyMD5", "Tagging", "WebsiteRedirectLocation", "ObjectLockMode"),
    *("ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus"),
)
BROUGHT_KEY = ("SSECustomerAlgorithm", "SSECustomerKey", "SSECustomerKeyMD5")
CHECKSUM_MEMBERS = tuple(f"Checksum{name.removeprefix(PREFIX).upper()}" for name in CHECKSUMS)
_READ = (
    *("Range", "PartNumber", "ChecksumMode", "IfMatch", "IfNoneMatch", "IfModifiedSince", "IfUnmodifiedSince"),
    *("ResponseCacheControl", "ResponseContentDisposition", "ResponseContentEncoding", "ResponseContentLanguage"),
    *("ResponseContentType", "ResponseExpires", "VersionId", *BROUGHT_KEY),
)
LONGEST_KEY, MOST_PARTS = 1024, 10_000
MOST_METADATA = 2048
_OF_CACHES = ("cache-control", "expires")
VERSION = re.compile(r"[0-9a-f]{32}")
RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})$")


def kept_headers(headers: dict[str, str]) -> dict[str, str]:
    """Headers that are stored with an object and given back."""
    kept = {k: v for k, v in headers.items() if k in KEPT or k.startswith(META) or k == LOCATION}
    if LOCATION in kept and not kept[LOCATION].startswith(("/", "http://", "https://")):
        raise S3Error(
            "InvalidRedirectLocation", "The website redirect location must begin with '/', http:// or https://"
        )
    _require_small(kept)
    encoding = [
        e.strip() for e in kept.pop("content-encoding", "").split(",") if e.strip() not in ("", "aws-chunked")
    ]
    return kept | ({"content-encoding": ", ".join(encoding)} if encoding else {})


def _require_small(kept: dict[str, str]) -> None:
    """Raises MetadataTooLarge. Names without their prefix, and values, in bytes; people's and the standard ones."""
    for own in (True, False):
        said = {k.removeprefix(META): v for k, v in kept.items() if k.startswith(META) is own}
        if sum(len(k.encode()) + len(v.encode()) for k, v in said.items()) > MOST_METADATA:
            raise S3Error("MetadataTooLarge", f"Your metadata headers exceed the {MOST_METADATA} bytes allowed")


@operation(
    "PutObject",
    action="s3:PutObject",
    verb="update",
    understands=(*WRITTEN, *CHECKSUM_MEMBERS, "IfMatch", "IfNoneMatch"),
    uses_key=True,
)
async def put(context: S3Context, request: S3Request) -> S3Response:
    """PutObject."""
    check_key(request.key)
    headers = request.headers
    ref = await context.writable_bucket(request)
    kept, attributes = kept_headers(headers), attributes_of(context, ref, headers)
    sealed, sealing, more = sealing_of(ref, headers)
    piece, md5, sums = await context.receive_body(sealed, request)
    sums |= {TYPE: "FULL_OBJECT"} if sums else {}
    new = Object(request.key, piece.size, md5, context.clock(), kept | sealing | sums, (piece,), attributes | more)
    event = "ObjectCreated:Post" if request.method == "POST" else "ObjectCreated:Put"
    made = await commit_object(context, ref, new, request, event)
    return S3Response(headers={"etag": f'"{md5}"', **sums, **told(headers, sealing), **written_version(made)})


def check_key(key: str) -> None:
    """Raises KeyTooLongError, InvalidArgument."""
    if "\0" in key:
        raise S3Error("InvalidArgument", "a key has no NUL")
    if len(key.encode()) > LONGEST_KEY:
        raise S3Error("KeyTooLongError", f"a key has {LONGEST_KEY} bytes at most")


async def commit_object(context: S3Context, ref: BucketRef, new: Object, request: S3Request, event: str) -> Object:
    """Index it, as the request's `If-...` allow. Raises as `metadata.put`; the blobs are then gone."""
    check = write_check(request.headers)
    change = context.events.of(ref.id, event, origin_of(request), lambda: context.metadata.put(ref.id, new, check))
    made = await context.commit_told(change, new.pieces)
    if not ref.objects:
        await context.report_emptiness(ref)
    return made


def written_version(made: Object) -> dict[str, str]:
    """The id of a version that was written; a null version has none to tell."""
    return {"x-amz-version-id": made.version} if made.version else {}


def version_header(context: S3Context, ref: BucketRef, found: Object) -> dict[str, str]:
    """The version's id; the null version's only where the bucket has, or had, versions."""
    if not found.version and not context.metadata.had_versions(ref.id):
        return {}
    return {"x-amz-version-id": found.version or "null"}


def find_object(context: S3Context, ref: BucketRef, key: str, version: str | None = None) -> Object:
    """Raises NoSuchKey, NoSuchVersion, MethodNotAllowed for a delete marker that was asked for by its id."""
    if version is None:
        found = context.metadata.find(ref.id, key)
        return found if found is not None else _refuse_missing(context, ref, key)
    wanted = context.metadata.find_version(ref.id, key, named_version(version))
    if wanted is None:
        raise S3Error("NoSuchVersion", "The specified version does not exist.", {"Key": key, "VersionId": version})
    if wanted.marker:
        headers = _marker_headers(wanted) | {"allow": "DELETE", "last-modified": _date(wanted.modified)}
        why = "The specified method is not allowed against this resource."
        raise S3Error("MethodNotAllowed", why, {"ResourceType": "DeleteMarker"}, headers)
    return wanted


def named_version(text: str) -> str:
    """An id as the metadata index knows it. Raises InvalidArgument, NoSuchVersion for what is no id of ours."""
    if not text:
        raise S3Error("InvalidArgument", "Version id cannot be the empty string")
    if text != "null" and not VERSION.fullmatch(text):
        raise S3Error("NoSuchVersion", "The specified version does not exist.", {"VersionId": text[:100]})
    return "" if text == "null" else text


def _refuse_missing(context: S3Context, ref: BucketRef, key: str) -> Object:
    marker = context.metadata.newest_marker(ref.id, key)
    headers = _marker_headers(marker) if marker else {}
    raise S3Error("NoSuchKey", "The specified key does not exist.", {"Key": key}, headers)


def _marker_headers(marker: Object) -> dict[str, str]:
    return {"x-amz-delete-marker": "true", "x-amz-version-id": marker.version or "null"}


def _date(moment: float) -> str:
    return _date_of_second(int(moment))


@lru_cache(maxsize=4096)
def _date_of_second(second: int) -> str:
    return formatdate(second, usegmt=True)


def requested_range(text: str | None, size: int) -> tuple[int, int] | None:
    """[start, stop), or None for everything. Raises InvalidRange."""
    match = RANGE.match(text or "")
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if first and last and int(last) < start:
        return None  # no range at all, says RFC 9110
    if start >= size or stop <= start:
        fields = {"RangeRequested": text or "", "ActualObjectSize": str(size)}
        raise S3Error(
            "InvalidRange", "The requested range is not satisfiable", fields, {"content-range": f"bytes */{size}"}
        )
    return start, stop


@operation("GetObject", action="s3:GetObject", verb="get", understands=_READ, uses_key=True)
@operation("HeadObject", action="s3:GetObject", verb="get", understands=_READ)
async def get(context: S3Context, request: S3Request) -> S3Response:
    """GetObject and HeadObject: whole, a range (`Range`), or one part as it was uploaded (`partNumber`)."""
    asked, query = request.headers, request.query
    ref = await context.bucket(request)
    found = find_object(context, ref, request.key, query.get("versionId"))
    opening = opened(ref, found, asked)
    headers = {"etag": f'"{found.etag}"', "last-modified": _date(found.modified)}
    headers |= version_header(context, ref, found)
    if not_modified(found, asked):
        return S3Response(304, headers | {k: found.headers[k] for k in _OF_CACHES if k in found.headers})
    headers |= {"content-type": "binary/octet-stream", "accept-ranges": "bytes"} | found.headers
    headers |= sealing_headers(ref, found, asked) | lock_headers(found.attributes) | _overridden(request)
    number = query.get("partNumber")
    part = part_range(number, found, asked) if number else requested_range(_range(found, asked), found.size)
    start, stop = part or (0, found.size)
    if part or asked.get("x-amz-checksum-mode", "").upper() != "ENABLED":
        headers = {k: v for k, v in headers.items() if not k.startswith(PREFIX)}
        headers |= part_sums(found, number) if number and "x-amz-checksum-mode" in asked else {}
    if part:
        headers["content-range"] = f"bytes {start}-{stop - 1}/{found.size}"
    if number and (count := parts_count(found)):
        headers["x-amz-mp-parts-count"] = str(count)
    content = await context.data.read(opening, found, start, stop) if request.method == "GET" else b""
    return S3Response(206 if part else 200, headers, content, stop - start)


def sealing_headers(ref: BucketRef, found: Object, asked: Mapping[str, str]) -> dict[str, str]:
    """How it is sealed; of objects of a time when that was not kept, as far as it can be told."""
    said = told(asked, found.headers)
    if not said and any(piece.key for piece in found.pieces):
        return {SSE: "aws:kms" if ref.own_key else "AES256"}
    return said


def part_sums(found: Object, number: str) -> dict[str, str]:
    """The checksum that part was uploaded with; of an object that was put at once, its own."""
    own = {name: value for name, value in found.headers.items() if name.startswith(PREFIX)}
    kept, name = found.attributes.get(PARTS), next((each for each in own if each in CHECKSUMS), "")
    if kept and name:
        return {name: kept[int(number) - 1][1], TYPE: own[TYPE]}
    return own if not parts_count(found) else {}


def parts_count(found: Object) -> int:
    """The parts it was uploaded in; 0 for an object that was put at once."""
    _, dash, count = found.etag.partition("-")
    return int(count) if dash else 0


def _range(found: Object, headers: dict[str, str]) -> str | None:
    """The range, unless `If-Range` names another version: a download that goes on must go on with the same bytes."""
    condition, wanted = headers.get("if-range"), headers.get("range")
    if condition is None or condition.strip('"') == found.etag:
        return wanted
    return wanted if condition == _date(found.modified) else None


def _overridden(request: S3Request) -> dict[str, str]:
    """What `response-...` asks for. As S3: who signs a link says what its answer looks like, nobody else."""
    if not request.query:
        return {}
    wanted = {name: request.query[asked] for asked, name in OVERRIDES.items() if asked in request.query}
    identity = request.caller.identity
    if wanted and identity.name and not identity.access_key:
        raise S3Error("InvalidRequest", "Request specific response headers cannot be used for unsigned requests")
    if not all(value.isascii() and value.isprintable() for value in wanted.values()):
        raise S3Error("InvalidArgument", "a response header is printable ASCII")
    return wanted


def part_range(number: str, found: Object, asked: Mapping[str, str]) -> tuple[int, int] | None:
    """[start, stop) of that part, None when it is empty. Raises InvalidRequest, InvalidArgument, InvalidPart..."""
    if "range" in asked:
        raise S3Error("InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
    if not (wanted := whole_number(number)) or wanted > MOST_PARTS:
        raise S3Error("InvalidArgument", f"Part number must be an integer between 1 and {MOST_PARTS}, inclusive")
    if wanted > len(found.pieces):
        fields = {"ActualPartCount": str(len(found.pieces)), "PartNumberRequested": number}
        raise S3Error("InvalidPartNumber", "The requested partnumber is not satisfiable", fields)
    start = sum(piece.size for piece in found.pieces[: wanted - 1])
    stop = start + found.pieces[wanted - 1].size
    return (start, stop) if stop > start else None
