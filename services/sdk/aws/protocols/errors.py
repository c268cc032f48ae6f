"""Which error an AwsError is in the model, and how each protocol words the faults that a codec finds itself.

Source: Smithy "error", "httpError", "awsQueryError" and "awsQueryCompatible" traits; AWS "Common errors".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from services.sdk.aws.errors import AwsError
from services.sdk.aws.model import ServiceModel
from services.sdk.aws.protocols.shapes import ShapeRef, error_refs
from services.sdk.aws.protocols.validation import Validation


class ModelError(NamedTuple):
    """An error on its way out. `name` is the shape's, `code` that of query and REST-XML."""

    name: str
    code: str
    status: int
    message: str
    fields: Mapping[str, Any]
    ref: ShapeRef | None

    @property
    def fault(self) -> str:
        return "Receiver" if self.status >= 500 else "Sender"

    def members(self, message_name: str) -> dict[str, Any]:
        """What the error says of itself. An empty message is left out, as AWS does."""
        known = self.ref.members if self.ref else {}
        name = next((each for each in known if each.lower() == "message"), message_name)
        return {**self.fields, **({name: self.message} if self.message else {})}


class ErrorTable:
    """The errors a service declares, by the name of their shape or by their code."""

    def __init__(self, model: ServiceModel) -> None:
        refs = list(error_refs(model))
        self._by_name = {each.name: each for each in refs}
        self._by_code = {_code_of(each): each for each in reversed(refs)}

    def find(self, error: AwsError) -> ModelError:
        """The model's status counts, where it has one."""
        ref = self._by_name.get(error.code) or self._by_code.get(error.code)
        if ref is None:
            return ModelError(error.code, error.code, error.status, error.message, error.fields, None)
        said = (ref.shape.get("error") or {}).get("httpStatusCode")
        fallback = 500 if ref.shape.get("fault") and error.status < 500 else error.status
        return ModelError(ref.name, _code_of(ref), int(said or fallback), error.message, error.fields, ref)


class Words(NamedTuple):
    """What a service calls the faults that are found before an operation runs."""

    validation: str
    serialization: str
    unknown: str
    unknown_status: int = 400
    missing: str = ""

    def invalid(self, validation: Validation) -> AwsError:
        """Constraints that do not hold."""
        if validation.missing and self.missing:
            return AwsError(self.missing, f"The parameter {validation.missing[0]} is required.")
        return AwsError(self.validation, validation.text())

    def unreadable(self, text: str) -> AwsError:
        return AwsError(self.serialization, text)

    def unknown_operation(self, text: str) -> AwsError:
        return AwsError(self.unknown, text, self.unknown_status)


_JSON = Words("ValidationException", "SerializationException", "UnknownOperationException")
_REST = _JSON._replace(unknown_status=404)
_BY_PROTOCOL = {
    "json": _JSON,
    "query": Words("ValidationError", "MalformedInput", "InvalidAction"),
    "rest-json": _REST,
    "rest-xml": Words("InvalidInput", "InvalidInput", "UnknownOperationException", 404),
    "smithy-rpc-v2-cbor": _REST,
}
_BY_SERVICE = {
    "s3": Words("InvalidArgument", "MalformedXML", "NotImplemented", 501),
}
# CloudWatch and its kind have a word of their own for what is missing.
_MISSING = "MissingRequiredParameterException"


# What a service called its errors when it spoke query, where the model has lost it.
_SQS = "AWS.SimpleQueueService."
_OLD_CODES = {
    "sqs": {
        "BatchEntryIdsNotDistinct": f"{_SQS}BatchEntryIdsNotDistinct",
        "BatchRequestTooLong": f"{_SQS}BatchRequestTooLong",
        "EmptyBatchRequest": f"{_SQS}EmptyBatchRequest",
        "InvalidBatchEntryId": f"{_SQS}InvalidBatchEntryId",
        "MessageNotInflight": f"{_SQS}MessageNotInflight",
        "PurgeQueueInProgress": f"{_SQS}PurgeQueueInProgress",
        "QueueDeletedRecently": f"{_SQS}QueueDeletedRecently",
        "QueueDoesNotExist": f"{_SQS}NonExistentQueue",
        "QueueNameExists": "QueueAlreadyExists",
        "TooManyEntriesInBatchRequest": f"{_SQS}TooManyEntriesInBatchRequest",
        "UnsupportedOperation": f"{_SQS}UnsupportedOperation",
    },
}


def words_of(model: ServiceModel, protocol: str) -> Words:
    """The words of that service in that protocol."""
    words = _BY_SERVICE.get(model.name, _BY_PROTOCOL[protocol])
    return words._replace(missing=_MISSING) if _MISSING in model.shapes else words


def _code_of(ref: ShapeRef) -> str:
    old = _OLD_CODES.get(ref.model.name, {}).get(ref.name, ref.name)
    return str((ref.shape.get("error") or {}).get("code", old))
