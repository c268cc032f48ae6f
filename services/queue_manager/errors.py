"""Errors of SQS, in its words. Source: Amazon SQS API reference, "Errors" of each action, "Common errors"."""

from __future__ import annotations

from crds.errors import ApiError, Conflict, Forbidden, NotFound
from services.sdk.aws.errors import AwsError
from services.sdk.aws.translation import translate


def no_queue() -> AwsError:
    return AwsError("QueueDoesNotExist", "The specified queue does not exist.")


def queue_exists(attribute: str) -> AwsError:
    text = f"A queue already exists with the same name and a different value for attribute {attribute}"
    return AwsError("QueueNameExists", text)


def changed_meanwhile() -> AwsError:
    return AwsError("RequestThrottled", "The queue is changed by others all the time, or was made anew: try again.")


def deleted_recently() -> AwsError:
    text = "You must wait for the queue of that name to be deleted before you can create another one."
    return AwsError("QueueDeletedRecently", text)


def invalid_value(message: str) -> AwsError:
    return AwsError("InvalidParameterValue", message)


def invalid_parameter(value: object, name: str, reason: str) -> AwsError:
    text = str(value)[:200]
    return invalid_value(f"Value {text} for parameter {name} is invalid. Reason: {reason}.")


def missing(name: str) -> AwsError:
    return AwsError("MissingParameter", f"The request must contain the parameter {name}.")


def invalid_attribute_name(name: str) -> AwsError:
    return AwsError("InvalidAttributeName", f"Unknown Attribute {name[:200]}.")


def invalid_attribute_value(name: str, because: str = "") -> AwsError:
    reason = f" Reason: {because}." if because else ""
    return AwsError("InvalidAttributeValue", f"Invalid value for the parameter {name}.{reason}")


def invalid_contents(because: str) -> AwsError:
    return AwsError("InvalidMessageContents", f"Invalid characters found: {because}.")


def invalid_handle() -> AwsError:
    return AwsError("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")


def expired_handle(handle: str) -> AwsError:
    return invalid_parameter(handle, "ReceiptHandle", "The receipt handle has expired")


def not_available(handle: str) -> AwsError:
    reason = "Message does not exist or is not available for visibility timeout change"
    return invalid_parameter(handle, "ReceiptHandle", reason)


def not_in_flight() -> AwsError:
    return AwsError("MessageNotInflight", "The message referred to isn't in flight.")


def over_limit() -> AwsError:
    return AwsError("OverLimit", "Too many messages are in flight: delete some, or wait for them to become visible.")


def unsupported(message: str) -> AwsError:
    return AwsError("UnsupportedOperation", message)


def as_sqs_error(error: ApiError) -> AwsError:
    """Translate an error of the resource API to the one SQS would give."""
    if isinstance(error, Forbidden):
        return AwsError("AccessDenied", error.message, 403)
    if isinstance(error, NotFound):
        return no_queue()
    if isinstance(error, Conflict):
        return AwsError("RequestThrottled", error.message)
    found = translate(error)
    if found.status >= 500:
        return AwsError("InternalError", found.message, found.status)
    return AwsError("InvalidParameterValue", found.message) if found.code == "ValidationException" else found
