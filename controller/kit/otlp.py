"""The OpenTelemetry SDK behind `tracing`, imported when tracing starts: a bounded queue, and a thread that sends.

Nothing waits for the collector. While it is away the newest spans of the queue are kept for it and the oldest are
dropped; requests, passes and commits notice nothing. The provider is our own and not the process's global one, so
libraries with instrumentation of their own stay silent.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import requests
from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from controller.kit.tracing import Kind, Report, Span
from controller.kit.version import version

QUEUE = 2048
"""Spans that may wait; a busy second or two of a conductor."""
SEND_SECONDS = 1.0
_PATIENCE_SECONDS = 5.0
_PATH = "/v1/traces"
_KINDS = {
    "internal": trace.SpanKind.INTERNAL,
    "server": trace.SpanKind.SERVER,
    "client": trace.SpanKind.CLIENT,
}


class Tracing:
    """One process's spans, and the thread that sends them."""

    def __init__(self, endpoint: str, service: str, instance: str, report: Report) -> None:
        # It would write a line for each batch, or with each span that finds the queue full.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        attributes = {"service.name": service, "service.namespace": "aerekos", "service.version": version()}
        resource = Resource.create(attributes | ({"service.instance.id": instance} if instance else {}))
        self.sent = _Exporter(_target(endpoint), report)
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        processor = BatchSpanProcessor(self.sent, max_queue_size=QUEUE, schedule_delay_millis=SEND_SECONDS * 1000)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("aerekos")
        self._propagator = TraceContextTextMapPropagator()

    def span(self, name: str, kind: Kind, parent: bytes | None, links: Sequence[Any], *, below: Any = None) -> Span:
        """As `tracing.span`; `below`: in place of the current one."""
        where = None
        if parent is not None:
            where = self._propagator.extract({"traceparent": parent.decode("latin-1")}, context.Context())
        elif below is not None:
            where = trace.set_span_in_context(trace.NonRecordingSpan(below))
        linked = [trace.Link(each) for each in links]
        return _ActiveSpan(self._tracer.start_span(name, where, _KINDS[kind], links=linked))

    def current(self) -> trace.SpanContext | None:
        """The current span's identity, if there is one."""
        found = trace.get_current_span().get_span_context()
        return found if found.is_valid else None

    def traceparent(self) -> bytes | None:
        """As `tracing.traceparent`."""
        found = self.current()
        if found is None:
            return None
        return b"00-%032x-%016x-%02x" % (found.trace_id, found.span_id, found.trace_flags)

    def close(self, seconds: float) -> None:
        """Send what waits; give up after `seconds`."""
        last = threading.Thread(target=self._shutdown, name="last spans", daemon=True)
        last.start()
        last.join(seconds)

    def _shutdown(self) -> None:
        self._provider.shutdown()


class _ActiveSpan:
    """As `tracing.Span`."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def __enter__(self) -> Span:
        self._token = context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace_: TracebackType | None
    ) -> None:
        context.detach(self._token)
        if isinstance(error, Exception):
            # Its text may hold what somebody sent.
            self.fail(type(error).__name__)
        self._span.end()

    def name(self, name: str) -> None:
        self._span.update_name(name)

    def note(self, key: str, value: str | int | float | bool) -> None:
        self._span.set_attribute(key, value)

    def fail(self, why: str) -> None:
        self._span.set_status(trace.StatusCode.ERROR, why)


class _Exporter(SpanExporter):
    """Sends batches, counts them, and reports when the collector goes and when it is back."""

    def __init__(self, url: str, report: Report) -> None:
        self._url, self._report = url, report
        session = requests.Session()
        session.trust_env = False  # a proxy of the machine's people is none of ours
        self._inner = OTLPSpanExporter(endpoint=url, timeout=_PATIENCE_SECONDS, session=session)
        self.exported = self.failed = 0
        self._takes, self._lost = True, 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        if result is SpanExportResult.SUCCESS:
            self.exported += len(spans)
            if not self._takes:
                self._report(True, f"{self._url} takes spans again; {self._lost} were lost")
            self._takes, self._lost = True, 0
            return result
        self.failed += len(spans)
        self._lost += len(spans)
        if self._takes:
            self._report(False, f"{self._url} does not take spans; they are dropped until it does")
        self._takes = False
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()  # type: ignore[no-untyped-call]


def _target(endpoint: str) -> str:
    base = endpoint.rstrip("/")
    return base if base.endswith(_PATH) else base + _PATH
