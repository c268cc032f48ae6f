"""A protocol of AWS for one service model: requests to values, values to responses.

    codec = codec_for(load_model("kms"))
    operation = codec.route(request)
    params = codec.parse(operation, request)
    response = codec.serialize(operation, result, request_id)

Nothing here does I/O. What an operation's shapes say is compiled once, at the operation's first use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from services.sdk.aws.errors import AwsError, Protocol
from services.sdk.aws.model import ServiceModel
from services.sdk.aws.protocols.errors import ErrorTable, ModelError, words_of
from services.sdk.aws.protocols.messages import HttpRequest, HttpResponse
from services.sdk.aws.protocols.shapes import ShapeRef, event_stream_of, input_ref, output_ref
from services.sdk.aws.protocols.validation import Unreadable, Validation

Params = dict[str, Any]
Parser = Callable[[HttpRequest, Validation], Params]
Serializer = Callable[[Mapping[str, Any], str], HttpResponse]


class Codec:
    """What all protocols share. `operations`: those that are served; all, when None."""

    protocol = ""
    family: Protocol = "json"
    """Whose words a signature that is not accepted is refused in."""
    routes_by_head = False
    """Whether the operation is known before the body is read."""

    def __init__(self, model: ServiceModel, operations: Iterable[str] | None = None) -> None:
        self.model = model
        self.operations = tuple(model.operations if operations is None else operations)
        self.words, self.errors = words_of(model, self.protocol), ErrorTable(model)
        self.is_query_compatible = "awsQueryCompatible" in model.metadata
        self._parsers: dict[str, Parser] = {}
        self._serializers: dict[str, Serializer] = {}

    def route(self, request: HttpRequest) -> str:
        """The operation a request asks for. Raises AwsError."""
        raise NotImplementedError

    def parse(self, operation: str, request: HttpRequest) -> Params:
        """The operation's input. Raises AwsError and nothing else, whatever the request is."""
        read = self._parsers.get(operation) or self._made_parser(operation)
        validation = Validation()
        try:
            found = read(request, validation)
        except Unreadable as wrong:
            raise self.words.unreadable(wrong.text()) from None
        if validation.faults:
            raise self.words.invalid(validation)
        return found

    def serialize(self, operation: str, result: Mapping[str, Any], request_id: str) -> HttpResponse:
        """The answer. Raises KeyError for a member the output does not have: that is our mistake."""
        write = self._serializers.get(operation)
        if write is None:
            write = self._serializers[operation] = self._serializer(operation, self._output(operation))
        return write(result, request_id)

    def serialize_error(self, error: AwsError, request_id: str, *, resource: str = "") -> HttpResponse:
        """The refusal. `resource`: the path, which S3 tells."""
        return self._error(self.errors.find(error), request_id, resource)

    def has_streaming_input(self, operation: str) -> bool:
        """Whether the body is handed on as it comes, and must not be read before."""
        ref = input_ref(self.model, operation)
        payload = ref.trait("payload") if ref else None
        return ref is not None and payload is not None and ref.members[payload].streams()

    def _made_parser(self, operation: str) -> Parser:
        ref = input_ref(self.model, operation)
        _refuse_events(ref, operation)
        self._parsers[operation] = self._parser(operation, ref, tuple(ref.required if ref else ()))
        return self._parsers[operation]

    def _output(self, operation: str) -> ShapeRef | None:
        ref = output_ref(self.model, operation)
        _refuse_events(ref, operation)
        return ref

    def _parser(self, operation: str, ref: ShapeRef | None, required: tuple[str, ...]) -> Parser:
        raise NotImplementedError

    def _serializer(self, operation: str, ref: ShapeRef | None) -> Serializer:
        raise NotImplementedError

    def _error(self, error: ModelError, request_id: str, resource: str) -> HttpResponse:
        raise NotImplementedError

    def _query_error(self, error: ModelError) -> list[tuple[str, str]]:
        """For clients that knew the service when it spoke query: the code it had then."""
        if not self.is_query_compatible:
            return []
        return [("x-amzn-query-error", f"{error.code};{error.fault}")]


def _refuse_events(ref: ShapeRef | None, operation: str) -> None:
    if event_stream_of(ref) is not None:
        raise AwsError("NotImplemented", f"{operation} needs a stream of events, which is not spoken here", 501)
