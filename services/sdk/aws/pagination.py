"""Tokens for the next page: opaque, bound to what was asked, and of no use once somebody has changed them.

    version 1: byte 1, tag (16 bytes of HMAC-SHA256), JSON of where the page before ended; all in base64url

`scope` is everything a token must not leave: the operation, the account, and what the list was narrowed to. A token
is signed with the first key and accepted under each of them, so that keys can be changed while lists are read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

T = TypeVar("T")
LONGEST = 4096
_VERSION, _TAG = b"\x01", 16
_LABEL = b"aerekos page token\x00"


class InvalidToken(ValueError):
    """Not a token of this list, or not as it was handed out."""


class Page(NamedTuple, Generic[T]):
    """Some of a list. `token` is None on the last page."""

    items: list[T]
    token: str | None


class PageTokens:
    """Seals and opens tokens. `secrets`: what all replicas of the service know, the one to sign with first."""

    def __init__(self, *secrets: bytes) -> None:
        if not secrets or not all(secrets):
            raise ValueError("page tokens need a secret")
        self._keys = [hmac.new(each, _LABEL, hashlib.sha256).digest() for each in secrets]

    def seal(self, scope: Sequence[str], after: Any) -> str:
        """A token that says the page ended at `after`."""
        content = orjson.dumps(after)
        tag = _tag(self._keys[0], scope, content)
        return base64.urlsafe_b64encode(_VERSION + tag + content).decode().rstrip("=")

    def open(self, scope: Sequence[str], token: str) -> Any:
        """Where the page before ended. Raises InvalidToken."""
        raw = _decoded(token)
        tag, content = raw[1 : 1 + _TAG], raw[1 + _TAG :]
        if not raw.startswith(_VERSION) or not any(
            hmac.compare_digest(tag, _tag(key, scope, content)) for key in self._keys
        ):
            raise InvalidToken("the token is not one of this list")
        return orjson.loads(content)

    def page(
        self, items: Sequence[T], by: Callable[[T], str], scope: Sequence[str], token: str | None, limit: int
    ) -> Page[T]:
        """At most `limit` of the items, in the order of `by`, from where the token says. Raises InvalidToken."""
        rows = sorted(items, key=by)
        if token is not None:
            after = self.open(scope, token)
            rows = [each for each in rows if by(each) > after]
        shown = rows[:limit]
        more = shown and len(rows) > len(shown)
        return Page(shown, self.seal(scope, by(shown[-1])) if more else None)


def _tag(key: bytes, scope: Sequence[str], content: bytes) -> bytes:
    said = orjson.dumps([*scope]) + b"\x00" + content  # orjson escapes zero bytes: the two cannot run together
    return hmac.new(key, _VERSION + said, hashlib.sha256).digest()[:_TAG]


def _decoded(token: str) -> bytes:
    if len(token) > LONGEST:
        raise InvalidToken("the token is too long")
    try:
        content = token.encode("ascii")
        return base64.b64decode(content + b"=" * (-len(content) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error, ValueError):
        raise InvalidToken("the token is no base64") from None
