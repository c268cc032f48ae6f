"""Ciphertext blobs: what Encrypt and GenerateDataKey hand out, and Decrypt takes back.

    0      format byte 1
    1-16   uid of the Key
    17-20  version of its material, big endian
    21-36  salt: each message has its own key, HMAC-SHA256(material, label + salt), so nonces cannot run out
    37-48  nonce
    49-    AES-256-GCM ciphertext and tag; authenticated with it: all bytes before, and the encryption context

The context is canonical: pairs sorted by key, each part with its length before it (no two contexts look the same).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FORMAT = 1
_HEAD = struct.Struct(">B16sI16s12s")
_TAG = 16
_LABEL = b"aerekos kms message key\x00"


class BadCiphertext(Exception):
    """The ciphertext is not ours, damaged, or not made with this key and context."""


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """The key, and the version of its material, that made a blob."""

    uid: str
    version: int


def key_version_of(blob: bytes) -> KeyVersion:
    """Return which key version the blob claims, not yet proven. Raises BadCiphertext."""
    if len(blob) < _HEAD.size + _TAG or blob[0] != _FORMAT:
        raise BadCiphertext("not a ciphertext of this key manager")
    _, uid, version, _, _ = _HEAD.unpack_from(blob)
    return KeyVersion(_text_of(uid), version)


def encrypt(material: bytes, key_version: KeyVersion, plaintext: bytes, context: Mapping[str, str]) -> bytes:
    """A blob. `material` is that version's 32 bytes."""
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    head = _HEAD.pack(_FORMAT, _bytes_of(key_version.uid), key_version.version, salt, nonce)
    cipher = AESGCM(_message_key(material, salt))
    return head + cipher.encrypt(nonce, plaintext, head + canonical(context))


def decrypt(material: bytes, blob: bytes, context: Mapping[str, str]) -> bytes:
    """The plaintext. Raises BadCiphertext."""
    key_version_of(blob)
    head = blob[: _HEAD.size]
    _, _, _, salt, nonce = _HEAD.unpack(head)
    try:
        cipher = AESGCM(_message_key(material, salt))
        return cipher.decrypt(nonce, blob[_HEAD.size :], head + canonical(context))
    except InvalidTag:
        raise BadCiphertext("the ciphertext or its encryption context is not what was encrypted") from None


def canonical(context: Mapping[str, str]) -> bytes:
    """The one byte form of an encryption context."""
    parts = [part.encode() for pair in sorted(context.items()) for part in pair]
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


# A UUID is taken apart in two microseconds, a tenth of what a whole encryption takes here.
@lru_cache(maxsize=4096)
def _bytes_of(uid: str) -> bytes:
    return UUID(uid).bytes


@lru_cache(maxsize=4096)
def _text_of(uid: bytes) -> str:
    return str(UUID(bytes=uid))


def _message_key(material: bytes, salt: bytes) -> bytes:
    return hmac.new(material, _LABEL + salt, hashlib.sha256).digest()
