"""A bearer token that a service's own clients send in a header of theirs (`X-Vault-Token`)."""

from __future__ import annotations

from collections.abc import Sequence

Headers = list[tuple[bytes, bytes]]


def with_bearer(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> Headers:
    """The headers with that one as Authorization, if there is none yet; no service gets to see either of them."""
    tokens = [value for each, value in headers if each == name]
    kept = [each for each in headers if each[0] != name]
    if tokens and not any(each == b"authorization" for each, _ in kept):
        kept.append((b"authorization", b"Bearer " + tokens[0]))
    return kept
