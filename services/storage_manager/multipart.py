"""Multipart uploads: parts are blobs; completing names them as one object without copying a byte."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from anyio import to_thread

from crds.numbers import whole_number
from services.sdk.aws.rest_xml import members, parse
from services.storage_manager.answers import render_answer
from services.storage_manager.blobs import new_id
from services.storage_manager.checksums import ALGORITHM, CHECKSUMS, PREFIX, TYPE, of_parts, requested_checksums
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.copy_object import SOURCE, source_of
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.metadata import Object, Part, Upload
from services.storage_manager.notifications.object_events import origin_of
from services.storage_manager.object_encryption import like_upload, sealing_of, told
from services.storage_manager.objects import (
    BROUGHT_KEY,
    CHECKSUM_MEMBERS,
    MOST_PARTS,
    WRITTEN,
    check_key,
    kept_headers,
    version_header,
    written_version,
)
from services.storage_manager.operations import operation
from services.storage_manager.preconditions import whole_second, write_check
from services.storage_manager.written_attributes import PARTS, attributes_of

SMALLEST_PART = 5 << 20

_MEMBERS = frozenset({"PartNumber", "ETag", *(f"Checksum{name.removeprefix(PREFIX).upper()}" for name in CHECKSUMS)})


async def bucket_of(context: S3Context, request: S3Request) -> BucketRef:
    """The bucket, to be changed."""
    return await context.bucket(request)


async def upload_of(context: S3Context, ref: BucketRef, request: S3Request) -> Upload:
    """The upload the query names. Raises NoSuchUpload."""
    return await to_thread.run_sync(context.metadata.upload, ref.id, request.key, request.query["uploadId"])


@operation(
    "CreateMultipartUpload",
    action="s3:PutObject",
    verb="update",
    understands=(*WRITTEN, "ChecksumAlgorithm", "ChecksumType"),
    uses_key=True,
)
async def create(context: S3Context, request: S3Request) -> S3Response:
    """CreateMultipartUpload."""
    check_key(request.key)
    ref, sums = await context.writable_bucket(request), requested_checksums(request.headers)
    attributes = attributes_of(context, ref, request.headers)
    _, sealing, more = sealing_of(ref, request.headers)
    kept = kept_headers(request.headers) | sealing | sums
    upload = Upload(new_id(), ref.id, request.key, context.clock(), kept, attributes | more)
    await context.commit(lambda: context.metadata.begin(upload))
    fields = {"Bucket": ref.name, "Key": request.key, "UploadId": upload.id}
    headers = sums | told(request.headers, sealing)
    return S3Response(headers=headers, content=render_answer("CreateMultipartUpload", fields))


def _number(request: S3Request) -> int:
    if not (number := whole_number(request.query.get("partNumber", ""), MOST_PARTS)):
        raise S3Error("InvalidArgument", f"part numbers are 1 to {MOST_PARTS}")
    return number


def _summed_by(upload: Upload) -> str:
    """The checksum header every part of it must have, or empty."""
    return f"{PREFIX}{upload.headers[ALGORITHM].lower()}" if ALGORITHM in upload.headers else ""


@operation(
    "UploadPart",
    action="s3:PutObject",
    verb="update",
    understands=("PartNumber", "UploadId", *CHECKSUM_MEMBERS, *BROUGHT_KEY),
    uses_key=True,
)
async def put_part(context: S3Context, request: S3Request) -> S3Response:
    """UploadPart, numbers 1 to 10000."""
    number, ref = _number(request), await bucket_of(context, request)
    upload = await upload_of(context, ref, request)
    _require_same_sum(upload, request.headers)
    sealed = like_upload(ref, upload.headers, upload.attributes, request.headers)
    piece, md5, sums = await context.receive_body(sealed, request, _summed_by(upload))
    await _keep_part(context, upload, Part(number, piece.size, md5, context.clock(), piece, sums))
    return S3Response(headers={"etag": f'"{md5}"'} | sums | told(request.headers, upload.headers))


def _require_same_sum(upload: Upload, headers: dict[str, str]) -> None:
    """Raises InvalidRequest for a part with a checksum of another kind than the upload's."""
    wanted = _summed_by(upload)
    others = [name.removeprefix(PREFIX) for name in headers if name in CHECKSUMS and name != wanted]
    if wanted and others:
        ours = wanted.removeprefix(PREFIX)
        why = f"Checksum Type mismatch occurred, expected checksum Type: {ours}, actual checksum Type: {others[0]}"
        raise S3Error("InvalidRequest", why)


@operation(
    "UploadPartCopy",
    action="s3:PutObject",
    verb="update",
    source="get",
    understands=(*SOURCE, "PartNumber", "UploadId", "CopySourceRange", *BROUGHT_KEY),
    uses_key=True,
)
async def copy_part(context: S3Context, request: S3Request) -> S3Response:
    """UploadPartCopy: a part made of (a range of) an object that is here already."""
    number, ref = _number(request), await bucket_of(context, request)
    upload = await upload_of(context, ref, request)
    source = await source_of(context, request)
    sealed = like_upload(ref, upload.headers, upload.attributes, request.headers)
    piece, md5, sums = await source.sealed_again(context, sealed, _summed_by(upload))
    part = Part(number, piece.size, md5, context.clock(), piece, sums)
    await _keep_part(context, upload, part)
    said = {f"Checksum{name.removeprefix(PREFIX).upper()}": value for name, value in sums.items()}
    fields = {"LastModified": whole_second(part.modified), "ETag": f'"{md5}"'} | said
    headers = told(request.headers, upload.headers)
    if version := version_header(context, source.ref, source.found):
        headers["x-amz-copy-source-version-id"] = version["x-amz-version-id"]
    return S3Response(headers=headers, content=render_answer("UploadPartCopy", {"CopyPartResult": fields}))


async def _keep_part(context: S3Context, upload: Upload, part: Part) -> None:
    await context.commit(lambda: context.metadata.put_part(upload, part), [part.piece])


def selected_parts(document: bytes, parts: list[Part]) -> list[Part]:
    """The parts the client lists. Raises MalformedXML, InvalidPart, InvalidPartOrder, EntityTooSmall."""
    there, wanted = {part.number: part for part in parts}, _listed(document)
    numbers = [whole_number(each.get("PartNumber", "0")) or 0 for each in wanted]
    if numbers != sorted(set(numbers)):
        raise S3Error("InvalidPartOrder")
    for number, each in zip(numbers, wanted, strict=True):
        if number not in there or not _agree(there[number], each):
            raise S3Error("InvalidPart", f"part {number} is not what was uploaded")
    found = [there[number] for number in numbers]
    if any(part.size < SMALLEST_PART for part in found[:-1]):
        raise S3Error("EntityTooSmall", "all parts but the last have at least 5 MiB")
    return found


def _listed(document: bytes) -> list[dict[str, str]]:
    root = parse(document)
    if root.tag not in ("CompleteMultipartUpload", "CompletedMultipartUpload"):
        raise ValueError(f"the document is a {root.tag[:80]}, not a CompleteMultipartUpload")
    found = members(root, frozenset({"Part"})).get("Part", [])
    wanted = [{name: (values[0].text or "").strip() for name, values in members(e, _MEMBERS).items()} for e in found]
    if not wanted:
        raise S3Error("MalformedXML", "no parts are listed")
    return wanted


def _agree(part: Part, said: dict[str, str]) -> bool:
    sums = {f"Checksum{name.removeprefix(PREFIX).upper()}": value for name, value in part.sums.items()}
    told = {name: value for name, value in said.items() if name.startswith("Checksum")}
    return said.get("ETag", "").strip('"') == part.etag and told.items() <= sums.items()


def whole_checksum(upload: Upload, parts: list[Part], headers: dict[str, str]) -> dict[str, str]:
    """The headers of the whole's checksum. Raises BadDigest when the client says another."""
    name = _summed_by(upload)
    if others := [each for each in headers if each in CHECKSUMS and each != name]:
        raise S3Error("InvalidRequest", f"the upload was not created with {others[0]}: it cannot be verified")
    if not name:
        return {}
    kind = headers.get(TYPE, upload.headers[TYPE])
    value = of_parts(name, kind, [(part.sums[name], part.size) for part in parts])
    if headers.get(name, value) not in (value, value.partition("-")[0]):
        raise S3Error("BadDigest", f"{name} differs from the parts'")
    return {name: value, TYPE: kind}


@operation(
    "CompleteMultipartUpload",
    action="s3:PutObject",
    verb="update",
    understands=(
        "UploadId",
        *CHECKSUM_MEMBERS,
        "ChecksumType",
        "MpuObjectSize",
        "IfMatch",
        "IfNoneMatch",
        *BROUGHT_KEY,
    ),
)
async def complete(context: S3Context, request: S3Request) -> S3Response:
    """CompleteMultipartUpload. ETag: md5 of the parts' md5s, and their number. May be asked again."""
    ref, document = await bucket_of(context, request), await request.document()
    ended = await to_thread.run_sync(context.metadata.finished, ref.id, request.key, request.query["uploadId"])
    if ended is not None:
        return await _completed_before(context, ref, request, *ended)
    upload = await upload_of(context, ref, request)
    there = await to_thread.run_sync(context.metadata.parts, upload.id)
    parts = await to_thread.run_sync(selected_parts, document, there)
    sums = whole_checksum(upload, parts, request.headers)
    _check_size(parts, request.headers.get("x-amz-mp-object-size"))
    new = _made_of(parts, upload, sums, context.clock())
    check = write_check(request.headers)
    change = context.events.of(
        ref.id,
        "ObjectCreated:CompleteMultipartUpload",
        origin_of(request),
        lambda: context.metadata.complete(upload, new, check),
    )
    made = await context.commit_told(change)
    if not ref.objects:
        await context.report_emptiness(ref)
    headers = told(request.headers, upload.headers) | written_version(made)
    return _completed(request, new.etag, sums, headers)


async def _completed_before(
    context: S3Context, ref: BucketRef, request: S3Request, etag: str, version: str
) -> S3Response:
    """The same answer again, as far as what was made then is still there."""
    made = await to_thread.run_sync(context.metadata.find_version, ref.id, request.key, version)
    if made is None or made.etag != etag:
        return _completed(request, etag, {}, {})
    sums = {name: value for name, value in made.headers.items() if name.startswith(PREFIX)}
    return _completed(request, etag, sums, told(request.headers, made.headers) | written_version(made))


def _check_size(parts: list[Part], said: str | None) -> None:
    size = sum(part.size for part in parts)
    if said is not None and whole_number(said) != size:
        raise S3Error("InvalidRequest", f"the parts have {size} bytes, not {said[:20]} as x-amz-mp-object-size says")


def _made_of(parts: list[Part], upload: Upload, sums: dict[str, str], now: float) -> Object:
    md5 = hashlib.md5(b"".join(bytes.fromhex(p.etag) for p in parts), usedforsecurity=False).hexdigest()
    size, pieces = sum(p.size for p in parts), tuple(p.piece for p in parts)
    kept = {name: value for name, value in upload.headers.items() if not name.startswith(PREFIX)}
    attributes = upload.attributes
    if _summed_by(upload):
        attributes = attributes | {PARTS: [[each.number, each.sums.get(_summed_by(upload), "")] for each in parts]}
    return Object(upload.key, size, f"{md5}-{len(parts)}", now, kept | sums, pieces, attributes)


def _completed(request: S3Request, etag: str, sums: dict[str, str], headers: dict[str, str]) -> S3Response:
    bucket, key = request.bucket, request.key
    location = f"https://{request.headers.get('host', '')}/{bucket}/{quote(key)}"
    fields = {"Location": location, "Bucket": bucket, "Key": key, "ETag": f'"{etag}"'}
    fields |= {f"Checksum{name.removeprefix(PREFIX).upper()}": sums[name] for name in sums if name in CHECKSUMS}
    if TYPE in sums:
        fields["ChecksumType"] = sums[TYPE]
    return S3Response(headers=headers, content=render_answer("CompleteMultipartUpload", fields))


@operation("AbortMultipartUpload", action="s3:AbortMultipartUpload", verb="update", understands=("UploadId",))
async def abort(context: S3Context, request: S3Request) -> S3Response:
    """AbortMultipartUpload."""
    ref = await bucket_of(context, request)
    upload = await upload_of(context, ref, request)
    await context.commit(lambda: context.metadata.abort(upload))
    return S3Response(204)
