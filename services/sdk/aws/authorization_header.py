"""What a SigV4 request claims, cut out of its header or query in one pass. Nothing is verified here.

Everybody may send these, without a login, so no expression that could go back and forth meets them: each reader
looks at a character a fixed number of times, and what is longer than any true claim is not read at all.
Source: AWS IAM User Guide, "Create a signed AWS API request".
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

LONGEST = 8192
"""Bytes of an Authorization header or X-Amz-Credential; a claim with 100 signed headers has about 3,000."""
LONGEST_PART = 256
_FIELDS = ("Credential", "SignedHeaders", "Signature")
_USUAL = re.compile(r"(AWS4-[A-Z0-9-]+) Credential=([^\s,]+), ?SignedHeaders=([^\s,]+), ?Signature=([^\s,]+)")
"""As every tool writes it. Each class ends before what follows it, so this one never goes back."""
_LONGEST_CREDENTIAL = 4 * (LONGEST_PART + 1) + len("aws4_request")
_DIGITS = frozenset("0123456789")
_SERVICE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_ALGORITHM = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")


class Credential(NamedTuple):
    """`AKID/date/region/service/aws4_request`, taken apart."""

    access_key: str
    date: str
    region: str
    service: str


class AuthorizationHeader(NamedTuple):
    """The fields of the header, as they were sent."""

    algorithm: str
    credential: str
    signed_headers: str
    signature: str


def parse_authorization(value: str) -> AuthorizationHeader | None:
    """None for everything that is not one algorithm and each of the three fields once."""
    return _parse_authorization(value) if len(value) <= LONGEST else None


@lru_cache(maxsize=256)
def _parse_authorization(value: str) -> AuthorizationHeader | None:
    """Several look at the same request's, one after the other."""
    if (usual := _USUAL.fullmatch(value)) is not None:
        return AuthorizationHeader(*usual.groups())
    algorithm, _, rest = value.partition(" ")
    fields = _fields(rest)
    if fields is None or not algorithm.startswith("AWS4-") or not _ALGORITHM.issuperset(algorithm):
        return None
    return AuthorizationHeader(algorithm, *(fields[name] for name in _FIELDS))


def parse_credential(text: str) -> Credential | None:
    """None for everything that is no credential scope."""
    return _parse_credential(text) if len(text) <= _LONGEST_CREDENTIAL else None


@lru_cache(maxsize=1024)
def _parse_credential(text: str) -> Credential | None:
    """Everybody's is the same for a day."""
    parts = text.split("/", 5)
    if len(parts) != 5 or parts[4] != "aws4_request" or any(map(_is_odd, parts)):
        return None
    access_key, date, region, service, _ = parts
    if len(date) != 8 or not _DIGITS.issuperset(date) or not _SERVICE.issuperset(service):
        return None
    return Credential(access_key, date, region, service)


def _fields(text: str) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for part in text.split(",", len(_FIELDS)):
        name, _, value = part.strip(" \t").partition("=")
        if name not in _FIELDS or name in found or not value or _has_space(value):
            return None
        found[name] = value
    return found if len(found) == len(_FIELDS) else None


def _is_odd(part: str) -> bool:
    return not 0 < len(part) <= LONGEST_PART or _has_space(part) or "," in part


def _has_space(text: str) -> bool:
    return text.split() != [text]
