"""Tags, as nearly every service of AWS has them: what may be one, and the two ways they are written.

Source: AWS General Reference, "Tagging your AWS resources": naming limits and requirements.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from services.sdk.aws.errors import AwsError

MOST, LONGEST_KEY, LONGEST_VALUE = 50, 128, 256
_RESERVED = "aws:"
_SIGNS = frozenset("_.:/=+-@")


def tags_of(items: Iterable[Mapping[str, Any]], key: str = "Key", value: str = "Value") -> dict[str, str]:
    """From `[{"Key": ..., "Value": ...}]`, KMS's `TagKey` and `TagValue` included. Raises ValueError for doubles."""
    found: dict[str, str] = {}
    for each in items:
        if each[key] in found:
            raise ValueError(f"Duplicate tag keys: {each[key]}")
        found[each[key]] = each.get(value) or ""
    return found


def tag_list(tags: Mapping[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """As AWS lists them, in the order of their keys."""
    return [{key: name, value: tags[name]} for name in sorted(tags)]


def tag_fault(tags: Mapping[str, str]) -> str | None:
    """What is wrong with all tags that a resource would have, or None."""
    if len(tags) > MOST:
        return f"a resource has at most {MOST} tags, not {len(tags)}"
    return next((fault for name, text in tags.items() if (fault := _fault_of(name, text))), None)


def require_tags(tags: Mapping[str, str], code: str = "TagException") -> None:
    """Raises AwsError of that code."""
    if fault := tag_fault(tags):
        raise AwsError(code, fault)


def _fault_of(name: str, text: str) -> str | None:
    if not 1 <= len(name) <= LONGEST_KEY:
        return f"a tag's key has 1 to {LONGEST_KEY} characters: {name[:LONGEST_KEY]!r}"
    if name.lower().startswith(_RESERVED):
        return f"keys that begin with {_RESERVED} are reserved: {name!r}"
    if len(text) > LONGEST_VALUE:
        return f"the value of the tag {name!r} has more than {LONGEST_VALUE} characters"
    if not _is_plain(name) or not _is_plain(text):
        signs = "".join(sorted(_SIGNS))
        return f"the tag {name!r} has characters that are no letters, numbers, spaces or one of {signs}"
    return None


def _is_plain(text: str) -> bool:
    return all(each in _SIGNS or unicodedata.category(each)[0] in "LNZ" for each in text)
