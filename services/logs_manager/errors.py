"""Errors in CloudWatch Logs' own words. Source: Amazon CloudWatch Logs API reference, errors of each operation."""

from __future__ import annotations

from crds.errors import AlreadyExists, ApiError, Conflict, Forbidden, NotFound
from services.sdk.aws.errors import AwsError
from services.sdk.aws.translation import translate


def no_group() -> AwsError:
    return AwsError("ResourceNotFoundException", "The specified log group does not exist.")


def no_stream() -> AwsError:
    return AwsError("ResourceNotFoundException", "The specified log stream does not exist.")


def exists(what: str) -> AwsError:
    return AwsError("ResourceAlreadyExistsException", f"The specified {what} already exists")


def invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message)


def over_limit(message: str) -> AwsError:
    return AwsError("LimitExceededException", message)


def as_logs_error(error: ApiError) -> AwsError:
    """An error of the resource API, as CloudWatch Logs would give it."""
    if isinstance(error, Forbidden):
        return AwsError("AccessDeniedException", error.message)
    if isinstance(error, NotFound):
        return no_group()
    if isinstance(error, AlreadyExists):
        return exists("log group")
    if isinstance(error, Conflict):
        return AwsError("OperationAbortedException", error.message)
    found = translate(error)
    if found.status >= 500:
        return AwsError("ServiceUnavailableException", found.message, found.status)
    return invalid(found.message) if found.code == "ValidationException" else found
