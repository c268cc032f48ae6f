"""One page of a listing: prefix, delimiter, continuation (ListObjects, ListObjectsV2). Pure over `fetch`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from services.storage_manager.book import Object

BATCH = 1000
HIGHEST = "\U0010ffff"
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


def _group(key: str, prefix: str, delimiter: str) -> str:
    """The common prefix the key falls into, or empty."""
    end = key.find(delimiter, len(prefix)) if delimiter else -1
    return key[: end + len(delimiter)] if end >= 0 else ""


def page(fetch: Fetch, *, prefix: str, delimiter: str, after: str, limit: int) -> Page:
    """Keys > `after` that start with `prefix`; keys sharing a delimiter count as one entry."""
    found = Page()
    group = _group(after, prefix, delimiter) if after.startswith(prefix) else ""
    at, inclusive = (group + HIGHEST, False) if group and group == after else (after, False)
    if prefix > at:
        at, inclusive = prefix, True
    while limit:
        batch = fetch(at, inclusive, BATCH)
        for each in batch:
            if not each.key.startswith(prefix):
                return found
            if len(found) == limit:
                found.truncated = True
                return found
            at, inclusive = each.key, False
            group = _group(each.key, prefix, delimiter)
            if group:
                found.prefixes.append(group)
                found.last, at = group, group + HIGHEST
                break
            found.objects.append(each)
            found.last = each.key
        else:
            if len(batch) < BATCH:
                return found
    return found
