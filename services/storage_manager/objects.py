"""Operations on one object: put, get, head, delete, copy."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from urllib.parse import unquote

from anyio import to_thread

from services.sdk.aws.rest_xml import parse, render
from services.storage_manager.book import Object, Piece
from services.storage_manager.faults import S3Fault
from services.storage_manager.house import Answer, House, Request
from services.storage_manager.ports import Caller, Place

KEPT = {
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "cache-control",
    "expires",
}
RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


def iso(moment: float) -> str:
    """`2026-01-02T03:04:05.000Z`."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def kept_headers(headers: dict[str, str]) -> dict[str, str]:
    """What is stored with an object and given back."""
    kept = {k: v for k, v in headers.items() if k in KEPT or k.startswith("x-amz-meta-")}
    encoding = [
        e.strip() for e in kept.pop("content-encoding", "").split(",") if e.strip() not in ("", "aws-chunked")
    ]
    return kept | ({"content-encoding": ",".join(encoding)} if encoding else {})


def sealed_by(place: Place) -> dict[str, str]:
    """The header that says how the bucket is encrypted."""
    return {"x-amz-server-side-encryption": "aws:kms"} if place.encrypted else {}


async def put(house: House, request: Request) -> Answer:
    """PutObject. `If-None-Match: *` keeps what is there, `If-Match` replaces that version only."""
    place = await house.target(request)
    if len(request.key.encode()) > 1024:
        raise S3Fault("KeyTooLongError")
    piece, md5, sums = await house.receive(place, request)
    new = Object(request.key, piece.size, md5, house.clock(), kept_headers(request.headers) | sums, (piece,))
    await _keep(house, place, new, request.headers)
    return Answer(headers={"etag": f'"{md5}"'} | sums | sealed_by(place))


async def _keep(house: House, place: Place, new: Object, headers: dict[str, str]) -> None:
    only_new, only_over = headers.get("if-none-match") == "*", headers.get("if-match", "").strip('"')
    try:
        await to_thread.run_sync(lambda: house.book.put(place.id, new, only_new=only_new, only_over=only_over))
    except S3Fault:
        await house.abandon(p.blob for p in new.pieces)
        raise


async def _find(house: House, place: Place, key: str) -> Object:
    found = await to_thread.run_sync(house.book.find, place.id, key)
    if found is None:
        raise S3Fault("NoSuchKey", f"no key {key}")
    return found


def _not_modified(found: Object, headers: dict[str, str]) -> bool:
    """RFC 9110 section 13.2.2. Raises PreconditionFailed."""
    tag, second = f'"{found.etag}"', int(found.modified)
    if "if-match" in headers:
        if headers["if-match"] not in (tag, found.etag, "*"):
            raise S3Fault("PreconditionFailed")
    elif second > _moment(headers.get("if-unmodified-since"), second):
        raise S3Fault("PreconditionFailed")
    if "if-none-match" in headers:
        return headers["if-none-match"] in (tag, found.etag, "*")
    return second <= _moment(headers.get("if-modified-since"), second - 1)


def _moment(text: str | None, default: float) -> float:
    try:
        return parsedate_to_datetime(text).timestamp() if text else default
    except ValueError:
        return default


def wanted_range(text: str | None, size: int) -> tuple[int, int] | None:
    """[start, stop), or None for everything. Raises InvalidRange."""
    match = RANGE.match(text or "")
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if start >= size or stop <= start:
        raise S3Fault("InvalidRange", f"the object has {size} bytes")
    return start, stop


async def get(house: House, request: Request) -> Answer:
    """GetObject and HeadObject."""
    place = await house.registry.find(request.caller, request.bucket, "get")
    found = await _find(house, place, request.key)
    headers = {"content-type": "binary/octet-stream"} | found.headers | sealed_by(place)
    headers |= {"etag": f'"{found.etag}"', "last-modified": formatdate(found.modified, usegmt=True)}
    if _not_modified(found, request.headers):
        return Answer(304, headers)
    part = wanted_range(request.headers.get("range"), found.size)
    start, stop = part or (0, found.size)
    headers["accept-ranges"] = "bytes"
    if part or request.headers.get("x-amz-checksum-mode", "").upper() != "ENABLED":
        headers = {k: v for k, v in headers.items() if not k.startswith("x-amz-checksum-")}
    if part:
        headers["content-range"] = f"bytes {start}-{stop - 1}/{found.size}"
    content = house.stream(place, found, start, stop) if request.method == "GET" else b""
    return Answer(206 if part else 200, headers, content, stop - start)


async def delete(house: House, request: Request) -> Answer:
    """DeleteObject. Absent is fine."""
    place = await house.registry.find(request.caller, request.bucket, "update")
    await to_thread.run_sync(house.book.remove, place.id, request.key)
    return Answer(204)


async def delete_many(house: House, request: Request) -> Answer:
    """DeleteObjects: up to 1000 keys."""
    place = await house.registry.find(request.caller, request.bucket, "update")
    root = parse(await request.document())
    keys = [each.findtext("Key") or "" for each in root.iter("Object")]
    if len(keys) > 1000:
        raise S3Fault("MalformedXML", "more than 1000 keys")
    for key in keys:
        await to_thread.run_sync(house.book.remove, place.id, key)
    quiet = root.findtext("Quiet") == "true"
    return Answer(content=render("DeleteResult", {"Deleted": [] if quiet else [{"Key": key} for key in keys]}))


async def source_of(house: House, caller: Caller, text: str) -> tuple[Place, Object]:
    """What `x-amz-copy-source` names."""
    bucket, _, key = unquote(text.partition("?")[0]).lstrip("/").partition("/")
    place = await house.registry.find(caller, bucket, "get")
    return place, await _find(house, place, key)


async def copy(house: House, request: Request) -> Answer:
    """CopyObject: opened with one bucket's key, sealed anew with the other's."""
    place = await house.target(request)
    origin, found = await source_of(house, request.caller, request.headers["x-amz-copy-source"])
    replace = request.headers.get("x-amz-metadata-directive", "COPY") == "REPLACE"
    headers = kept_headers(request.headers) if replace else found.headers
    writer, blob, key = await house.store(place, house.stream(origin, found, 0, found.size), lambda _: None)
    await to_thread.run_sync(writer.commit)
    new = Object(request.key, found.size, found.etag, house.clock(), headers, (Piece(blob, found.size, key),))
    await _keep(house, place, new, {})
    body = render("CopyObjectResult", {"LastModified": iso(new.modified), "ETag": f'"{new.etag}"'})
    return Answer(headers=sealed_by(place), content=body)
