"""CopyObject, and the source of UploadPartCopy: opened with one bucket's key, sealed anew with the other's."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from urllib.parse import unquote

from anyio import to_thread

from services.sdk.aws.rest_xml import render
from services.storage_manager.book import Object, Piece
from services.storage_manager.checksums import CHECKSUMS, PREFIX, TYPE
from services.storage_manager.faults import S3Fault
from services.storage_manager.house import Answer, House, Request
from services.storage_manager.objects import check_key, find, iso, keep, kept_headers, not_modified, sealed_by
from services.storage_manager.ports import Place

LARGEST = 5 << 30
RANGE = re.compile(r"bytes=([0-9]{1,19})-([0-9]{1,19})")
CONDITION = "x-amz-copy-source-if-"


@dataclass(frozen=True, slots=True)
class Source:
    """Bytes [start, stop) of an object."""

    place: Place
    found: Object
    start: int
    stop: int

    async def sealed_again(self, house: House, target: Place, sum: str = "") -> tuple[Piece, str, dict[str, str]]:
        """A durable blob of that bucket: (piece, md5 hex, checksums: the one that `sum` names)."""
        md5, sums = hashlib.md5(usedforsecurity=False), {sum: CHECKSUMS[sum]()} if sum else {}

        def absorb(block: bytes) -> None:
            md5.update(block)
            for each in sums.values():
                each.update(block)

        blocks = house.stream(self.place, self.found, self.start, self.stop)
        writer, blob, key = await house.store(target, blocks, absorb)
        await to_thread.run_sync(writer.commit)
        values = {name: base64.b64encode(each.digest()).decode() for name, each in sums.items()}
        return Piece(blob, self.stop - self.start, key), md5.hexdigest(), values


async def source_of(house: House, request: Request) -> Source:
    """What `x-amz-copy-source` names. Raises NoSuchKey, PreconditionFailed, InvalidRange, InvalidRequest."""
    text = request.headers["x-amz-copy-source"]
    bucket, _, key = unquote(text.partition("?")[0]).lstrip("/").partition("/")
    place = await house.registry.find(request.caller, bucket, "get")
    found = await find(house, place, key)
    asked = {k.removeprefix("x-amz-copy-source-"): v for k, v in request.headers.items() if k.startswith(CONDITION)}
    if not_modified(found, asked):
        raise S3Fault("PreconditionFailed", "the source is not as x-amz-copy-source-if-... wants it")
    start, stop = _range(request.headers.get("x-amz-copy-source-range"), found.size)
    if stop - start > LARGEST:
        raise S3Fault("InvalidRequest", f"one copy takes {LARGEST} bytes at most; use a multipart upload")
    return Source(place, found, start, stop)


def _range(text: str | None, size: int) -> tuple[int, int]:
    if text is None:
        return 0, size
    match = RANGE.fullmatch(text)
    if match is None:
        raise S3Fault("InvalidArgument", "x-amz-copy-source-range is bytes=first-last")
    start, stop = int(match[1]), int(match[2]) + 1
    if not start < stop <= size:
        raise S3Fault("InvalidRange", f"the source has {size} bytes")
    return start, stop


async def copy(house: House, request: Request) -> Answer:
    """CopyObject."""
    check_key(request.key)
    place, source = await house.target(request), await source_of(house, request)
    replace = request.headers.get("x-amz-metadata-directive", "COPY") == "REPLACE"
    if not replace and (source.place.id, source.found.key) == (place.id, request.key):
        raise S3Fault("InvalidRequest", "a copy onto itself must replace the metadata")
    headers = _headers(source.found, kept_headers(request.headers) if replace else None)
    piece, md5, _ = await source.sealed_again(house, place)
    new = Object(request.key, piece.size, md5, house.clock(), headers, (piece,))
    await keep(house, place, new, request.headers)
    body = render("CopyObjectResult", {"LastModified": iso(new.modified), "ETag": f'"{md5}"'})
    return Answer(headers=sealed_by(place), content=body)


def _headers(found: Object, replaced: dict[str, str] | None) -> dict[str, str]:
    """The copy's headers. Checksums of parts mean nothing for it: it has none."""
    sums = {k: v for k, v in found.headers.items() if k.startswith(PREFIX)}
    kept = {k: v for k, v in found.headers.items() if k not in sums} if replaced is None else replaced
    return kept | (sums if sums.get(TYPE) != "COMPOSITE" else {})
