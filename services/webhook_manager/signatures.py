"""Signatures of Standard Webhooks: `v1`, HMAC-SHA256 over id, time and body.

Source: Standard Webhooks specification 1.0, "Signature scheme", "Symmetric secrets".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping

PREFIX = "whsec_"
_BYTES, _LEAST, _MOST = 32, 24, 64


def new_secret() -> str:
    """256 random bits, as `whsec_` and base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The bytes that sign. Raises ValueError for what is no secret of 24 to 64 bytes."""
    if not secret.startswith(PREFIX):
        raise ValueError("must be whsec_ and base64")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as odd:
        raise ValueError(f"must be whsec_ and base64: {odd}") from None
    if not _LEAST <= len(key) <= _MOST:
        raise ValueError(f"must have {_LEAST} to {_MOST} bytes, not {len(key)}")
    return key


def signed_headers(id: str, timestamp: int, body: bytes, keys: Iterable[bytes]) -> Mapping[str, str]:
    """The three headers. timestamp: of this attempt, in seconds since 1970. A signature for each key: whoever knows
    one of them can verify.
    """
    content = signed_content(id, str(timestamp), body)
    marks = (base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{each}" for each in marks),
    }


def signed_content(id: str, timestamp: str, body: bytes) -> bytes:
    return f"{id}.{timestamp}.".encode() + body
