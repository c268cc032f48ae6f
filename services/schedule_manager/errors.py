"""Errors in EventBridge Scheduler's own words.

Source: AWS EventBridge Scheduler API reference, errors of each operation.
"""

from __future__ import annotations

from crds.errors import AlreadyExists, ApiError, Conflict, Forbidden, NotFound
from services.sdk.aws.errors import AwsError
from services.sdk.aws.translation import translate


def no_schedule(name: str) -> AwsError:
    return AwsError("ResourceNotFoundException", f"Schedule {name} does not exist.", 404)


def no_group(name: str) -> AwsError:
    return AwsError("ResourceNotFoundException", f"Schedule group {name} does not exist.", 404)


def going(name: str) -> AwsError:
    return AwsError("ConflictException", f"Schedule group {name} is being deleted.", 409)


def exists(what: str) -> AwsError:
    return AwsError("ConflictException", f"{what} already exists.", 409)


def validation(message: str) -> AwsError:
    return AwsError("ValidationException", message, 400)


def as_scheduler_error(error: ApiError) -> AwsError:
    """An error of the resource API, as EventBridge Scheduler would give it."""
    if isinstance(error, Forbidden):
        return AwsError("AccessDeniedException", error.message, 403)
    if isinstance(error, NotFound):
        return AwsError("ResourceNotFoundException", error.message, 404)
    if isinstance(error, AlreadyExists | Conflict):
        return AwsError("ConflictException", error.message, 409)
    found = translate(error)
    if found.code == "ThrottlingException":
        return AwsError(found.code, found.message, 429)
    return AwsError("InternalServerException", found.message, found.status) if found.status >= 500 else found
