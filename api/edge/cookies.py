"""Cookies, before a framework reads them: quoted ones go, for Python unquotes in quadratic time (CVE-2024-7592)."""

from __future__ import annotations

from collections.abc import Sequence

Headers = list[tuple[bytes, bytes]]
MOST_COOKIES = 64
LONGEST_COOKIES = 16_384


def with_plain_cookies(headers: Sequence[tuple[bytes, bytes]]) -> Headers:
    """The headers with only such cookies as RFC 6265 allows a server to set without quotes."""
    if not any(name == b"cookie" for name, _ in headers):
        return list(headers)
    given = b";".join(value for name, value in headers if name == b"cookie")
    kept: Headers = [each for each in headers if each[0] != b"cookie"]
    if plain := _plain(given):
        kept.append((b"cookie", plain))
    return kept


def _plain(given: bytes) -> bytes:
    if len(given) > LONGEST_COOKIES:
        return b""
    parts = (part.strip() for part in given.split(b";", MOST_COOKIES)[:MOST_COOKIES])
    return b"; ".join(part for part in parts if b"=" in part and b'"' not in part and b"\\" not in part)
