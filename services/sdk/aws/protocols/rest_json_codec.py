"""rest-json: bodies of JSON.

Source: Smithy "AWS restJson1"; botocore `RestJSONSerializer`, `RestJSONParser`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from services.sdk.aws.protocols.document_readers import DocumentReaders
from services.sdk.aws.protocols.errors import ModelError
from services.sdk.aws.protocols.json_codec import json_object
from services.sdk.aws.protocols.json_writers import JsonWriters
from services.sdk.aws.protocols.messages import HttpResponse
from services.sdk.aws.protocols.rest_codec import BodyReader, BodyWriter, RestCodec
from services.sdk.aws.protocols.shapes import ShapeRef
from services.sdk.aws.protocols.validation import Unreadable, Validation


class RestJsonCodec(RestCodec):
    """The protocol `rest-json`."""

    protocol, content_type, family = "rest-json", "application/json", "rest-json"

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._readers, self._writers = DocumentReaders(), JsonWriters()

    def _document_reader(self, member: ShapeRef, root: str) -> Callable[[bytes, Any, Validation], Any]:
        read = self._readers.compile(member)
        return lambda body, path, validation: read(_json(body), path, validation)

    def _structure_reader(self, members: dict[str, ShapeRef], ref: ShapeRef | None) -> BodyReader:
        read = self._readers.structure(members, ())
        return lambda body, validation: read(json_object(body), None, validation)

    def _document_writer(self, member: ShapeRef) -> Callable[[Any], bytes]:
        write = self._writers.compile(member)
        return lambda value: orjson.dumps(write(value))

    def _structure_writer(self, members: dict[str, ShapeRef], ref: ShapeRef | None) -> BodyWriter:
        write = self._writers.structure(members)
        return lambda result: orjson.dumps(write(result))

    def _error(self, error: ModelError, request_id: str, resource: str) -> HttpResponse:
        members = error.members("message")
        known = error.ref.members if error.ref else {}
        answer = self._answer_writer(error.ref, error.status)
        made = answer({name: each for name, each in members.items() if name in known}, request_id)
        more = {name: each for name, each in members.items() if name not in known}
        body = {**(orjson.loads(made.body) if made.body else {}), **more}  # type: ignore[arg-type]
        kept = [each for each in made.headers if each[0] != "content-type"]
        headers = [("content-type", self.content_type), ("x-amzn-errortype", error.name), *kept]
        return HttpResponse(error.status, headers, orjson.dumps(body))


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as wrong:
        raise Unreadable(f"the body is no JSON: {wrong}") from None
