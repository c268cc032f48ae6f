"""Errors in IAM's own words. Source: AWS IAM API reference, and its answers as public tests recorded them."""

from __future__ import annotations

from crds.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    TooManyRequests,
    Unauthorized,
)
from crds.kinds.iam import IamRole
from services.sdk.aws.errors import AwsError
from services.sdk.aws.policy import PolicyError
from services.sdk.aws.translation import translate


def no_entity(message: str) -> AwsError:
    return AwsError("NoSuchEntity", message, 404)


def exists(message: str) -> AwsError:
    return AwsError("EntityAlreadyExists", message, 409)


def in_use(message: str) -> AwsError:
    return AwsError("DeleteConflict", message, 409)


def limit(message: str) -> AwsError:
    return AwsError("LimitExceeded", message, 409)


def invalid(message: str) -> AwsError:
    return AwsError("InvalidInput", message, 400)


def validation(message: str) -> AwsError:
    return AwsError("ValidationError", message, 400)


def malformed(wrong: PolicyError) -> AwsError:
    return AwsError("MalformedPolicyDocument", wrong.message, 400)


def require_unlinked(holder: object) -> None:
    """Raises UnmodifiableEntity for a role that is linked to a service."""
    if isinstance(holder, IamRole) and holder.spec.linked_service:
        raise AwsError("UnmodifiableEntity", _PROTECTED.format(holder.spec.role_name), 400)


_PROTECTED = "Cannot perform the operation on the protected role '{}' - this role is only modifiable by AWS"


def as_sts_error(error: ApiError) -> AwsError:
    """Translate an error of the conductor's STS, which says AWS's own code, or any other."""
    code = next((each.reason for each in error.causes if each.reason in _STS), "")
    if code:
        return AwsError(code, error.message, _STS[code])
    if isinstance(error, Unauthorized):
        return AwsError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
    if isinstance(error, TooManyRequests):
        return AwsError("Throttling", error.message)
    if isinstance(error, NotFound | BadRequest | Invalid):
        return validation(error.message)
    return as_iam_error(error)


_STS = {
    "ValidationError": 400,
    "InvalidParameterValue": 400,
    "MalformedPolicyDocument": 400,
    "PackedPolicyTooLarge": 400,
    "InvalidAuthorizationMessageException": 400,
    "InvalidIdentityToken": 400,
    "ExpiredTokenException": 400,
    "IDPRejectedClaim": 403,
    "IDPCommunicationError": 400,
}


def as_iam_error(error: ApiError) -> AwsError:
    """Translate an error of the resource API to the one IAM would give."""
    if isinstance(error, Forbidden):
        return AwsError("AccessDenied", error.message, 403)
    if isinstance(error, NotFound):
        return no_entity(error.message)
    if isinstance(error, AlreadyExists):
        return exists(error.message)
    if isinstance(error, Conflict):
        return AwsError("ConcurrentModification", error.message, 409)
    return translate(error)
