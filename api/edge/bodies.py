"""Limits of request bodies by path, judged before a byte of it is read.

What is longer by its own word is refused at once; what says nothing is counted as it comes. Paths that carry whole
objects to a service are streams, and judged there.
"""

from __future__ import annotations

from typing import Any

from crds.errors import TooLarge
from crds.numbers import whole_number

KIBIBYTE, MEBIBYTE = 2**10, 2**20
RESOURCE_LIMIT = 3 * MEBIBYTE  # as the apiserver
DEFAULT_LIMIT = 16 * KIBIBYTE
# The first that begins the path counts. None: a stream.
BODY_LIMITS: tuple[tuple[str, int | None], ...] = (
    ("/api/", RESOURCE_LIMIT),
    ("/apis/", RESOURCE_LIMIT),
    ("/services/", None),
    ("/v2/", None),
    ("/auth/", 64 * KIBIBYTE),
    ("/agents/", MEBIBYTE),
    ("/templates/", RESOURCE_LIMIT),
)
Headers = Any


def body_limit(path: str) -> int | None:
    """Bytes a body sent to that path may have; None for a stream."""
    for prefix, limit in BODY_LIMITS:
        if path.startswith(prefix):
            return limit
    return DEFAULT_LIMIT


def check_length(path: str, headers: Headers) -> None:
    """Raises TooLarge for a body that says itself that it is too long."""
    limit = body_limit(path)
    if limit is None:
        return
    for name, value in headers:
        if name == b"content-length":
            length = whole_number(value.decode("latin-1"))
            if length is None or length > limit:
                raise too_large(limit)


def has_body(headers: Headers) -> bool:
    """Whether a body comes with that head."""
    told = dict(headers)
    return b"transfer-encoding" in told or told.get(b"content-length", b"0") != b"0"


def too_large(limit: int) -> TooLarge:
    """The refusal of a body that is too long."""
    size = f"{limit // MEBIBYTE} MiB" if limit >= MEBIBYTE else f"{limit // KIBIBYTE} KiB"
    return TooLarge(f"the request body is larger than the {size} this API takes")
