"""Multipart uploads: parts are blobs; completing names them as one object without copying a byte."""

from __future__ import annotations

import hashlib

from anyio import to_thread

from crds.numbers import whole_number
from services.sdk.aws.rest_xml import members, parse, render
from services.storage_manager.blobs import new_id
from services.storage_manager.book import Object, Part, Upload
from services.storage_manager.checksums import ALGORITHM, CHECKSUMS, PREFIX, TYPE, asked, of_parts
from services.storage_manager.copying import source_of
from services.storage_manager.faults import S3Fault
from services.storage_manager.house import Answer, House, Request, sealed_as
from services.storage_manager.objects import check_key, iso, kept_headers, sealed_by, wished
from services.storage_manager.ports import Place
from services.storage_manager.understanding import sealing_of

SMALLEST_PART, MOST_PARTS = 5 << 20, 10_000

_MEMBERS = frozenset({"PartNumber", "ETag", *(f"Checksum{name.removeprefix(PREFIX).upper()}" for name in CHECKSUMS)})


async def place_of(house: House, request: Request) -> Place:
    """The bucket, to be changed."""
    return await house.place(request)


async def upload_of(house: House, place: Place, request: Request) -> Upload:
    """The upload the query names. Raises NoSuchUpload."""
    return await to_thread.run_sync(house.book.upload, place.id, request.key, request.query["uploadId"])


async def create(house: House, request: Request) -> Answer:
    """CreateMultipartUpload."""
    check_key(request.key)
    sealing = sealing_of(request.headers)
    place, sums = sealed_as(await house.target(request), sealing), asked(request.headers)
    kept = kept_headers(request.headers) | sealing | sums
    upload = Upload(new_id(), place.id, request.key, house.clock(), kept)
    await to_thread.run_sync(house.book.begin, upload)
    fields = {"Bucket": place.name, "Key": request.key, "UploadId": upload.id}
    return Answer(headers=sums | sealed_by(place) | sealing, content=render("InitiateMultipartUploadResult", fields))


def _number(request: Request) -> int:
    if not (number := whole_number(request.query.get("partNumber", ""), MOST_PARTS)):
        raise S3Fault("InvalidArgument", f"part numbers are 1 to {MOST_PARTS}")
    return number


def _summed_by(upload: Upload) -> str:
    """The checksum header every part of it must have, or empty."""
    return f"{PREFIX}{upload.headers[ALGORITHM].lower()}" if ALGORITHM in upload.headers else ""


async def put_part(house: House, request: Request) -> Answer:
    """UploadPart, numbers 1 to 10000."""
    number, place = _number(request), await place_of(house, request)
    upload = await upload_of(house, place, request)
    place = sealed_as(place, sealing_of(upload.headers))
    piece, md5, sums = await house.receive(place, request, _summed_by(upload))
    await _keep_part(house, upload, Part(number, piece.size, md5, house.clock(), piece, sums))
    return Answer(headers={"etag": f'"{md5}"'} | sums | sealed_by(place))


async def copy_part(house: House, request: Request) -> Answer:
    """UploadPartCopy: a part made of (a range of) an object that is here already."""
    number, place = _number(request), await place_of(house, request)
    upload = await upload_of(house, place, request)
    source = await source_of(house, request)
    place = sealed_as(place, sealing_of(upload.headers))
    piece, md5, sums = await source.sealed_again(house, place, _summed_by(upload))
    part = Part(number, piece.size, md5, house.clock(), piece, sums)
    await _keep_part(house, upload, part)
    fields = {"LastModified": iso(part.modified), "ETag": f'"{md5}"'}
    return Answer(headers=sealed_by(place), content=render("CopyPartResult", fields))


async def _keep_part(house: House, upload: Upload, part: Part) -> None:
    try:
        await to_thread.run_sync(house.book.put_part, upload, part)
    except S3Fault:
        await house.abandon([part.piece.blob])
        raise


def chosen(document: bytes, parts: list[Part]) -> list[Part]:
    """The parts the client lists. Raises MalformedXML, InvalidPart, InvalidPartOrder, EntityTooSmall."""
    there, wanted = {part.number: part for part in parts}, _listed(document)
    numbers = [whole_number(each.get("PartNumber", "0")) or 0 for each in wanted]
    if numbers != sorted(set(numbers)):
        raise S3Fault("InvalidPartOrder")
    for number, each in zip(numbers, wanted, strict=True):
        if number not in there or not _agree(there[number], each):
            raise S3Fault("InvalidPart", f"part {number} is not what was uploaded")
    found = [there[number] for number in numbers]
    if any(part.size < SMALLEST_PART for part in found[:-1]):
        raise S3Fault("EntityTooSmall", "all parts but the last have at least 5 MiB")
    return found


def _listed(document: bytes) -> list[dict[str, str]]:
    root = parse(document)
    if root.tag not in ("CompleteMultipartUpload", "CompletedMultipartUpload"):
        raise ValueError(f"the document is a {root.tag[:80]}, not a CompleteMultipartUpload")
    found = members(root, frozenset({"Part"})).get("Part", [])
    wanted = [{name: (values[0].text or "").strip() for name, values in members(e, _MEMBERS).items()} for e in found]
    if not wanted:
        raise S3Fault("MalformedXML", "no parts are listed")
    return wanted


def _agree(part: Part, said: dict[str, str]) -> bool:
    sums = {f"Checksum{name.removeprefix(PREFIX).upper()}": value for name, value in part.sums.items()}
    told = {name: value for name, value in said.items() if name.startswith("Checksum")}
    return said.get("ETag", "").strip('"') == part.etag and told.items() <= sums.items()


def whole_sum(upload: Upload, parts: list[Part], headers: dict[str, str]) -> dict[str, str]:
    """The headers of the whole's checksum. Raises BadDigest when the client says another."""
    name = _summed_by(upload)
    if others := [each for each in headers if each in CHECKSUMS and each != name]:
        raise S3Fault("InvalidRequest", f"the upload was not created with {others[0]}: it cannot be verified")
    if not name:
        return {}
    kind = headers.get(TYPE, upload.headers[TYPE])
    value = of_parts(name, kind, [(part.sums[name], part.size) for part in parts])
    if headers.get(name, value) not in (value, value.partition("-")[0]):
        raise S3Fault("BadDigest", f"{name} differs from the parts'")
    return {name: value, TYPE: kind}


async def complete(house: House, request: Request) -> Answer:
    """CompleteMultipartUpload. ETag: md5 of the parts' md5s, and their number. May be asked again."""
    place, document = await place_of(house, request), await request.document()
    ended = await to_thread.run_sync(house.book.finished, place.id, request.key, request.query["uploadId"])
    if ended is not None:
        return _completed(place, request.key, ended, {})
    upload = await upload_of(house, place, request)
    there = await to_thread.run_sync(house.book.parts, upload.id)
    parts = await to_thread.run_sync(chosen, document, there)
    sums = whole_sum(upload, parts, request.headers)
    _check_size(parts, request.headers.get("x-amz-mp-object-size"))
    new = _made_of(parts, upload, sums, house.clock())
    await to_thread.run_sync(lambda: house.book.complete(upload, new, **wished(request.headers)))
    if not place.objects:
        await house.tally(place)
    return _completed(place, new.key, new.etag, sums)


def _check_size(parts: list[Part], said: str | None) -> None:
    size = sum(part.size for part in parts)
    if said is not None and whole_number(said) != size:
        raise S3Fault("InvalidRequest", f"the parts have {size} bytes, not {said[:20]} as x-amz-mp-object-size says")


def _made_of(parts: list[Part], upload: Upload, sums: dict[str, str], now: float) -> Object:
    md5 = hashlib.md5(b"".join(bytes.fromhex(p.etag) for p in parts), usedforsecurity=False).hexdigest()
    size, pieces = sum(p.size for p in parts), tuple(p.piece for p in parts)
    kept = {name: value for name, value in upload.headers.items() if not name.startswith(PREFIX)}
    return Object(upload.key, size, f"{md5}-{len(parts)}", now, kept | sums, pieces)


def _completed(place: Place, key: str, etag: str, sums: dict[str, str]) -> Answer:
    fields = {"Location": f"/{place.name}/{key}", "Bucket": place.name, "Key": key, "ETag": f'"{etag}"'}
    fields |= {f"Checksum{name.removeprefix(PREFIX).upper()}": sums[name] for name in sums if name in CHECKSUMS}
    if TYPE in sums:
        fields["ChecksumType"] = sums[TYPE]
    return Answer(headers=sealed_by(place), content=render("CompleteMultipartUploadResult", fields))


async def abort(house: House, request: Request) -> Answer:
    """AbortMultipartUpload."""
    place = await place_of(house, request)
    await to_thread.run_sync(house.book.abort, await upload_of(house, place, request))
    return Answer(204)
