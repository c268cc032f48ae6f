"""Errors in EventBridge's own words.

Source: Amazon EventBridge API reference, errors of each operation.
"""

from __future__ import annotations

from crds.errors import AlreadyExists, ApiError, Conflict, Forbidden, NotFound
from services.schedule_manager.events.patterns import PatternFault
from services.sdk.aws.errors import AwsError
from services.sdk.aws.translation import translate


def no_bus(name: str) -> AwsError:
    return AwsError("ResourceNotFoundException", f"Event bus {name} does not exist.", 400)


def no_rule(name: str, bus: str) -> AwsError:
    return AwsError("ResourceNotFoundException", f"Rule {name} does not exist on EventBus {bus}.", 400)


def bus_exists(name: str) -> AwsError:
    return AwsError("ResourceAlreadyExistsException", f"Event bus {name} already exists.", 400)


def validation(message: str) -> AwsError:
    return AwsError("ValidationException", message, 400)


def pattern(fault: PatternFault) -> AwsError:
    return AwsError("InvalidEventPatternException", f"Event pattern is not valid. Reason: {fault}", 400)


def too_many() -> AwsError:
    return AwsError("LimitExceededException", "The requested resource exceeds the maximum number allowed.", 400)


def as_event_error(error: ApiError) -> AwsError:
    """An error of the resource API, as EventBridge would give it."""
    if isinstance(error, Forbidden):
        return AwsError("AccessDeniedException", error.message, 400)
    if isinstance(error, NotFound):
        return AwsError("ResourceNotFoundException", error.message, 400)
    if isinstance(error, AlreadyExists):
        return AwsError("ResourceAlreadyExistsException", error.message, 400)
    if isinstance(error, Conflict):
        return AwsError("ConcurrentModificationException", error.message, 400)
    found = translate(error)
    return AwsError("InternalException", found.message, 500) if found.status >= 500 else found
