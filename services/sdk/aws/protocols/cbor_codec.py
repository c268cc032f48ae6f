"""smithy-rpc-v2-cbor: `/service/{name}/operation/{name}`, one CBOR item each way.

Source: Smithy "RPC v2 CBOR protocol"; botocore `RpcV2CBORSerializer`, `RpcV2CBORParser`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from services.sdk.aws.protocols import cbor
from services.sdk.aws.protocols.codec import Codec, Params, Parser, Serializer
from services.sdk.aws.protocols.document_readers import DocumentReaders
from services.sdk.aws.protocols.errors import ModelError
from services.sdk.aws.protocols.messages import HttpRequest, HttpResponse, whole_body
from services.sdk.aws.protocols.shapes import ShapeCompiler, ShapeRef
from services.sdk.aws.protocols.validation import Unreadable, Validation

SMITHY, NAME = "smithy-protocol", "rpc-v2-cbor"
Encoder = Callable[[Any], bytes]


class CborWriters(ShapeCompiler[Encoder]):
    """Compiles encoders. A member the shape does not have is a KeyError: that is our mistake."""

    def structure(self, members: dict[str, ShapeRef]) -> Encoder:
        table = {name: (cbor.encode_text(name), self.compile(each)) for name, each in members.items()}

        def encode(value: Any) -> bytes:
            parts = []
            for name, each in value.items():
                if each is not None:
                    key, write = table[name]
                    parts += [key, write(each)]
            return cbor.map_head(len(parts) // 2) + b"".join(parts)

        return encode

    def _make(self, ref: ShapeRef) -> Encoder:
        if ref.type == "structure":
            return self.structure(ref.members)
        if ref.type == "list":
            element = self.compile(ref.element)
            return lambda value: cbor.list_head(len(value)) + b"".join(map(element, value))
        if ref.type == "map":
            return self._map(ref)
        encoders: dict[str, Encoder] = {
            "blob": cbor.encode_bytes,
            "boolean": cbor.encode_boolean,
            "integer": cbor.encode_integer,
            "long": cbor.encode_integer,
            "float": cbor.encode_float,
            "double": cbor.encode_float,
            "timestamp": cbor.encode_moment,
        }
        return encoders.get(ref.type, cbor.encode_text)

    def _map(self, ref: ShapeRef) -> Encoder:
        inner = self.compile(ref.value)
        return lambda value: (
            cbor.map_head(len(value)) + b"".join(cbor.encode_text(key) + inner(each) for key, each in value.items())
        )

    def _recursive(self, made: dict[Any, Encoder], key: Any) -> Encoder:
        return lambda value: made[key](value)


class CborCodec(Codec):
    """The protocol `smithy-rpc-v2-cbor`."""

    protocol = "smithy-rpc-v2-cbor"

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._readers, self._writers = DocumentReaders(native=True), CborWriters()
        prefix = f"/service/{self.model.target_prefix}/operation/"
        self._known = {prefix + name: name for name in self.operations}

    def route(self, request: HttpRequest) -> str:
        operation = self._known.get(request.path)
        if operation is None or request.method != "POST" or request.headers.get(SMITHY) != NAME:
            raise self.words.unknown_operation(f"no {request.path[:200]!r}")
        return operation

    def _parser(self, operation: str, ref: ShapeRef | None, required: tuple[str, ...]) -> Parser:
        read = self._readers.structure(ref.members if ref else {}, required)

        def parse(request: HttpRequest, validation: Validation) -> Params:
            return read(_document(whole_body(request)), None, validation)  # type: ignore[no-any-return]

        return parse

    def _serializer(self, operation: str, ref: ShapeRef | None) -> Serializer:
        write, empty = self._writers.structure(ref.members if ref else {}), ref is None

        def serialize(result: Mapping[str, Any], request_id: str) -> HttpResponse:
            headers = [(SMITHY, NAME), ("x-amzn-requestid", request_id)]
            if empty and not result:
                return HttpResponse(200, headers)
            return HttpResponse(200, [("content-type", "application/cbor"), *headers], write(result))

        return serialize

    def _error(self, error: ModelError, request_id: str, resource: str) -> HttpResponse:
        members, known = error.members("message"), error.ref.members if error.ref else {}
        encoders = {name: self._writers.compile(each) for name, each in known.items()}
        pairs = [("__type", cbor.encode_text(error.name))]
        pairs += [(name, encoders.get(name, cbor.encode_text)(each)) for name, each in members.items()]
        body = cbor.map_head(len(pairs)) + b"".join(cbor.encode_text(name) + each for name, each in pairs)
        headers = [("content-type", "application/cbor"), (SMITHY, NAME), ("x-amzn-requestid", request_id)]
        return HttpResponse(error.status, headers + self._query_error(error), body)


def _document(body: bytes) -> Any:
    try:
        return cbor.decode(body) if body else {}
    except ValueError as wrong:
        raise Unreadable(str(wrong)) from None
