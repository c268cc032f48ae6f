"""One page of a listing: prefix, delimiter, continuation (ListObjects, ListObjectsV2). Pure over `fetch`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from crds.numbers import whole_number
from services.storage_manager.checksums import CHECKSUMS, PREFIX, TYPE
from services.storage_manager.configuration.owners import owner_of
from services.storage_manager.errors import S3Error
from services.storage_manager.metadata import Object
from services.storage_manager.preconditions import whole_second

# Rows that are read at once: few at first where keys fall into common prefixes, for all that fall into one that is
# known are jumped over; then more and more. A whole page and the next key, which says that there are more, are one
# batch.
FEWEST, BATCH, GROWTH = 4, 1001, 4
Fetch = Callable[[str, bool, int], Sequence[Object]]


@dataclass(slots=True)
class Page:
    """`last` is where the next page continues (exclusive), when truncated."""

    objects: list[Object] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    truncated: bool = False
    last: str = ""

    def __len__(self) -> int:
        return len(self.objects) + len(self.prefixes)


def group_of(key: str, prefix: str, delimiter: str) -> str:
    """The common prefix the key falls into, or empty."""
    end = key.find(delimiter, len(prefix)) if delimiter else -1
    return key[: end + len(delimiter)] if end >= 0 else ""


def beyond(prefix: str) -> str | None:
    """The least text that comes after every text beginning with `prefix`; None when there is none.

    By code point, as the metadata index orders keys. U+10FFFF has no successor, and surrogates are in no key.
    """
    for end in range(len(prefix), 0, -1):
        last = ord(prefix[end - 1])
        if last < 0x10FFFF:
            return prefix[: end - 1] + chr(0xE000 if last == 0xD7FF else last + 1)
    return None


def page(fetch: Fetch, *, prefix: str, delimiter: str, after: str, limit: int) -> Page:
    """Keys > `after` that start with `prefix`; keys sharing a delimiter count as one entry."""
    found = Page()
    at, inclusive = _begin(prefix, delimiter, after)
    size = FEWEST if delimiter else min(BATCH, limit + 1)
    while limit and at is not None:
        batch = fetch(at, inclusive, size)
        for each in batch:
            if not each.key.startswith(prefix):
                return found
            if len(found) == limit:
                found.truncated = True
                return found
            at, inclusive = each.key, False
            group = group_of(each.key, prefix, delimiter)
            if group:
                found.prefixes.append(group)
                found.last, at, inclusive, size = group, beyond(group), True, FEWEST
                break
            found.objects.append(each)
            found.last = each.key
        else:
            if len(batch) < size:
                return found
            size = min(BATCH, size * GROWTH)
    return found


def _begin(prefix: str, delimiter: str, after: str) -> tuple[str | None, bool]:
    """Where to look first, and whether what stands there counts."""
    if after.startswith(prefix) and after and group_of(after, prefix, delimiter) == after:
        return beyond(after), True
    return (prefix, True) if prefix > after else (after, False)


def owner_in(attributes: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """Whose it is: who wrote it, where lists count and it is not the bucket's owner."""
    kept = attributes.get("acl") or {}
    return dict(kept["Owner"]) if "Owner" in kept else owner_of(namespace)


def listed_fields(found: Object) -> dict[str, Any]:
    """What every listing says of an object, but for its key and owner."""
    sums = [name.removeprefix(PREFIX).upper() for name in found.headers if name in CHECKSUMS]
    fields: dict[str, Any] = {
        "LastModified": whole_second(found.modified),
        "ETag": f'"{found.etag}"',
        "Size": found.size,
        "StorageClass": "STANDARD",
    }
    return fields | ({"ChecksumAlgorithm": sums, "ChecksumType": found.headers.get(TYPE)} if sums else {})


def number(query: dict[str, str], name: str, default: int) -> int:
    """That member as a number. Raises InvalidArgument."""
    found = whole_number(query.get(name, str(default)))
    if found is None:
        raise S3Error("InvalidArgument", f"{name} is a number")
    return found


def encoder(query: dict[str, str]) -> Callable[[str], str]:
    """How keys are written: `encoding-type=url`, or as they are. Raises InvalidArgument."""
    wanted = query.get("encoding-type")
    if wanted not in (None, "url"):
        raise S3Error("InvalidArgument", "Invalid Encoding Method specified in Request")
    return (lambda key: quote(key, safe="/")) if wanted else (lambda key: key)
