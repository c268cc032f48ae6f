"""Errors in CloudWatch's own words.

Source: Amazon CloudWatch API reference, errors of each operation and common errors.
"""

from __future__ import annotations

from crds.errors import ApiError, BadRequest, Forbidden, NotFound, TooManyRequests
from services.sdk.aws.errors import AwsError
from services.sdk.aws.translation import translate


def invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterValueException", message)


def combination(message: str) -> AwsError:
    return AwsError("InvalidParameterCombinationException", message)


def missing(message: str) -> AwsError:
    return AwsError("MissingRequiredParameterException", message)


def validation(message: str) -> AwsError:
    return AwsError("ValidationError", message)


def limit(message: str) -> AwsError:
    return AwsError("LimitExceededFault", message)


def invalid_token() -> AwsError:
    return AwsError("InvalidNextToken", "The next token specified is invalid.")


def as_cloudwatch_error(error: ApiError) -> AwsError:
    """An error of the resource API, as CloudWatch would give it."""
    if isinstance(error, Forbidden):
        return AwsError("AccessDenied", error.message, 403)
    if isinstance(error, NotFound):
        return AwsError("ResourceNotFound", error.message, 404)
    if isinstance(error, TooManyRequests):
        return AwsError("Throttling", error.message)
    if isinstance(error, BadRequest):
        return invalid(error.message)
    found = translate(error)
    if found.status >= 500:
        return AwsError("InternalServiceFault", found.message, found.status)
    return validation(found.message) if found.code == "ValidationException" else found
