"""Spans of OpenTelemetry as lines of a store of their own: JSON that begins with the trace, in the order they began.

{"traceId": "<32 hex>", "spanId": "<16 hex>", "parentId": "", "name": "GET /", "kind": 2, "start": ns, "end": ns,
 "error": "", "attributes": {...}, "events": [[ns, name, {...}]], "links": [[trace, span]], "resource": {...},
 "scope": "name"}
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

import orjson

from crds.errors import BadRequest
from services.logs_manager.otlp import MOST_RAW, attributes_of, require_few, text_of
from services.logs_manager.push import LONGEST_VALUE
from services.logs_manager.store.log_store import NewLine

LONGEST_SPAN, LONGEST_RESOURCE = 64 << 10, 8 << 10
KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_PREFIX = b'{"traceId":"'
_ERROR = 2


class NewSpan(NamedTuple):
    service: str
    line: NewLine


def spans_of(sent: Any) -> list[NewSpan | None]:
    """Of an ExportTraceServiceRequest; None for one without ids, or too large. Each line holds its resource: of what
    one body unpacks to, they may make a thousand times as much. Raises BadRequest.
    """
    require_few(sent.resource_spans, lambda part: part.scope_spans, lambda scope: scope.spans)
    found, size = list[NewSpan | None](), 0
    for each in chain.from_iterable(_of_resource(part) for part in sent.resource_spans):
        size += len(each.line.line) if each is not None else 0
        if size > MOST_RAW:
            raise BadRequest(f"the spans have more than {MOST_RAW} bytes with their resources: send fewer at once")
        found.append(each)
    return found


def _of_resource(part: Any) -> Iterator[NewSpan | None]:
    is_small = part.resource.ByteSize() <= LONGEST_RESOURCE
    resource = attributes_of(part.resource.attributes) if is_small else {}
    service = text_of(resource.pop("service.name", "unknown_service"))[:LONGEST_VALUE]
    written = orjson.Fragment(orjson.dumps(resource))
    for scope in part.scope_spans:
        is_taken = is_small and scope.scope.ByteSize() <= LONGEST_RESOURCE
        for span in scope.spans:
            line = _line(span, written, scope.scope.name) if is_taken and _is_whole(span) else b""
            is_one = 0 < len(line) <= LONGEST_SPAN
            yield NewSpan(service, NewLine(span.start_time_unix_nano, line)) if is_one else None


def _is_whole(span: Any) -> bool:
    return len(span.trace_id) == 16 and len(span.span_id) == 8 and span.ByteSize() <= LONGEST_SPAN


def _line(span: Any, resource: orjson.Fragment, scope: str) -> bytes:
    return orjson.dumps(
        {
            "traceId": span.trace_id.hex(),
            "spanId": span.span_id.hex(),
            "parentId": span.parent_span_id.hex(),
            "name": span.name,
            "kind": span.kind,
            "start": span.start_time_unix_nano,
            "end": span.end_time_unix_nano,
            "error": (span.status.message or "error") if span.status.code == _ERROR else "",
            "attributes": attributes_of(span.attributes),
            "events": [[each.time_unix_nano, each.name, attributes_of(each.attributes)] for each in span.events],
            "links": [[each.trace_id.hex(), each.span_id.hex()] for each in span.links],
            "resource": resource,
            "scope": scope,
        }
    )


def kind_of(number: int) -> str:
    """Its name; the number where it has none, as any may come: enums of proto3 are open."""
    return KINDS[number] if 0 <= number < len(KINDS) else str(number)


def needle_of(trace: str) -> bytes:
    """What every span of that trace begins with."""
    return _PREFIX + trace.encode() + b'"'


def trace_in(line: bytes) -> bytes:
    """The id of its trace."""
    return line[len(_PREFIX) : len(_PREFIX) + 32]


def is_trace_id(text: str) -> bool:
    return len(text) == 32 and all(each in "0123456789abcdef" for each in text)
