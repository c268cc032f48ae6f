"""Errors in KMS's own words. Source: AWS KMS API reference, "Common errors" and each operation's errors."""

from __future__ import annotations

from crds.errors import AlreadyExists, ApiError, Conflict
from services.sdk.aws.errors import AwsError
from services.sdk.aws.translation import translate


def no_key(arn: str) -> AwsError:
    return AwsError("NotFoundException", f"Key '{arn}' does not exist")


def no_grant(id: str) -> AwsError:
    return AwsError("NotFoundException", f"Grant ID {id} not found")


def no_key_id(wanted: str) -> AwsError:
    """It cannot be the id of any key."""
    return AwsError("NotFoundException", f"Invalid keyId '{wanted}'")


def no_alias(arn: str) -> AwsError:
    return AwsError("NotFoundException", f"Alias {arn} is not found.")


def disabled(arn: str) -> AwsError:
    return AwsError("DisabledException", f"{arn} is disabled.")


def pending_deletion(arn: str) -> AwsError:
    return AwsError("KMSInvalidStateException", f"{arn} is pending deletion.")


def platform(arn: str) -> AwsError:
    return AwsError(
        "AccessDeniedException",
        f"{arn} belongs to the platform: it serves through its service and is nobody's to change",
    )


def pending_import(arn: str) -> AwsError:
    return AwsError("KMSInvalidStateException", f"{arn} is pending import.")


def wrong_origin(arn: str, origin: str) -> AwsError:
    text = f"{arn} origin is {origin} which is not valid for this operation."
    return AwsError("UnsupportedOperationException", text)


def wrong_state(message: str) -> AwsError:
    return AwsError("KMSInvalidStateException", message)


def invalid_ciphertext() -> AwsError:
    return AwsError("InvalidCiphertextException", "")


def wrong_usage(arn: str, usage: str, operation: str) -> AwsError:
    return AwsError("InvalidKeyUsageException", f"{arn} key usage is {usage} which is not valid for {operation}.")


def wrong_algorithm(algorithm: str, key_spec: str) -> AwsError:
    return AwsError("InvalidKeyUsageException", f"Algorithm {algorithm} is incompatible with key spec {key_spec}.")


def invalid_key_spec(arn: str, key_spec: str, operation: str) -> AwsError:
    text = f"{arn} key spec is {key_spec} which is not valid for {operation}."
    return AwsError("InvalidKeyUsageException", text)


def locks_its_owner_out() -> AwsError:
    text = "The new key policy will not allow you to update the key policy in the future."
    return AwsError("MalformedPolicyDocumentException", text)


def rotated_too_often(arn: str) -> AwsError:
    text = (
        "The on-demand rotations limit has been reached for the given keyId. "
        f"No more on-demand rotations can be performed for this key: {arn}"
    )
    return AwsError("LimitExceededException", text)


def root_key_on_its_way(error: Exception) -> AwsError:
    """Sealed under a root key that this instance gets with its next start."""
    return AwsError("DependencyTimeoutException", str(error), 503)


def unavailable(error: Exception) -> AwsError:
    return AwsError("KeyUnavailableException", str(error), 500)


def incorrect_material() -> AwsError:
    text = (
        "The key material in the request is expired, invalid, or is not the same key material that was previously "
        "imported into this KMS key."
    )
    return AwsError("IncorrectKeyMaterialException", text)


def incorrect_key() -> AwsError:
    return AwsError(
        "IncorrectKeyException",
        "The key ID in the request does not identify a CMK that can perform this operation.",
    )


def invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)


def unsupported(message: str) -> AwsError:
    return AwsError("UnsupportedOperationException", message)


def as_kms_error(error: ApiError) -> AwsError:
    """Translate an error of the resource API to the one KMS would give."""
    if isinstance(error, AlreadyExists):
        return AwsError("AlreadyExistsException", error.message)
    if isinstance(error, Conflict) and error.causes:  # an invariant of the key's
        return wrong_state(error.message)
    if error.code in (409, 429):
        return AwsError("KMSInternalException", error.message, 500)
    return translate(error)
