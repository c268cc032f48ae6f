"""Multipart uploads: parts are blobs; completing names them as one object without copying a byte."""

from __future__ import annotations

import hashlib

from anyio import to_thread

from services.sdk.aws.rest_xml import parse, render
from services.storage_manager.blobs import new_id
from services.storage_manager.book import Object, Part, Upload
from services.storage_manager.faults import S3Fault
from services.storage_manager.house import Answer, House, Request
from services.storage_manager.objects import iso, kept_headers, sealed_by
from services.storage_manager.ports import Place

SMALLEST_PART = 5 << 20


async def _place(house: House, request: Request) -> Place:
    return await house.registry.find(request.caller, request.bucket, "update")


async def _upload(house: House, place: Place, request: Request) -> Upload:
    return await to_thread.run_sync(house.book.upload, place.id, request.key, request.query["uploadId"])


async def create(house: House, request: Request) -> Answer:
    """CreateMultipartUpload."""
    place = await house.target(request)
    upload = Upload(new_id(), place.id, request.key, house.clock(), kept_headers(request.headers))
    await to_thread.run_sync(house.book.begin, upload)
    fields = {"Bucket": place.name, "Key": request.key, "UploadId": upload.id}
    return Answer(headers=sealed_by(place), content=render("InitiateMultipartUploadResult", fields))


async def put_part(house: House, request: Request) -> Answer:
    """UploadPart, numbers 1 to 10000."""
    number = request.query.get("partNumber", "")
    if not number.isdecimal() or not 1 <= int(number) <= 10000:
        raise S3Fault("InvalidArgument", "part numbers are 1 to 10000")
    place = await _place(house, request)
    upload = await _upload(house, place, request)
    piece, md5, sums = await house.receive(place, request)
    part = Part(int(number), piece.size, md5, house.clock(), piece)
    await to_thread.run_sync(house.book.put_part, upload, part)
    return Answer(headers={"etag": f'"{md5}"'} | sums | sealed_by(place))


def chosen(document: bytes, parts: list[Part]) -> list[Part]:
    """The parts the client lists. Raises MalformedXML, InvalidPart, InvalidPartOrder, EntityTooSmall."""
    there = {part.number: part for part in parts}
    wanted = [
        (int(e.findtext("PartNumber") or 0), (e.findtext("ETag") or "").strip('"'))
        for e in parse(document).iter("Part")
    ]
    if not wanted:
        raise S3Fault("MalformedXML", "no parts are listed")
    numbers = [number for number, _ in wanted]
    if numbers != sorted(set(numbers)):
        raise S3Fault("InvalidPartOrder")
    if any(number not in there or there[number].etag != etag for number, etag in wanted):
        raise S3Fault("InvalidPart")
    found = [there[number] for number in numbers]
    if any(part.size < SMALLEST_PART for part in found[:-1]):
        raise S3Fault("EntityTooSmall", "all parts but the last have at least 5 MiB")
    return found


async def complete(house: House, request: Request) -> Answer:
    """CompleteMultipartUpload. ETag: md5 of the parts' md5s, and their number. May be asked again."""
    place, document = await _place(house, request), await request.document()
    ended = await to_thread.run_sync(house.book.finished, place.id, request.key, request.query["uploadId"])
    if ended is not None:
        return _completed(place, request.key, ended)
    upload = await _upload(house, place, request)
    parts = chosen(document, await to_thread.run_sync(house.book.parts, upload.id))
    md5 = hashlib.md5(b"".join(bytes.fromhex(p.etag) for p in parts), usedforsecurity=False).hexdigest()
    etag, size, pieces = f"{md5}-{len(parts)}", sum(p.size for p in parts), tuple(p.piece for p in parts)
    new = Object(request.key, size, etag, house.clock(), upload.headers, pieces)
    await to_thread.run_sync(house.book.complete, upload, new)
    return _completed(place, new.key, etag)


def _completed(place: Place, key: str, etag: str) -> Answer:
    fields = {"Location": f"/{place.name}/{key}", "Bucket": place.name, "Key": key, "ETag": f'"{etag}"'}
    return Answer(headers=sealed_by(place), content=render("CompleteMultipartUploadResult", fields))


async def abort(house: House, request: Request) -> Answer:
    """AbortMultipartUpload."""
    place = await _place(house, request)
    await to_thread.run_sync(house.book.abort, await _upload(house, place, request))
    return Answer(204)


async def list_parts(house: House, request: Request) -> Answer:
    """ListParts, all in one page."""
    place = await _place(house, request)
    upload = await _upload(house, place, request)
    parts = [
        {"PartNumber": p.number, "LastModified": iso(p.modified), "ETag": f'"{p.etag}"', "Size": p.size}
        for p in await to_thread.run_sync(house.book.parts, upload.id)
    ]
    fields = {
        "Bucket": place.name,
        "Key": upload.key,
        "UploadId": upload.id,
        "IsTruncated": False,
        "Part": parts,
    }
    return Answer(content=render("ListPartsResult", fields))


async def list_uploads(house: House, request: Request) -> Answer:
    """ListMultipartUploads, all in one page."""
    place = await house.registry.find(request.caller, request.bucket, "list")
    found = await to_thread.run_sync(house.book.uploads, place.id, request.query.get("prefix", ""))
    uploads = [{"Key": u.key, "UploadId": u.id, "Initiated": iso(u.created)} for u in found]
    return Answer(
        content=render("ListMultipartUploadsResult", {"Bucket": place.name, "IsTruncated": False, "Upload": uploads})
    )
