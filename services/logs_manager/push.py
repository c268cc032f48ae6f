"""What is pushed as Loki takes it: JSON, or a PushRequest of protobuf in snappy's block format.

Source: grafana.com/docs/loki/latest/reference/loki-http-api, "Ingest logs"; logproto.proto of Loki. The messages are
described here, at the first request, so that there is no generated code. What repeats in one is bytes of its own, as
it is on the wire: it is counted before it is read, for two bytes of an empty message become a hundred.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import orjson

from crds.errors import BadRequest
from services.logs_manager.logql.errors import QueryFault
from services.logs_manager.logql.parser import parse_selector
from services.sdk.packed_bodies import unpacked_snappy
from services.sdk.protobuf_messages import BYTES, INT32, INT64, STRING, UINT64, Field, message_classes

MOST_BODY = MOST_RAW = 4 << 20
"""Packed, and unpacked."""
MOST_LINES, MOST_STREAMS, MOST_LABELS, LONGEST_NAME, LONGEST_VALUE = 50_000, 2_000, 20, 256, 2_048
MOST_FIELDS, MOST_FIELD_BYTES = 64, 32 << 10
_FIELDS_FAULT = f"structured metadata: at most {MOST_FIELDS} texts of {MOST_FIELD_BYTES} characters together"


class Pushed(NamedTuple):
    """Lines of one stream: time in ns since 1970, line, structured metadata."""

    labels: dict[str, str]
    lines: list[tuple[int, str, dict[str, str]]]


def of_json(body: bytes) -> list[Pushed]:
    """Of `{"streams": [{"stream": {...}, "values": [["<ns>", "<line>", {...}]]}]}`. Raises BadRequest."""
    try:
        streams = orjson.loads(body)["streams"]
        if not isinstance(streams, list):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        raise BadRequest('the body is no push of Loki: {"streams": [{"stream": {}, "values": []}]}') from None
    lines = 0
    for at, each in enumerate(streams):
        lines += _lines_in(at, each)
        _require_few(at + 1, lines)
    return [
        _pushed(
            each["stream"], [_value(f"streams[{at}].values[{i}]", value) for i, value in enumerate(each["values"])]
        )
        for at, each in enumerate(streams)
    ]


def _lines_in(at: int, stream: Any) -> int:
    """Raises BadRequest."""
    if not isinstance(stream, dict) or (unknown := sorted(set(stream) - {"stream", "values"})):
        more = f": {', '.join(unknown)} is not understood" if isinstance(stream, dict) else ""
        raise BadRequest(f"streams[{at}]: has stream and values{more}")
    labels, values = stream.get("stream"), stream.get("values")
    if not isinstance(labels, dict) or not isinstance(values, list):
        raise BadRequest(f"streams[{at}]: stream is an object of labels, values a list")
    return len(values)


def _value(where: str, value: Any) -> tuple[int, str, dict[str, str]]:
    if not isinstance(value, list) or len(value) not in (2, 3):
        raise BadRequest(f'{where}: is ["<ns>", "<line>"], or with structured metadata as a third')
    at, line, fields = value[0], value[1], value[2] if len(value) == 3 else {}
    if not (isinstance(at, str) and at.isascii() and at.isdigit() and len(at) < 20):
        raise BadRequest(f"{where}: the time is a text of ns since 1970")
    if not isinstance(line, str) or not isinstance(fields, dict):
        raise BadRequest(f"{where}: the line is a text, structured metadata an object of texts")
    return int(at), line, fields


def of_protobuf(body: bytes) -> list[Pushed]:
    """Raises BadRequest."""
    from google.protobuf.message import DecodeError

    raw, found, lines = unpacked_snappy(body, MOST_RAW), list[Pushed](), 0
    try:
        request = message("PushRequest").FromString(raw)
        _require_few(len(request.streams), 0)
        for each in request.streams:
            stream = message("Stream").FromString(each)
            lines += len(stream.entries)
            _require_few(1, lines)
            found.append(_pushed(labels_of(stream.labels), [_entry(each) for each in stream.entries]))
    except (DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body is no PushRequest of Loki: {type(error).__name__}") from None
    return found


def _entry(raw: bytes) -> tuple[int, str, dict[str, str]]:
    """Raises BadRequest, DecodeError."""
    entry = message("Entry").FromString(raw)
    if len(entry.structuredMetadata) > MOST_FIELDS:
        raise BadRequest(_FIELDS_FAULT)
    pairs = (message("Pair").FromString(each) for each in entry.structuredMetadata)
    at = entry.timestamp.seconds * 1_000_000_000 + entry.timestamp.nanos
    return at, entry.line, {pair.name: pair.value for pair in pairs}


def labels_of(text: str) -> dict[str, str]:
    """Of `{job="web", host="a"}`. Raises BadRequest."""
    try:
        matchers = parse_selector(text)
    except QueryFault as fault:
        raise BadRequest(f"labels {text[:100]!r}: {fault}") from None
    if any(each.op != "=" for each in matchers):
        raise BadRequest(f"labels {text[:100]!r}: labels have values, not expressions")
    found = {each.name: each.value for each in matchers}
    if len(found) < len(matchers):
        raise BadRequest(f"labels {text[:100]!r}: a label stands there twice")
    return found


def _require_few(streams: int, lines: int) -> None:
    """Raises BadRequest: 400 and never 429, for sent again it would be refused again."""
    if streams > MOST_STREAMS or lines > MOST_LINES:
        raise BadRequest(f"this is too much for one request: at most {MOST_LINES} lines of {MOST_STREAMS} streams")


def _pushed(labels: dict[str, str], lines: list[tuple[int, str, dict[str, str]]]) -> Pushed:
    """Raises BadRequest."""
    _require_labels(labels)
    for _, _, fields in lines:
        if fields:
            _require_fields(fields)
    return Pushed(labels, lines)


def _require_labels(labels: dict[str, Any]) -> None:
    if not labels or len(labels) > MOST_LABELS:
        raise BadRequest(f"a stream has 1 to {MOST_LABELS} labels, this one has {len(labels)}")
    for name, value in labels.items():
        if not is_label(name):
            raise BadRequest(f"{name[:100]!r} is no name of a label: letters, digits and _, no digit first")
        if not isinstance(value, str) or len(value) > LONGEST_VALUE:
            raise BadRequest(f"the label {name} has to be a text of at most {LONGEST_VALUE} characters")


def _require_fields(fields: dict[str, Any]) -> None:
    texts = all(isinstance(name, str) and isinstance(value, str) for name, value in fields.items())
    size = sum(len(name) + len(value) for name, value in fields.items()) if texts else 0
    if not texts or len(fields) > MOST_FIELDS or size > MOST_FIELD_BYTES:
        raise BadRequest(_FIELDS_FAULT)


def is_label(name: str) -> bool:
    return name.isascii() and name.isidentifier() and len(name) <= LONGEST_NAME


def message(name: str) -> Any:
    """PushRequest, Stream, Entry or Pair."""
    return _messages()[name]


@cache
def _messages() -> dict[str, Any]:
    return message_classes(
        "aerekos.loki",
        {
            "Timestamp": (Field("seconds", 1, INT64), Field("nanos", 2, INT32)),
            "Pair": (Field("name", 1, STRING), Field("value", 2, STRING)),
            "Entry": (
                Field("timestamp", 1, "Timestamp"),
                Field("line", 2, STRING),
                Field("structuredMetadata", 3, BYTES, repeated=True),
            ),
            "Stream": (
                Field("labels", 1, STRING),
                Field("entries", 2, BYTES, repeated=True),
                Field("hash", 3, UINT64),
            ),
            "PushRequest": (Field("streams", 1, BYTES, repeated=True),),
        },
    )
