"""Addresses people may have messages sent to, judged without looking them up. Light and pure.

What a name resolves to is judged at each sending (`services.sdk.outbound`).
"""

from __future__ import annotations

from urllib.parse import urlsplit

LONGEST = 2048


def url_fault(url: str) -> str:
    """Why nothing is sent to that address, or nothing."""
    if len(url) > LONGEST or not url.isascii() or any(each.isspace() or not each.isprintable() for each in url):
        return f"must have at most {LONGEST} characters, printable ASCII without spaces"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as odd:
        return f"is no address: {odd}"
    if parts.scheme not in ("https", "http"):
        return "must begin with https:// (or http://, for a private network)"
    if not parts.hostname or port == 0:
        return "must name a host"
    if "@" in parts.netloc:
        return "must not have a user or password in it: what is sent is proven by its signature"
    return "must have no fragment (#...)" if parts.fragment else ""
