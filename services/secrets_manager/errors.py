"""Errors in Secrets Manager's own words. Source: AWS Secrets Manager API reference, errors of each operation."""

from __future__ import annotations

from crds.errors import AlreadyExists, ApiError, Conflict, NotFound
from services.sdk.aws.errors import AwsError
from services.sdk.aws.translation import translate
from services.secrets_manager.invariants import DEFAULT_KEY


def not_found(what: str = "") -> AwsError:
    text = f"Secrets Manager can't find the specified secret{what}."
    return AwsError("ResourceNotFoundException", text)


def no_version(version_id: str) -> AwsError:
    text = f"Secrets Manager can't find the specified secret value for VersionId: {version_id}"
    return AwsError("ResourceNotFoundException", text)


def no_stage(label: str) -> AwsError:
    text = f"Secrets Manager can't find the specified secret value for staging label: {label}"
    return AwsError("ResourceNotFoundException", text)


def exists(name: str) -> AwsError:
    return AwsError("ResourceExistsException", f"The operation failed because the secret {name} already exists.")


def token_in_use(token: str, arn: str) -> AwsError:
    because = f"that value is already in use for a version of secret {arn}."
    return AwsError("ResourceExistsException", f"You can't use ClientRequestToken {token} because {because}")


def marked_for_deletion() -> AwsError:
    return invalid_request("You can't perform this operation on the secret because it was marked for deletion.")


def name_scheduled_for_deletion() -> AwsError:
    return invalid_request(
        "You can't create this secret because a secret with this name is already scheduled for deletion."
    )


def invalid_request(message: str) -> AwsError:
    return AwsError("InvalidRequestException", message)


def invalid_parameter(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message)


def validation(message: str) -> AwsError:
    return AwsError("ValidationException", message)


def limit(message: str) -> AwsError:
    return AwsError("LimitExceededException", message)


def malformed_policy(because: str) -> AwsError:
    return AwsError("MalformedPolicyDocumentException", f"This resource policy contains a syntax error: {because}")


def public_policy() -> AwsError:
    because = "it grants broad access to the secret: a statement of it allows something to everybody."
    return AwsError("PublicPolicyException", f"You can't attach this resource policy because {because}")


def cannot_invoke() -> AwsError:
    text = (
        "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access "
        "to the principal secretsmanager.amazonaws.com."
    )
    return AwsError("AccessDeniedException", text)


def no_access_to_key() -> AwsError:
    return AwsError("AccessDeniedException", "Access to KMS is not allowed")


def nobody_asks() -> AwsError:
    """In the service's own name, a key of people's is not used."""
    because = "it is sealed with a key of the account, which is used in the name of who asks, and here nobody does"
    return AwsError("AccessDeniedException", f"{because}; keep it under {DEFAULT_KEY}")


def encryption_failure(because: str) -> AwsError:
    text = (
        "Secrets Manager can't encrypt the protected secret text using the provided KMS key. Check that the KMS key "
        f"is available, enabled, and not in an invalid state: {because}"
    )
    return AwsError("EncryptionFailure", text)


def decryption_failure(because: str) -> AwsError:
    text = f"Secrets Manager can't decrypt the protected secret text using the provided KMS key: {because}"
    return AwsError("DecryptionFailure", text)


def keys_away(because: str) -> AwsError:
    """Asking again helps once key-manager is back."""
    return AwsError("InternalServiceError", because, 503)


def as_secrets_error(error: ApiError) -> AwsError:
    """Translate an error of the resource API to the one Secrets Manager would give."""
    if isinstance(error, NotFound):
        return not_found()
    if isinstance(error, AlreadyExists):
        return AwsError("ResourceExistsException", error.message)
    if isinstance(error, Conflict):
        return invalid_request(error.message)
    found = translate(error)
    return AwsError("InternalServiceError", found.message, found.status) if found.status >= 500 else found
