"""What of AWS KMS is done here, and why the rest is refused."""

from __future__ import annotations

from services.key_manager.operations import OPERATIONS
from services.sdk.aws.coverage import Coverage, served_operations
from services.sdk.aws.model import load_model

COVERAGE = Coverage(
    "kms",
    served_operations(load_model("kms"), OPERATIONS),
    refused=(("no key stores outside: keys are sealed under this cloud's root key", ("CustomKeyStore",)),),
    answer="UnknownOperationException",
    notes="Members that are refused answer UnsupportedOperationException when they are given, and change nothing.",
)
