"""query: a form with `Action` and `Version`, answered in XML.

Source: Smithy "AWS query protocol"; botocore `QuerySerializer`, `QueryParser`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.sdk.aws.errors import AwsError
from services.sdk.aws.protocols.codec import Codec, Params, Parser, Serializer
from services.sdk.aws.protocols.errors import ModelError
from services.sdk.aws.protocols.messages import HttpRequest, HttpResponse, whole_body
from services.sdk.aws.protocols.query_names import query_view
from services.sdk.aws.protocols.query_values import QueryReaders, form_pairs, tree_of
from services.sdk.aws.protocols.shapes import ShapeRef
from services.sdk.aws.protocols.validation import Unreadable, Validation
from services.sdk.aws.protocols.xml_values import XmlWriters
from services.sdk.aws.rest_xml import escaped, quoted, readable


class QueryCodec(Codec):
    """The protocol `query`, by POST or GET."""

    protocol, family = "query", "query"

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.model = query_view(self.model)
        self._readers, self._writers = QueryReaders(), XmlWriters()
        namespace = self.model.metadata.get("xmlNamespace")
        self._namespace = f" xmlns={quoted(namespace)}" if namespace else ""

    def route(self, request: HttpRequest) -> str:
        said = _first(self._pairs(request), ("Action", "Version"))
        action, version = said.get("Action"), said.get("Version", self.model.metadata["apiVersion"])
        if not action:
            raise AwsError("MissingAction", "The request is missing an action or a required parameter.")
        if action not in self.operations or version != self.model.metadata["apiVersion"]:
            text = f"Could not find operation {action[:200]} for version {version[:200]}"
            raise self.words.unknown_operation(text)
        return action

    def _pairs(self, request: HttpRequest) -> list[tuple[str, str]]:
        try:
            return form_pairs(request.query) + form_pairs(whole_body(request).decode())
        except ValueError as wrong:
            raise self.words.unreadable(f"the form is not readable: {wrong}") from None

    def _parser(self, operation: str, ref: ShapeRef | None, required: tuple[str, ...]) -> Parser:
        read = self._readers.structure(ref.members if ref else {}, required)

        def parse(request: HttpRequest, validation: Validation) -> Params:
            try:
                pairs = form_pairs(request.query) + form_pairs(whole_body(request).decode())
            except ValueError as wrong:
                raise Unreadable(f"the form is not readable: {wrong}") from None
            return read(tree_of(pairs), None, validation)  # type: ignore[no-any-return]

        return parse

    def _serializer(self, operation: str, ref: ShapeRef | None) -> Serializer:
        write = self._writers.structure(ref.members if ref else {})
        wrapper = (ref.trait("resultWrapper") or f"{operation}Result") if ref else ""
        root = f"{operation}Response"

        def serialize(result: Mapping[str, Any], request_id: str) -> HttpResponse:
            inside = f"<{wrapper}>{write(result)[1]}</{wrapper}>" if wrapper else ""
            meta = f"<ResponseMetadata><RequestId>{escaped(request_id)}</RequestId></ResponseMetadata>"
            return self._answer(200, f"<{root}{self._namespace}>{inside}{meta}</{root}>", request_id)

        return serialize

    def _error(self, error: ModelError, request_id: str, resource: str) -> HttpResponse:
        inside = "".join(
            f"<{name}>{escaped(text)}</{name}>"
            for name, text in (("Type", error.fault), ("Code", error.code), ("Message", readable(error.message)))
        )
        inside += error_fields(self._writers, error)
        body = f"<Error>{inside}</Error><RequestId>{escaped(request_id)}</RequestId>"
        return self._answer(error.status, f"<ErrorResponse{self._namespace}>{body}</ErrorResponse>", request_id)

    def _answer(self, status: int, document: str, request_id: str) -> HttpResponse:
        return HttpResponse(
            status, [("content-type", "text/xml"), ("x-amzn-requestid", request_id)], document.encode()
        )


def error_fields(writers: XmlWriters, error: ModelError) -> str:
    """What an error says beside its message, by its shape. A `message` of the shape's own is the same, said once."""
    if error.ref is None:
        return ""
    members = {
        name: each
        for name, each in error.members("Message").items()
        if name in error.ref.members and name.lower() not in ("message", "code", "type")
    }
    return writers.structure(error.ref.members)(members)[1]


def _first(pairs: list[tuple[str, str]], names: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in names:
            found.setdefault(name, value)
    return found
