"""Key material at rest: AES-256-GCM under the root key, bound to the key it belongs to and its version.

Sealed form: format byte 1, nonce (12), ciphertext and tag. Moving a sealed blob to another Key or version breaks it.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MATERIAL_SIZE = 32
_FORMAT = b"\x01"
_NONCE = 12


class Unsealable(Exception):
    """The blob is broken, belongs elsewhere, or was sealed under another root key."""


class Seal:
    """`root` is the conductor's 32-byte root key. Raises ValueError for any other length."""

    def __init__(self, root: bytes) -> None:
        if len(root) != MATERIAL_SIZE:
            raise ValueError("the root key must have 32 bytes")
        self._cipher = AESGCM(root)

    def close(self, material: bytes, uid: str, version: int) -> bytes:
        """The sealed form of `material`."""
        nonce = secrets.token_bytes(_NONCE)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, material, _bound(uid, version))

    def open(self, sealed: bytes, uid: str, version: int) -> bytes:
        """The material. Raises Unsealable."""
        if not sealed.startswith(_FORMAT) or len(sealed) < 1 + _NONCE + 16:
            raise Unsealable("unknown format of sealed material")
        try:
            return self._cipher.decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], _bound(uid, version))
        except InvalidTag:
            raise Unsealable(
                f"material {version} of key {uid} was sealed under another root key, or is damaged"
            ) from None


def new_material() -> bytes:
    """32 random bytes."""
    return secrets.token_bytes(MATERIAL_SIZE)


def _bound(uid: str, version: int) -> bytes:
    return f"aerekos key material\x00{uid}\x00{version}".encode()
