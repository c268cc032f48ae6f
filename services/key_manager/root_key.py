"""Key material at rest: AES-256-GCM under the root key, bound to the key it belongs to and its version.

Sealed form: format byte 2, generation of the root key (4, big endian), nonce (12), ciphertext and tag; what is before
the nonce is authenticated too. Format 1, of versions before, has no generation: it is of 0. Moving a sealed blob to
another Key or version breaks it.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.sdk.keys import parse

_FIRST, _FORMAT = b"\x01", b"\x02"
_GENERATION, _NONCE, _TAG = 4, 12, 16


class Unsealable(Exception):
    """The blob is broken, belongs elsewhere, or was sealed under another root key."""


class NotYetOurs(Unsealable):
    """Sealed under a generation of the root key newer than ours: we are about to be replaced by one who has it."""


class RootKeyCipher:
    """`root` is the content of the root key's file. Raises ValueError for anything else."""

    def __init__(self, root: bytes) -> None:
        try:
            generations = parse(root, "root-key")
        except OSError as error:
            raise ValueError("the root key must have 32 bytes, or be a whole file of generations") from error
        self.newest = generations[0].number
        self._ciphers = {each.number: AESGCM(each.key) for each in generations}

    def close(self, material: bytes, uid: str, version: int) -> bytes:
        """The sealed form of `material`, under the newest generation."""
        nonce = secrets.token_bytes(_NONCE)
        head = _FORMAT + self.newest.to_bytes(_GENERATION)
        return head + nonce + self._ciphers[self.newest].encrypt(nonce, material, head + _bound(uid, version))

    def open(self, sealed: bytes, uid: str, version: int) -> bytes:
        """The material. Raises Unsealable."""
        generation, head = generation_of(sealed), _head_size(sealed)
        cipher = self._ciphers.get(generation)
        if cipher is None and generation > self.newest:
            raise NotYetOurs(
                f"material {version} of key {uid} is sealed under generation {generation} of the root key"
            )
        bound = _bound(uid, version) if sealed.startswith(_FIRST) else sealed[:head] + _bound(uid, version)
        try:
            if cipher is None:
                raise InvalidTag
            return cipher.decrypt(sealed[head : head + _NONCE], sealed[head + _NONCE :], bound)
        except InvalidTag:
            raise Unsealable(
                f"material {version} of key {uid} was sealed under another root key "
                f"(generation {generation}), or is damaged; put the backup of secrets/root-key back"
            ) from None

    def is_current(self, sealed: bytes) -> bool:
        """Return whether the blob is sealed under the newest generation, or one newer than we know."""
        return sealed.startswith(_FORMAT) and generation_of(sealed) >= self.newest

    def gave_up(self, sealed: bytes) -> bool:
        """Return whether it is of before all our generations: none is dropped while it is needed, but by consent."""
        return generation_of(sealed) < min(self._ciphers)


def generation_of(sealed: bytes) -> int:
    """Under which generation of the root key that is sealed. Raises Unsealable."""
    if sealed[:1] not in (_FIRST, _FORMAT) or len(sealed) < _head_size(sealed) + _NONCE + _TAG:
        raise Unsealable("unknown format of sealed material")
    return int.from_bytes(sealed[1 : 1 + _GENERATION]) if sealed.startswith(_FORMAT) else 0


def generation_of_text(text: str) -> int:
    """Return `generation_of` the base64 that is stored. Raises Unsealable."""
    try:
        return generation_of(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as error:
        raise Unsealable("unknown format of sealed material") from error


def generation_in(material: Mapping[str, Any]) -> int:
    """Under which generation a KeyMaterial is sealed, from its JSON; -1: in no form we know."""
    try:
        return generation_of_text(material["spec"]["sealed"])
    except Unsealable:
        return -1


def opener(root: bytes) -> Callable[[Mapping[str, Any]], str | None]:
    """What says of a KeyMaterial, from its JSON, why that root key does not open it, or None. Raises ValueError."""
    cipher = RootKeyCipher(root)

    def fault(material: Mapping[str, Any]) -> str | None:
        try:
            spec = material["spec"]
            cipher.open(base64.b64decode(spec["sealed"], validate=True), spec["keyUid"], spec["version"])
        except (Unsealable, ValueError) as error:
            return str(error)
        except (KeyError, TypeError):
            return "a key material cannot be read"
        return None

    return fault


def _head_size(sealed: bytes) -> int:
    return 1 + _GENERATION if sealed.startswith(_FORMAT) else 1


def _bound(uid: str, version: int) -> bytes:
    return f"aerekos key material\x00{uid}\x00{version}".encode()
