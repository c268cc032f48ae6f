"""rest-xml: bodies of XML.

Source: Smithy "AWS restXml"; botocore `RestXMLSerializer`, `RestXMLParser`; the S3 API reference for its errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.sdk.aws.protocols.codec import Params
from services.sdk.aws.protocols.errors import ModelError
from services.sdk.aws.protocols.messages import HttpResponse
from services.sdk.aws.protocols.query_codec import error_fields
from services.sdk.aws.protocols.rest_codec import BodyReader, BodyWriter, RestCodec
from services.sdk.aws.protocols.s3_names import BARE, ROOTS
from services.sdk.aws.protocols.shapes import ShapeRef, input_ref
from services.sdk.aws.protocols.validation import Unreadable, Validation
from services.sdk.aws.protocols.xml_values import XmlReaders, XmlWriters, namespace_of
from services.sdk.aws.rest_xml import escaped
from services.sdk.aws.rest_xml import parse as parse_xml

_DEEPEST = 32


class RestXmlCodec(RestCodec):
    """The protocol `rest-xml`. S3's errors have no envelope."""

    protocol, content_type = "rest-xml", "application/xml"

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._readers, self._writers = XmlReaders(), XmlWriters()
        refs = (input_ref(self.model, name) for name in self.model.operations)
        found = (namespace_of(each) or _payload_namespace(each) for each in refs if each is not None)
        self._namespace = next((each for each in found if each), "")
        self._is_s3 = self.model.name == "s3"
        self.family = "s3" if self._is_s3 else "rest-xml"

    def _document_reader(self, member: ShapeRef, root: str) -> Callable[[bytes, Any, Validation], Any]:
        read = self._readers.compile(member)
        return lambda body, path, validation: read([_xml(body, root)], path, validation)

    def _structure_reader(self, members: dict[str, ShapeRef], ref: ShapeRef | None) -> BodyReader:
        read = self._readers.structure(members, ())
        root = (ref.location_name or ref.name) if ref else ""

        def parse(body: bytes, validation: Validation) -> Params:
            return read([_xml(body, root)], None, validation) if body.strip() else {}

        return parse

    def _document_writer(self, member: ShapeRef) -> Callable[[Any], bytes]:
        write, root = self._writers.compile(member), member.location_name or member.name
        return lambda value: _document(write(root, value, self._namespace))

    def _structure_writer(self, members: dict[str, ShapeRef], ref: ShapeRef | None) -> BodyWriter:
        write, root = self._writers.structure(members), self._root_of(ref)
        if ref is not None and self._is_s3 and (bare := BARE.get(ref.name)):
            return lambda result: _document(_bare(bare, self._namespace, str(result.get(bare) or "")))
        return lambda result: _document(f"<{root}{self._namespace}>{write(result)[1]}</{root}>")

    def _root_of(self, ref: ShapeRef | None) -> str:
        if ref is None:
            return ""
        named = ROOTS.get(ref.name) if self._is_s3 else None
        return named or ref.location_name or ref.name

    def _error(self, error: ModelError, request_id: str, resource: str) -> HttpResponse:
        told = [("Code", error.code), ("Message", error.message)]
        inside = "" if self._is_s3 else f"<Type>{error.fault}</Type>"
        inside += "".join(f"<{name}>{escaped(text)}</{name}>" for name, text in told)
        inside += error_fields(self._writers, error)
        id = f"<RequestId>{escaped(request_id)}</RequestId>"
        if self._is_s3:
            document = f"<Error>{inside}<Resource>{escaped(resource)}</Resource>{id}</Error>"
        else:
            document = f"<ErrorResponse{self._namespace}><Error>{inside}</Error>{id}</ErrorResponse>"
        headers = [("content-type", self.content_type), *self._id_headers(request_id)]
        return HttpResponse(error.status, headers, _document(document))

    def _id_headers(self, request_id: str) -> list[tuple[str, str]]:
        return [("x-amz-request-id" if self._is_s3 else "x-amzn-requestid", request_id)]


def _payload_namespace(ref: ShapeRef) -> str:
    payload = ref.trait("payload")
    return namespace_of(ref.members[payload]) if payload else ""


def _xml(body: bytes, root: str) -> Any:
    try:
        found = parse_xml(body, _DEEPEST)
    except ValueError as wrong:
        raise Unreadable(f"the body is no XML: {wrong}") from None
    if found.tag != root:
        raise Unreadable(f"the document is a {found.tag[:80]}, not a {root}")
    return found


def _bare(root: str, namespace: str, text: str) -> str:
    return f"<{root}{namespace}>{escaped(text)}</{root}>"


def _document(text: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
