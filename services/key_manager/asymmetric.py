"""What asymmetric keys do: sign and verify, RSA encryption, key agreement, encapsulation. Pure: keys in, bytes out.

Source: AWS KMS Developer Guide, "Key spec reference"; RFC 8017 (PSS, PKCS#1 v1.5, OAEP), FIPS 186-5, 203, 204.
"""

from __future__ import annotations

from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "SHA_1": hashes.SHA1,
    "SHA_256": hashes.SHA256,
    "SHA_384": hashes.SHA384,
    "SHA_512": hashes.SHA512,
}
RAW, DIGEST, EXTERNAL_MU = "RAW", "DIGEST", "EXTERNAL_MU"
_MU_SIZE = 64


class BadInput(ValueError):
    """A message, ciphertext or public key that the algorithm does not take."""


def message_types(algorithm: str) -> tuple[str, ...]:
    """What MessageType may be for that signing algorithm."""
    if algorithm.startswith("ED25519"):
        return (RAW,)
    return (RAW, EXTERNAL_MU) if algorithm.startswith("ML_DSA") else (RAW, DIGEST)


def digest_size(algorithm: str) -> int:
    """Bytes of a message that comes as a digest."""
    return _MU_SIZE if algorithm.startswith("ML_DSA") else _hash_of(algorithm).digest_size


def sign(key: Any, algorithm: str, message: bytes, message_type: str) -> bytes:
    """A signature with that private key."""
    signature: bytes
    if algorithm.startswith("ML_DSA"):
        signature = key.sign_mu(message) if message_type == EXTERNAL_MU else key.sign(message)
    else:
        signature = key.sign(message, *_scheme(algorithm, message_type))
    return signature


def is_signed(key: Any, algorithm: str, message: bytes, message_type: str, signature: bytes) -> bool:
    """Return whether `key`, a private one, could have made that signature."""
    public = key.public_key()
    try:
        if message_type == EXTERNAL_MU:
            public.verify_mu(signature, message)
        else:
            public.verify(signature, message, *_scheme(algorithm, message_type))
    except InvalidSignature:
        return False
    return True


def longest_plaintext(key: Any, algorithm: str) -> int:
    """How many bytes OAEP has room for."""
    return int(key.key_size) // 8 - 2 * _hash_of(algorithm).digest_size - 2


def encrypt(key: Any, algorithm: str, plaintext: bytes) -> bytes:
    """RSA OAEP with the public half of `key`."""
    sealed: bytes = key.public_key().encrypt(plaintext, _oaep(algorithm))
    return sealed


def decrypt(key: Any, algorithm: str, ciphertext: bytes) -> bytes:
    """Raises BadInput."""
    try:
        plaintext: bytes = key.decrypt(ciphertext, _oaep(algorithm))
    except ValueError as error:
        raise BadInput("the ciphertext was not made with this key and algorithm") from error
    return plaintext


def shared_secret(key: Any, public_der: bytes) -> bytes:
    """ECDH: the x coordinate, as SP 800-56A says. Raises BadInput."""
    try:
        public = serialization.load_der_public_key(public_der)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadInput("the public key is no SubjectPublicKeyInfo") from error
    if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != key.curve.name:
        raise BadInput("the public key is on another curve")
    secret: bytes = key.exchange(ec.ECDH(), public)
    return secret


def encapsulate(key: Any) -> tuple[bytes, bytes]:
    """A new shared secret and its ciphertext, for the public half of `key`."""
    secret, sealed = key.public_key().encapsulate()
    return secret, sealed


def decapsulate(key: Any, ciphertext: bytes) -> bytes:
    """The shared secret of that ciphertext; a wrong one of the right size gives another secret. Raises BadInput."""
    try:
        secret: bytes = key.decapsulate(ciphertext)
    except ValueError as error:
        raise BadInput("the ciphertext is not of this algorithm") from error
    return secret


def _hash_of(algorithm: str) -> hashes.HashAlgorithm:
    return _HASHES["_".join(algorithm.split("_")[-2:])]()


def _scheme(algorithm: str, message_type: str) -> tuple[Any, ...]:
    """What `sign` and `verify` take behind the message."""
    if algorithm.startswith(("ED25519", "ML_DSA")):
        return ()
    plain = _hash_of(algorithm)
    hashed = Prehashed(plain) if message_type == DIGEST else plain
    if algorithm.startswith("ECDSA"):
        return (ec.ECDSA(hashed),)
    if algorithm.startswith("RSASSA_PSS"):
        return padding.PSS(padding.MGF1(plain), plain.digest_size), hashed
    return padding.PKCS1v15(), hashed


def _oaep(algorithm: str) -> padding.OAEP:
    hashed = _hash_of(algorithm)
    return padding.OAEP(padding.MGF1(hashed), hashed, None)
