"""Objects of backups as they are stored: encrypted, and bound to their name, so that none passes for another.

Format 1: `AEDB`, the byte 1, 8 bytes that say which key, 12 of a nonce, then AES-256-GCM of the content; additional
data are all before the nonce, and the object's name.
"""

from __future__ import annotations

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_MAGIC, _VERSION = b"AEDB", b"\x01"
_ID_BYTES, _NONCE_BYTES = 8, 12
KEY_BYTES = 32


class Damaged(Exception):
    """A stored object is not what was stored under its name; the text says which and why."""


class Sealer:
    """`key`: 32 bytes. `key_id`: tells keys apart, and nothing of the key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._id = hashlib.sha256(b"aerekos database backups\x00" + key).digest()[:_ID_BYTES]
        self.key_id = self._id.hex()

    def seal(self, name: str, content: bytes) -> bytes:
        head, nonce = _MAGIC + _VERSION + self._id, os.urandom(_NONCE_BYTES)
        return head + nonce + self._cipher.encrypt(nonce, content, head + name.encode())

    def open(self, name: str, stored: bytes) -> bytes:
        """Raises Damaged."""
        at = len(_MAGIC) + 1
        head, nonce = stored[: at + _ID_BYTES], stored[at + _ID_BYTES : at + _ID_BYTES + _NONCE_BYTES]
        if head[: len(_MAGIC)] != _MAGIC:
            raise Damaged(f"{name} is no object of a backup")
        if head[len(_MAGIC) : at] != _VERSION:
            raise Damaged(f"{name} is of format {head[len(_MAGIC)]}, which this version does not know")
        if head[at:] != self._id:
            raise Damaged(
                f"{name} was sealed with the key {head[at:].hex()}; the Secret has {self.key_id}: put that key back"
            )
        try:
            return self._cipher.decrypt(nonce, stored[at + _ID_BYTES + _NONCE_BYTES :], head + name.encode())
        except (InvalidTag, ValueError):
            raise Damaged(f"{name} was changed or cut off since it was stored") from None
