"""Import tokens, and what comes with them: key material that somebody wrapped with the public key of the token.

A token is the private key itself, sealed under the root key for one Key and a day: any replica opens what another one
gave out, and nothing is kept of those nobody comes back with.

    version 1: byte 1, expiry (8, seconds), wrapping algorithm (1), PKCS#8 DER; all of it sealed as material is
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding
from cryptography.hazmat.primitives.serialization import load_der_private_key

from services.key_manager.material import BadMaterial, new_material, private_key, public_der
from services.key_manager.root_key import RootKeyCipher, Unsealable

VALID = timedelta(days=1)
ALGORITHMS = ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256")
_VERSION = 1
_HEAD = struct.Struct(">BQB")
_FAULT = "the material was not wrapped with the public key and algorithm of its import token"


class InvalidToken(ValueError):
    """Not a token of this key."""


class ExpiredToken(ValueError):
    """A token of this key whose day is over."""


class ImportParameters(NamedTuple):
    """What GetParametersForImport hands out."""

    token: bytes
    public_key: bytes
    valid_to: datetime


def new_parameters(cipher: RootKeyCipher, uid: str, algorithm: str, key_spec: str, now: datetime) -> ImportParameters:
    """A key pair to wrap material for the Key `uid` with. Slow: RSA keys are made."""
    private, until = new_material(key_spec), (now + VALID).replace(microsecond=0)
    head = _HEAD.pack(_VERSION, int(until.timestamp()), ALGORITHMS.index(algorithm))
    public = public_der(private_key(key_spec, private))
    return ImportParameters(cipher.close(head + private, _purpose(uid), 0), public, until)


def unwrapped(cipher: RootKeyCipher, uid: str, token: bytes, wrapped: bytes, now: datetime) -> bytes:
    """The material. Raises InvalidToken, ExpiredToken, BadMaterial."""
    try:
        content = cipher.open(token, _purpose(uid), 0)
    except Unsealable as error:
        raise InvalidToken("the import token is not one of this key") from error
    version, until, algorithm = _HEAD.unpack_from(content)
    if version != _VERSION or algorithm >= len(ALGORITHMS):
        raise InvalidToken("the import token is of another version of this key manager")
    if datetime.fromtimestamp(until, UTC) <= now:
        raise ExpiredToken("the import token has expired; get the parameters for import again")
    return _unwrapped(content[_HEAD.size :], ALGORITHMS[algorithm], wrapped)


def _unwrapped(private: bytes, algorithm: str, wrapped: bytes) -> bytes:
    key: Any = load_der_private_key(private, None, unsafe_skip_rsa_key_validation=True)
    hashed: hashes.HashAlgorithm = hashes.SHA256() if algorithm.endswith("256") else hashes.SHA1()  # noqa: S303
    scheme, size = padding.OAEP(padding.MGF1(hashed), hashed, None), int(key.key_size) // 8
    try:
        if algorithm.startswith("RSAES"):
            opened: bytes = key.decrypt(wrapped, scheme)
            return opened
        return aes_key_unwrap_with_padding(key.decrypt(wrapped[:size], scheme), wrapped[size:])
    except (ValueError, InvalidUnwrap) as error:
        raise BadMaterial(_FAULT) from error


def _purpose(uid: str) -> str:
    """In the place of a key's uid, and never one: no material can be taken for a token, or a token for material."""
    return f"import token of {uid}"
