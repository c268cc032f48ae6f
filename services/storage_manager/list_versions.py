"""ListObjectVersions: every version and delete marker, by key, newest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from anyio import to_thread

from services.storage_manager.answers import render_answer
from services.storage_manager.context import S3Context, S3Request, S3Response
from services.storage_manager.errors import S3Error
from services.storage_manager.interfaces import BucketRef
from services.storage_manager.listing import (
    BATCH,
    FEWEST,
    GROWTH,
    beyond,
    encoder,
    group_of,
    listed_fields,
    number,
    owner_in,
)
from services.storage_manager.metadata import MetadataIndex, Object
from services.storage_manager.objects import named_version
from services.storage_manager.operations import operation

LONGEST_PAGE = 1000


@dataclass(slots=True)
class VersionPage:
    """`entries`: versions with whether each is the latest; `next`: the last (key, version) of it, when truncated."""

    entries: list[tuple[Object, bool]] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    truncated: bool = False
    next: tuple[str, str | None] = ("", None)

    def __len__(self) -> int:
        return len(self.entries) + len(self.prefixes)


@operation(
    "ListObjectVersions",
    action="s3:ListBucketVersions",
    verb="list",
    understands=("Delimiter", "EncodingType", "KeyMarker", "MaxKeys", "Prefix", "VersionIdMarker"),
)
async def list_versions(context: S3Context, request: S3Request) -> S3Response:
    """ListObjectVersions."""
    ref, query = await context.bucket(request), request.query
    limit, text = number(query, "max-keys", LONGEST_PAGE), encoder(query)
    key, version = query.get("key-marker", ""), query.get("version-id-marker")
    if version and not key:
        raise S3Error("InvalidArgument", "A version-id marker cannot be specified without a key marker.")
    after = (key, named_version(version) if version else None)
    wanted = (query.get("prefix", ""), query.get("delimiter", ""), after, min(limit, LONGEST_PAGE))
    found = await to_thread.run_sync(list_page, context.metadata, ref.id, *wanted)
    fields: dict[str, Any] = {
        "Name": ref.name,
        "Prefix": text(query.get("prefix", "")),
        "KeyMarker": text(key),
        "VersionIdMarker": version or "",
        "MaxKeys": limit,
        "EncodingType": query.get("encoding-type"),
        "Delimiter": text(query["delimiter"]) if query.get("delimiter") else None,
        "IsTruncated": found.truncated,
        "Versions": [_version(each, latest, ref, text) for each, latest in found.entries if not each.marker],
        "DeleteMarkers": [_entry(each, latest, ref, text) for each, latest in found.entries if each.marker],
        "CommonPrefixes": [{"Prefix": text(each)} for each in found.prefixes],
    }
    if found.truncated:
        last, version = found.next
        fields |= {
            "NextKeyMarker": text(last),
            "NextVersionIdMarker": (version or "null") if version is not None else None,
        }
    return S3Response(content=render_answer(request.operation, fields))


def _entry(found: Object, latest: bool, ref: BucketRef, text: Any) -> dict[str, Any]:
    return {
        "Key": text(found.key),
        "VersionId": found.version or "null",
        "IsLatest": latest,
        "LastModified": listed_fields(found)["LastModified"],
        "Owner": owner_in(found.attributes, ref.namespace),
    }


def _version(found: Object, latest: bool, ref: BucketRef, text: Any) -> dict[str, Any]:
    return _entry(found, latest, ref, text) | listed_fields(found)


def list_page(
    index: MetadataIndex, bucket: str, prefix: str, delimiter: str, after: tuple[str, str | None], limit: int
) -> VersionPage:
    """Versions after that one that start with `prefix`; keys sharing a delimiter count as one entry. Blocking."""
    found = VersionPage()
    for each, latest, group in _walk(index, bucket, prefix, delimiter, after) if limit else ():
        if len(found) == limit:
            found.truncated = True
            return found
        if group:
            found.prefixes.append(group)
            found.next = (group, None)
        else:
            found.entries.append((each, latest))
            found.next = (each.key, each.version)
    return found


def _walk(
    index: MetadataIndex, bucket: str, prefix: str, delimiter: str, after: tuple[str, str | None]
) -> Iterator[tuple[Object, bool, str]]:
    """Each version, whether it is the latest of its key, and the common prefix it falls into (once for each)."""
    at, inclusive = _begin(prefix, delimiter, after)
    last, size = after[0] if after[1] is not None else None, FEWEST
    while at is not None:
        batch = index.version_page(bucket, at, inclusive, size)
        for each in batch:
            if not each.key.startswith(prefix):
                if each.key > prefix:
                    return
                continue
            group = group_of(each.key, prefix, delimiter)
            yield each, each.key != last, group
            last = each.key
            if group:
                following = beyond(group)
                at, inclusive = ((following, None), True) if following is not None else (None, False)
                size = FEWEST
                break
            at, inclusive = (each.key, each.version), False
        else:
            if len(batch) < size:
                return
            size = min(BATCH, size * GROWTH)


def _begin(prefix: str, delimiter: str, after: tuple[str, str | None]) -> tuple[tuple[str, str | None] | None, bool]:
    """Where to look first, and whether what stands there counts."""
    key, version = after
    if version is None and key and key.startswith(prefix) and group_of(key, prefix, delimiter) == key:
        following = beyond(key)
        return (None, False) if following is None else ((following, None), True)
    return ((prefix, None), True) if prefix > key else (after, False)
