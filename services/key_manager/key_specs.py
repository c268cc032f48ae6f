"""What AWS's key specs are for: their usages, and the algorithms of each usage.

Light: the kinds import it, and manifests the kinds. Source: AWS KMS Developer Guide, "Key spec reference".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

SYMMETRIC = "SYMMETRIC_DEFAULT"
KeySpecName = Literal[
    "SYMMETRIC_DEFAULT",
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "ECC_NIST_P256",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
    "ECC_NIST_EDWARDS25519",
    "HMAC_224",
    "HMAC_256",
    "HMAC_384",
    "HMAC_512",
    "ML_DSA_44",
    "ML_DSA_65",
    "ML_DSA_87",
    "ML_KEM_768",
    "ML_KEM_1024",
]
Usage = Literal["ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT", "ENCAPSULATE_DECAPSULATE"]

GrantOperation = Literal[
    "Decrypt",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
    "Sign",
    "Verify",
    "GetPublicKey",
    "CreateGrant",
    "RetireGrant",
    "DescribeKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateMac",
    "VerifyMac",
    "DeriveSharedSecret",
    "Encapsulate",
    "Decapsulate",
]

_RSA: Mapping[Usage, tuple[str, ...]] = {
    "ENCRYPT_DECRYPT": ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"),
    "SIGN_VERIFY": (
        "RSASSA_PKCS1_V1_5_SHA_256",
        "RSASSA_PKCS1_V1_5_SHA_384",
        "RSASSA_PKCS1_V1_5_SHA_512",
        "RSASSA_PSS_SHA_256",
        "RSASSA_PSS_SHA_384",
        "RSASSA_PSS_SHA_512",
    ),
}


def _nist(bits: str) -> Mapping[Usage, tuple[str, ...]]:
    return {"SIGN_VERIFY": (f"ECDSA_SHA_{bits}",), "KEY_AGREEMENT": ("ECDH",)}


def _hmac(bits: str) -> Mapping[Usage, tuple[str, ...]]:
    return {"GENERATE_VERIFY_MAC": (f"HMAC_SHA_{bits}",)}


_ML_DSA: Mapping[Usage, tuple[str, ...]] = {"SIGN_VERIFY": ("ML_DSA_SHAKE_256",)}
_ML_KEM: Mapping[Usage, tuple[str, ...]] = {"ENCAPSULATE_DECAPSULATE": ("ML_KEM",)}

ALGORITHMS: Mapping[str, Mapping[Usage, tuple[str, ...]]] = {
    SYMMETRIC: {"ENCRYPT_DECRYPT": (SYMMETRIC,)},
    **dict.fromkeys(("RSA_2048", "RSA_3072", "RSA_4096"), _RSA),
    "ECC_NIST_P256": _nist("256"),
    "ECC_NIST_P384": _nist("384"),
    "ECC_NIST_P521": _nist("512"),
    "ECC_SECG_P256K1": {"SIGN_VERIFY": ("ECDSA_SHA_256",)},
    "ECC_NIST_EDWARDS25519": {"SIGN_VERIFY": ("ED25519_SHA_512",)},
    **{f"HMAC_{bits}": _hmac(bits) for bits in ("224", "256", "384", "512")},
    **dict.fromkeys(("ML_DSA_44", "ML_DSA_65", "ML_DSA_87"), _ML_DSA),
    **dict.fromkeys(("ML_KEM_768", "ML_KEM_1024"), _ML_KEM),
}
"""By key spec and usage, in the order in which AWS names them."""

# The member of KeyMetadata and of GetPublicKey that names the algorithms of a usage.
ALGORITHMS_MEMBER: Mapping[Usage, str] = {
    "ENCRYPT_DECRYPT": "EncryptionAlgorithms",
    "SIGN_VERIFY": "SigningAlgorithms",
    "GENERATE_VERIFY_MAC": "MacAlgorithms",
    "KEY_AGREEMENT": "KeyAgreementAlgorithms",
    "ENCAPSULATE_DECAPSULATE": "EncapsulationAlgorithms",
}


def is_compatible(key_spec: str, usage: str) -> bool:
    """Return whether a key of that spec can be for that usage."""
    return usage in ALGORITHMS.get(key_spec, {})


def algorithms_of(key_spec: str, usage: Usage) -> tuple[str, ...]:
    """The algorithms a key of that spec and usage takes."""
    return ALGORITHMS[key_spec][usage]


def is_asymmetric(key_spec: str) -> bool:
    """Return whether keys of that spec have a public half."""
    return key_spec != SYMMETRIC and not key_spec.startswith("HMAC_")
