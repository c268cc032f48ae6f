"""json-1.0 and json-1.1: `X-Amz-Target`, one JSON document each way.

Source: Smithy "AWS JSON 1.0 / 1.1 protocol"; botocore `JSONSerializer`, `JSONParser`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from services.sdk.aws.protocols.codec import Codec, Params, Parser, Serializer
from services.sdk.aws.protocols.document_readers import DocumentReaders
from services.sdk.aws.protocols.errors import ModelError
from services.sdk.aws.protocols.json_writers import JsonWriters
from services.sdk.aws.protocols.messages import HttpRequest, HttpResponse, whole_body
from services.sdk.aws.protocols.shapes import ShapeRef
from services.sdk.aws.protocols.validation import Unreadable, Validation


class JsonCodec(Codec):
    """The protocol `json`; its version is the model's."""

    protocol = "json"

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._readers, self._writers = DocumentReaders(), JsonWriters()
        self._known = {f"{self.model.target_prefix}.{name}": name for name in self.operations}

    def route(self, request: HttpRequest) -> str:
        target = request.headers.get("x-amz-target", "")
        operation = self._known.get(target)
        if operation is None or request.method != "POST":
            prefix, _, name = target.rpartition(".")
            there = prefix == self.model.target_prefix and name in self.model.operations
            said = f"{target[:200]!r} is not implemented" if there else f"no {target[:200]!r}"
            raise self.words.unknown_operation(said)
        return operation

    def _parser(self, operation: str, ref: ShapeRef | None, required: tuple[str, ...]) -> Parser:
        read = self._readers.structure(ref.members if ref else {}, required)

        def parse(request: HttpRequest, validation: Validation) -> Params:
            return read(json_object(whole_body(request)), None, validation)  # type: ignore[no-any-return]

        return parse

    def _serializer(self, operation: str, ref: ShapeRef | None) -> Serializer:
        write = self._writers.structure(ref.members if ref else {})
        content_type, empty = self.model.content_type, ref is None

        def serialize(result: Mapping[str, Any], request_id: str) -> HttpResponse:
            body = b"" if empty and not result else orjson.dumps(write(result))
            return HttpResponse(200, [("content-type", content_type), ("x-amzn-requestid", request_id)], body)

        return serialize

    def _error(self, error: ModelError, request_id: str, resource: str) -> HttpResponse:
        write = self._writers.structure(error.ref.members) if error.ref else dict
        members = error.members("message")
        body = orjson.dumps({"__type": error.name, **_written(write, members, error)})
        headers = [("content-type", self.model.content_type), ("x-amzn-requestid", request_id)]
        named = [("x-amzn-errortype", error.name), *self._query_error(error)]
        return HttpResponse(error.status, headers + named, body)


def json_object(body: bytes) -> dict[str, Any]:
    """The document; nothing at all is an empty one. Raises Unreadable."""
    try:
        found = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as wrong:
        raise Unreadable(f"the body is no JSON: {wrong}") from None
    if not isinstance(found, dict):
        raise Unreadable("the body must be a JSON object")
    return found


def _written(write: Any, members: Mapping[str, Any], error: ModelError) -> dict[str, Any]:
    """The members of an error; one without a `message` in the model has it all the same."""
    known = error.ref.members if error.ref else members
    return {
        **write({name: each for name, each in members.items() if name in known}),
        **{name: each for name, each in members.items() if name not in known},
    }
