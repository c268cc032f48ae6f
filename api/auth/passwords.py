"""Passwords are kept as scrypt hashes (RFC 7914) that carry their own parameters."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

# OWASP Password Storage Cheat Sheet: the least for scrypt.
COST = (2**17, 8, 1)
_MOST_MEMORY = 160 * 2**20  # N=2^17, r=8 needs 128 MiB and a little


def hash_password(password: str) -> str:
    """`scrypt$n$r$p$salt$hash`. Takes about half a second and 128 MiB on purpose."""
    salt, (n, r, p) = secrets.token_bytes(16), COST
    return f"scrypt${n}${r}${p}${_b64(salt)}${_b64(_derive(password, salt, n, r, p))}"


def nobody() -> str:
    """Compared for users that do not exist, so that the answer takes as long as for those that do."""
    n, r, p = COST
    return f"scrypt${n}${r}${p}${_b64(bytes(16))}${_b64(bytes(32))}"


def password_fits(password: str, kept: str) -> bool:
    """Whether that password made that hash. A hash in an unknown form fits nothing."""
    try:
        scheme, n, r, p, salt, expected = kept.split("$")
        if scheme != "scrypt":
            return False
        derived = _derive(password, base64.b64decode(salt), int(n), int(r), int(p))
        return hmac.compare_digest(derived, base64.b64decode(expected))
    except ValueError:
        return False


def is_outdated(kept: str) -> bool:
    """Whether that hash was made with less work than is done now."""
    n, r, p = COST
    return not kept.startswith(f"scrypt${n}${r}${p}$")


def one_time_password() -> str:
    """Four groups of five letters and digits: about 98 bits."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(4))


def _derive(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MOST_MEMORY, dklen=32)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
