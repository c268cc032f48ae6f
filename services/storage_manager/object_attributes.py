"""GetObjectAttributes: what is known of an object, and of its parts, without its content."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

from crds.numbers import whole_number
from services.storage_manager.answers import render_answer
from services.storage_manager.checksums import CHECKSUMS, PREFIX, TYPE
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.errors import S3Error
from services.storage_manager.metadata import Object
from services.storage_manager.object_encryption import opened
from services.storage_manager.objects import BROUGHT_KEY, find_object, parts_count, version_header
from services.storage_manager.operations import operation
from services.storage_manager.written_attributes import PARTS

_KNOWN = ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")
_ASKED, _MOST, _AFTER = "x-amz-object-attributes", "x-amz-max-parts", "x-amz-part-number-marker"
LONGEST_PAGE = 1000


@operation(
    "GetObjectAttributes",
    action="s3:GetObjectAttributes",
    verb="get",
    understands=("VersionId", "MaxParts", "PartNumberMarker", "ObjectAttributes", *BROUGHT_KEY),
)
async def get_attributes(context: S3Context, request: S3Request) -> S3Response:
    """GetObjectAttributes."""
    ref = await context.bucket(request)
    wanted = [each.strip() for each in request.headers.get(_ASKED, "").split(",") if each.strip()]
    if not wanted or not set(wanted) <= set(_KNOWN):
        raise S3Error("InvalidArgument", f"{_ASKED} names some of {', '.join(_KNOWN)}")
    found = find_object(context, ref, request.key, request.query.get("versionId"))
    opened(ref, found, request.headers)
    known: dict[str, Any] = {
        "ETag": found.etag,
        "Checksum": checksum_fields(found),
        "ObjectParts": _parts(found, request),
        "StorageClass": "STANDARD",
        "ObjectSize": found.size,
    }
    headers = {"last-modified": formatdate(found.modified, usegmt=True)} | version_header(context, ref, found)
    fields = {name: known[name] for name in _KNOWN if name in wanted and known[name] is not None}
    return S3Response(headers=headers, content=render_answer(request.operation, fields))


def checksum_fields(found: Object) -> dict[str, Any] | None:
    """The whole's checksum, None where there is none."""
    sums = {f"Checksum{k.removeprefix(PREFIX).upper()}": v for k, v in found.headers.items() if k in CHECKSUMS}
    return sums | {"ChecksumType": found.headers.get(TYPE, "FULL_OBJECT")} if sums else None


def _parts(found: Object, request: S3Request) -> dict[str, Any] | None:
    """One page of the parts it was uploaded in."""
    if not (count := parts_count(found)):
        return None
    most, after = _number(request, _MOST, LONGEST_PAGE), _number(request, _AFTER, 0)
    fields: dict[str, Any] = {"TotalPartsCount": count}
    name = next((each.removeprefix(PREFIX).upper() for each in found.headers if each in CHECKSUMS), "")
    kept = found.attributes.get(PARTS) or [(number, "") for number in range(1, count + 1)]
    every = [
        {"PartNumber": number, "Size": piece.size} | ({f"Checksum{name}": value} if name and value else {})
        for (number, value), piece in zip(kept, found.pieces, strict=True)
    ]
    left = [each for each in every if each["PartNumber"] > after]
    page = left[: min(most, LONGEST_PAGE)]
    fields |= {"PartNumberMarker": after, "MaxParts": most, "IsTruncated": len(page) < len(left), "Parts": page}
    return fields | {"NextPartNumberMarker": page[-1]["PartNumber"] if page else after}


def _number(request: S3Request, name: str, default: int) -> int:
    found = whole_number(request.headers.get(name, str(default)))
    if found is None:
        raise S3Error("InvalidArgument", f"{name} is a number")
    return found
