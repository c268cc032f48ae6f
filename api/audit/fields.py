"""Bounds for what a line of the audit log holds: everything in it was sent by somebody.

A text that is too long is cut and says so: `Mozilla/5.0 ...[+20971269]`. A whole line has a limit as well, because
JSON writes some characters as six.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

LINE_BYTES = 16 * 1024
BODY_BYTES = 8 * 1024
MOST_GROUPS = 32
MOST_ANNOTATIONS = 16
LIMITS: Mapping[str, int] = {
    "user": 253,
    "by": 253,
    "sid": 64,
    "accessKey": 64,
    "login": 253,
    "verb": 64,
    "action": 96,
    "resource": 1200,
    "namespace": 64,
    "method": 16,
    "path": 1024,
    "query": 1024,
    "reason": 512,
    "from": 64,
    "userAgent": 256,
    "requestId": 64,
}
_GROUP = 128
# Whoever has the whole of a presigned URL may use it until it expires; tokens in a query are no better.
_SECRETS = re.compile(
    r"((?:^|&)(?:X-Amz-Signature|X-Amz-Security-Token|token|access_token|code)=)[^&]*", re.IGNORECASE
)


def bounded(text: str, limit: int) -> str:
    """`text`, cut to `limit` characters with word of how many are missing."""
    return text if len(text) <= limit else f"{text[:limit]}...[+{len(text) - limit}]"


def decoded(raw: bytes, limit: int) -> str:
    """As `bounded`, without ever decoding more than is kept."""
    text = raw[:limit].decode("latin-1")
    return text if len(raw) <= limit else f"{text}...[+{len(raw) - limit}]"


@lru_cache(256)
def bounded_groups(groups: frozenset[str]) -> Sequence[str]:
    """Sorted; beyond 32, how many more. Remembered: there are few sets of groups."""
    named = [bounded(each, _GROUP) for each in sorted(groups)[:MOST_GROUPS]]
    return tuple(named if len(groups) <= MOST_GROUPS else [*named, f"...[+{len(groups) - MOST_GROUPS}]"])


def bounded_annotations(annotations: Mapping[str, str]) -> dict[str, str]:
    """Annotations that admission wants noted: the first 16."""
    named = sorted(annotations.items())[:MOST_ANNOTATIONS]
    return {bounded(name, _GROUP): bounded(text, LIMITS["reason"]) for name, text in named}


def without_secrets(query: bytes) -> str:
    """A query that nobody can use again. The cut comes first: a cut never uncovers what it ends in."""
    return _SECRETS.sub(r"\1...", decoded(query, LIMITS["query"])) if query else ""


def body_of(raw: bytes, size: int) -> Any:
    """A body as the log keeps it: JSON when it is whole and short enough, else how long it was."""
    if size > BODY_BYTES or size != len(raw):
        return {"omitted": f"{size} bytes"}
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {"omitted": f"{size} bytes, no JSON"}


def fitted(line: dict[str, Any], limit: int = LINE_BYTES) -> bytes:
    """The line as JSON of at most `limit` bytes: bodies go first, then every text is halved until it fits."""
    text = orjson.dumps(line)
    for name in ("responseObject", "requestObject", "annotations"):
        if len(text) > limit and name in line:
            line = {**line, name: {"omitted": "the line would be too long"}}
            text = orjson.dumps(line)
    share = 1
    while len(text) > limit:
        share *= 2
        line = {**line, "groups": line.get("groups", [])[: MOST_GROUPS // share]}
        cut = {name: bounded(line[name], most // share) for name, most in LIMITS.items() if line.get(name)}
        text = orjson.dumps({**line, **cut})
    return text
