"""New key material for each key spec, and the form it is kept in: bytes of secrets, PKCS#8 DER of private keys."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, mlkem, rsa

from services.key_manager.key_specs import SYMMETRIC

_EXPONENT = 65537
SECRET_SIZES: Mapping[str, int] = {SYMMETRIC: 32, "HMAC_224": 28, "HMAC_256": 32, "HMAC_384": 48, "HMAC_512": 64}
RSA_BITS: Mapping[str, int] = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
CURVES: Mapping[str, type[ec.EllipticCurve]] = {
    "ECC_NIST_P256": ec.SECP256R1,
    "ECC_NIST_P384": ec.SECP384R1,
    "ECC_NIST_P521": ec.SECP521R1,
    "ECC_SECG_P256K1": ec.SECP256K1,
}
_OTHERS: Mapping[str, Any] = {
    "ECC_NIST_EDWARDS25519": ed25519.Ed25519PrivateKey,
    "ML_DSA_44": mldsa.MLDSA44PrivateKey,
    "ML_DSA_65": mldsa.MLDSA65PrivateKey,
    "ML_DSA_87": mldsa.MLDSA87PrivateKey,
    "ML_KEM_768": mlkem.MLKEM768PrivateKey,
    "ML_KEM_1024": mlkem.MLKEM1024PrivateKey,
}


class BadMaterial(ValueError):
    """Bytes that are no material of a key spec. The message never repeats them."""


def is_slow_to_make(key_spec: str) -> bool:
    """Return whether new material takes longer than an event loop should wait."""
    return key_spec in RSA_BITS


def is_slow_to_use(key_spec: str) -> bool:
    """Return whether one private operation takes a millisecond or more."""
    return key_spec in ("RSA_3072", "RSA_4096") or key_spec.startswith("ML_DSA_")


def new_material(key_spec: str) -> bytes:
    """Random material of that spec."""
    if key_spec in SECRET_SIZES:
        return secrets.token_bytes(SECRET_SIZES[key_spec])
    return private_der(_new_private_key(key_spec))


def private_key(key_spec: str, material: bytes) -> Any:
    """The private key in material of ours, which is not checked again. Raises BadMaterial."""
    try:
        found = serialization.load_der_private_key(material, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadMaterial("the material is no PKCS#8 private key") from error
    if not _fits(key_spec, found):
        raise BadMaterial(f"the material is no private key of {key_spec}")
    return found


def require_material(key_spec: str, material: bytes) -> bytes:
    """Material from elsewhere in the form it is kept in. Raises BadMaterial."""
    if key_spec in SECRET_SIZES:
        least = SECRET_SIZES[key_spec]
        most = least if key_spec == SYMMETRIC else max(2 * least, 64)
        if not least <= len(material) <= most:
            raise BadMaterial(f"{key_spec} takes {least} to {most} bytes of key material, not {len(material)}")
        return material
    private_key(key_spec, material)
    try:
        return private_der(serialization.load_der_private_key(material, None))
    except ValueError as error:
        raise BadMaterial(f"the private key is no sound key of {key_spec}") from error


def private_der(key: Any) -> bytes:
    """PKCS#8 DER, unencrypted."""
    der: bytes = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return der


def public_der(key: Any) -> bytes:
    """The public half as SubjectPublicKeyInfo DER."""
    der: bytes = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return der


def _new_private_key(key_spec: str) -> Any:
    if key_spec in RSA_BITS:
        return rsa.generate_private_key(_EXPONENT, RSA_BITS[key_spec])
    if key_spec in CURVES:
        return ec.generate_private_key(CURVES[key_spec]())
    make: Callable[[], Any] = _OTHERS[key_spec].generate
    return make()


def _fits(key_spec: str, key: Any) -> bool:
    if key_spec in RSA_BITS:
        return isinstance(key, rsa.RSAPrivateKey) and key.key_size == RSA_BITS[key_spec]
    if key_spec in CURVES:
        return isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, CURVES[key_spec])
    return key_spec in _OTHERS and isinstance(key, _OTHERS[key_spec])
