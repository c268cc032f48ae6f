"""Errors of the resource API in the usual words of AWS."""

from __future__ import annotations

from crds.errors import ApiError, Forbidden, NotFound, TooManyRequests, Unavailable
from services.sdk.aws.errors import AwsError


def translate(error: ApiError) -> AwsError:
    """What most services say; a service with words of its own begins with them and ends here."""
    if isinstance(error, Forbidden):
        return AwsError("AccessDeniedException", error.message)
    if isinstance(error, NotFound):
        return AwsError("NotFoundException", error.message)
    if isinstance(error, TooManyRequests):
        return AwsError("ThrottlingException", error.message)
    if error.code < 500:
        return AwsError("ValidationException", error.message)
    code = "DependencyTimeoutException" if isinstance(error, Unavailable) else "InternalFailure"
    return AwsError(code, error.message, 503 if isinstance(error, Unavailable) else 500)
