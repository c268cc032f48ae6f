"""Time-based one-time passwords (RFC 6238) as authenticator apps make them: SHA-1, six digits, thirty seconds."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from urllib.parse import quote

STEP_SECONDS, DIGITS = 30, 6
SECRET_BYTES = 20
# A phone's clock is off, and people are slow: one step before and after.
_DRIFT = 1
RECOVERY_CODES = 10
_RECOVERY_BYTES = 10
_GROUP = 4


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def code_at(secret: bytes, step: int) -> str:
    """The code of that step (RFC 4226, 5.3)."""
    digest = hmac.new(secret, step.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def step_of(seconds: float) -> int:
    """The step a moment (in seconds since 1970) is in."""
    return int(seconds) // STEP_SECONDS


def matching_step(secret: bytes, code: str, now: float, last: int) -> int | None:
    """The step whose code that is, if it is about now and later than `last`: no code works twice."""
    given = code.replace(" ", "")
    if len(given) != DIGITS or not given.isascii() or not given.isdigit():
        return None
    found = None
    for step in range(step_of(now) - _DRIFT, step_of(now) + _DRIFT + 1):
        # All are compared, so that the time tells nothing.
        if hmac.compare_digest(code_at(secret, step), given) and step > last:
            found = step
    return found


def provisioning_uri(secret: bytes, user: str, issuer: str) -> str:
    """The address an authenticator app reads from a picture (Key URI Format)."""
    label, named = quote(f"{issuer}:{user}"), quote(issuer)
    return f"otpauth://totp/{label}?secret={base32(secret)}&issuer={named}&algorithm=SHA1&digits=6&period=30"


def base32(secret: bytes) -> str:
    return base64.b32encode(secret).decode().rstrip("=")


def recovery_codes() -> list[str]:
    """Ten codes of 80 random bits, each good once: `abcd-efgh-ijkl-mnop`."""
    return [_grouped(secrets.token_bytes(_RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]


def hash_recovery(code: str) -> str:
    """The hash that is kept of a recovery code. It is random enough that no slow hash is needed."""
    plain = code.lower().replace("-", "").replace(" ", "")
    return hashlib.sha256(b"aerekos-recovery\x00" + plain.encode()).hexdigest()


def _grouped(raw: bytes) -> str:
    text = base64.b32encode(raw).decode().lower()
    return "-".join(text[at : at + _GROUP] for at in range(0, len(text), _GROUP))
