"""What of AWS KMS is done here, and why the rest is refused."""

from __future__ import annotations

from services.key_manager.operations import OPERATIONS
from services.sdk.aws.coverage import Coverage, served_operations
from services.sdk.aws.model import load_model

COVERAGE = Coverage(
    "kms",
    served_operations(load_model("kms"), OPERATIONS),
    refused=(
        ("no key stores outside: keys are sealed under this cloud's root key", ("CustomKeyStore",)),
        ("who used a key, and when, is in the audit log", ("GetKeyLastUsage",)),
    ),
    answer="UnknownOperationException",
    notes="Members that are refused answer UnsupportedOperationException when they are given, and change nothing.",
    differences=(
        "What a value may be is told in the order of the model; AWS has another order.",
        "RSA ciphertexts open with the algorithm they were made with alone: `RSAES_OAEP_SHA_1` does not open what "
        "was encrypted with SHA-256.",
        "Data keys and what is decrypted come without `KeyMaterialId`.",
        "`ED25519_PH_SHA_512`, `SM2` and `ML_KEM_512` are refused.",
        "A principal is `arn:aws:iam::<account>:user/<name>`; grants to an account or a service are refused.",
        "A key policy gives rights by itself for using and reading a key; to change it the role is needed too.",
        "Names of aliases are unique in an account, not in a region.",
        "A multi-Region family shares one material; its first key is deleted last, and imported material comes once.",
        "A replica can be used as soon as it is made.",
        "At most ten rotations of a key by hand.",
    ),
)
