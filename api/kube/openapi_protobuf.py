"""The OpenAPI v2 document as protocol buffers: the only form kubectl up to 1.28 takes it in.

Field numbers: gnostic `openapiv2/OpenAPIv2.proto`. Only what our documents contain is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

# With a dot where clients ask with an @: they cannot parse their own word.
CONTENT_TYPE = b"application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_LENGTH_DELIMITED = 2


def encoded(document: dict[str, Any]) -> bytes:
    """The whole document."""
    info = _text(1, document["info"]["title"]) + _text(2, document["info"]["version"])
    paths = _each(2, document["paths"], _path_item)
    definitions = _each(1, document["definitions"], _schema)
    return _text(1, document["swagger"]) + _message(2, info) + _message(8, paths) + _message(9, definitions)


def _path_item(item: dict[str, Any]) -> bytes:
    numbers = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}
    return b"".join(_message(numbers[method], _operation(each)) for method, each in item.items())


def _operation(operation: dict[str, Any]) -> bytes:
    parameters = b"".join(_message(8, _parameter(each)) for each in operation["parameters"])
    answers = b"".join(
        _message(1, _text(1, code) + _message(2, _message(1, _text(1, answer["description"]))))
        for code, answer in operation["responses"].items()
    )
    return _text(5, operation["operationId"]) + parameters + _message(9, answers) + _extensions(13, operation)


def _parameter(parameter: dict[str, Any]) -> bytes:
    """ParametersItem > Parameter > NonBodyParameter > QueryParameterSubSchema."""
    query = _text(2, parameter["in"]) + _text(4, parameter["name"]) + _text(6, parameter["type"])
    return _message(1, _message(2, _message(3, query)))


def _schema(schema: dict[str, Any]) -> bytes:
    parts = [_text(1, schema.get("$ref", "")), _text(2, schema.get("format", ""))]
    parts.append(_text(4, schema.get("description", "")))
    parts.append(_text(13, schema.get("pattern", "")))
    parts += [_text(19, name) for name in schema.get("required", ())]
    parts += [_message(20, _text(2, orjson.dumps(value).decode())) for value in schema.get("enum", ())]
    if isinstance(more := schema.get("additionalProperties"), dict):
        parts.append(_message(21, _message(1, _schema(more))))
    if "type" in schema:
        parts.append(_message(22, _text(1, schema["type"])))
    if "items" in schema:
        parts.append(_message(23, _message(1, _schema(schema["items"]))))
    if "properties" in schema:
        parts.append(_message(25, _each(1, schema["properties"], _schema)))
    return b"".join(parts) + _extensions(31, schema)


def _extensions(number: int, words: dict[str, Any]) -> bytes:
    """NamedAny > Any.yaml; JSON is YAML too."""
    return b"".join(
        _message(number, _text(1, word) + _message(2, _text(2, orjson.dumps(value).decode())))
        for word, value in words.items()
        if word.startswith("x-")
    )


def _each(number: int, named: dict[str, Any], encode: Callable[[Any], bytes]) -> bytes:
    """A map as the repeated (name, value) messages the format uses in place of one."""
    return b"".join(_message(number, _text(1, name) + _message(2, encode(value))) for name, value in named.items())


def _message(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(content)) + content


def _text(number: int, text: str) -> bytes:
    return _message(number, text.encode()) if text else b""


def _varint(value: int) -> bytes:
    parts: list[int] = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
