"""What rest-json and rest-xml have in common: members in the path, the query and the headers, the rest in the body.

Source: Smithy "AWS restJson1", "AWS restXml"; botocore `BaseRestSerializer`, `BaseRestParser`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from services.sdk.aws.protocols.codec import Codec, Params, Parser, Serializer
from services.sdk.aws.protocols.http_bindings import answer_bindings, body_members, request_bindings
from services.sdk.aws.protocols.messages import Body, HttpRequest, HttpResponse, whole_body
from services.sdk.aws.protocols.routing import UriRouter, template_of
from services.sdk.aws.protocols.shapes import ShapeRef
from services.sdk.aws.protocols.validation import Unreadable, Validation

# What of the body are members, and the body as it goes out, with its content type.
BodyReader = Callable[[bytes, Validation], Params]
BodyWriter = Callable[[Mapping[str, Any]], bytes]
_NO_BODY = (204, 304)


class RestCodec(Codec):
    """What both have in common: everything but the body."""

    content_type, routes_by_head = "", True

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        served = None if len(self.operations) == len(self.model.operations) else self.operations
        self._router = UriRouter(self.model, served)

    def route(self, request: HttpRequest) -> str:
        try:
            operation = self._router.operation(request)
        except ValueError as wrong:
            raise self.words.unreadable(f"the query is not readable: {wrong}") from None
        if operation is None:
            raise self.words.unknown_operation(f"{request.method[:20]} {request.path[:200]} is not implemented")
        return operation

    def _parser(self, operation: str, ref: ShapeRef | None, required: tuple[str, ...]) -> Parser:
        bindings = request_bindings(ref, template_of(self.model, operation))
        read_body = self._payload_reader(ref) or self._members_reader(ref)

        def parse(request: HttpRequest, validation: Validation) -> Params:
            found: Params = {}
            bindings.read(request, found, validation)
            found.update(read_body(request, validation))
            validation.require(found, required, None)
            return found

        return parse

    def _payload_reader(self, ref: ShapeRef | None) -> Callable[[HttpRequest, Validation], Params] | None:
        name = ref.trait("payload") if ref else None
        if ref is None or name is None:
            return None
        member = ref.members[name]
        if member.type == "blob":
            return lambda request, validation: {name: request.body} if _is_there(request.body) else {}
        if member.type == "string":
            return lambda request, validation: {name: _text(request.body)} if request.body else {}
        read = self._document_reader(member, member.location_name or member.name)

        def parse(request: HttpRequest, validation: Validation) -> Params:
            body = whole_body(request)
            return {name: read(body, (None, name), validation)} if body.strip() else {}

        return parse

    def _members_reader(self, ref: ShapeRef | None) -> Callable[[HttpRequest, Validation], Params]:
        members = body_members(ref)
        if not members:
            return lambda request, validation: {}
        read = self._structure_reader(members, ref)
        return lambda request, validation: read(whole_body(request), validation)

    def _document_reader(self, member: ShapeRef, root: str) -> Callable[[bytes, Any, Validation], Any]:
        raise NotImplementedError

    def _structure_reader(self, members: dict[str, ShapeRef], ref: ShapeRef | None) -> BodyReader:
        raise NotImplementedError

    def _serializer(self, operation: str, ref: ShapeRef | None) -> Serializer:
        http = self.model.operations[operation]["http"]
        return self._answer_writer(ref, int(http.get("responseCode", 200)))

    def _answer_writer(self, ref: ShapeRef | None, usual: int) -> Serializer:
        bindings, write = answer_bindings(ref), self._body_writer(ref)
        elsewhere = {*bindings.headers, *bindings.header_maps, bindings.status}

        def serialize(result: Mapping[str, Any], request_id: str) -> HttpResponse:
            status, headers = bindings.write(result, usual)
            body, content_type = write({name: each for name, each in result.items() if name not in elsewhere})
            if status in _NO_BODY:
                body, content_type = b"", ""
            if content_type and not any(name.lower() == "content-type" for name, _ in headers):
                headers.append(("content-type", content_type))
            return HttpResponse(status, [*headers, *self._id_headers(request_id)], body)

        return serialize

    def _body_writer(self, ref: ShapeRef | None) -> Callable[[Mapping[str, Any]], tuple[Body, str]]:
        payload = ref.trait("payload") if ref else None
        if ref is not None and payload is not None:
            return self._payload_writer(ref, payload)
        members = body_members(ref, answer=True)
        write = self._structure_writer(members, ref)
        if not members:
            return lambda result: (b"", "") if not result else (write(result), self.content_type)
        return lambda result: (write(result), self.content_type)

    def _payload_writer(self, ref: ShapeRef, payload: str) -> Callable[[Mapping[str, Any]], tuple[Body, str]]:
        member = ref.members[payload]

        def raw(result: Mapping[str, Any]) -> tuple[Body, str]:
            found = result.get(payload)
            content = found.encode() if isinstance(found, str) else found or b""
            return content, "application/octet-stream" if member.type == "blob" else "text/plain"

        if member.type in ("blob", "string"):
            return raw
        write = self._document_writer(member)

        def document(result: Mapping[str, Any]) -> tuple[Body, str]:
            found = result.get(payload)
            return (b"", "") if found is None else (write(found), self.content_type)

        return document

    def _document_writer(self, member: ShapeRef) -> Callable[[Any], bytes]:
        raise NotImplementedError

    def _structure_writer(self, members: dict[str, ShapeRef], ref: ShapeRef | None) -> BodyWriter:
        raise NotImplementedError

    def _id_headers(self, request_id: str) -> list[tuple[str, str]]:
        return [("x-amzn-requestid", request_id)]


def _is_there(body: Body) -> bool:
    return not isinstance(body, bytes) or bool(body)


def _text(body: Body) -> str:
    try:
        return body.decode() if isinstance(body, bytes) else ""
    except UnicodeDecodeError:
        raise Unreadable("the body is no UTF-8") from None
