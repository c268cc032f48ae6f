"""A collector of spans as others run them: OTLP over HTTP, protobuf decoded, everything kept to be looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


@dataclass(frozen=True)
class CollectedSpan:
    """One span. `parent` is empty for the first of a trace; `links`: ids of spans of which it did the work too."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    failed: bool
    links: tuple[str, ...]
    attributes: dict[str, str | int | float | bool]


class Collector:
    """Takes spans while it runs; `code` is what it answers."""

    def __init__(self) -> None:
        self.spans: list[CollectedSpan] = []
        self.paths: set[str] = set()
        self.code = 200
        self._arrived = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector._take(self.path, body)
                self.send_response(collector.code)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator[Collector]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def wait_for(self, found: Callable[[list[CollectedSpan]], object], seconds: float = 60) -> list[CollectedSpan]:
        """All spans, once `found` finds what it looks for among them."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: found(self.spans), seconds), [each.name for each in self.spans]
            return list(self.spans)

    def _take(self, path: str, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._arrived:
            self.paths.add(path)
            if self.code == 200:
                self.spans += _spans(request)
            self._arrived.notify_all()


def _spans(request: ExportTraceServiceRequest) -> Iterator[CollectedSpan]:
    for resource in request.resource_spans:
        service = str(_attributes(resource.resource.attributes)["service.name"])
        for span in (span for scope in resource.scope_spans for span in scope.spans):
            links = tuple(link.span_id.hex() for link in span.links)
            yield CollectedSpan(
                service, span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(),
                span.status.code == span.status.STATUS_CODE_ERROR, links, _attributes(span.attributes),
            )  # fmt: skip


def _attributes(pairs: Iterator[KeyValue]) -> dict[str, str | int | float | bool]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> str | int | float | bool:
    return getattr(value, value.WhichOneof("value"))  # type: ignore[no-any-return]
