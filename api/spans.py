"""The span of a request at the entry point: what is traced, and what a span says of it.

Not traced: what lasts (watches, followed logs), probes, scrapes, and heartbeats, which would be most of all spans.
No span holds a query, a header or a body: signatures, tokens and values travel there.
"""

from __future__ import annotations

from api.asgi import Scope
from controller.kit import tracing

_UNTRACED = frozenset({"/health", "/healthz", "/livez", "/ready", "/readyz", "/metrics", "/agents/heartbeat"})


def request_span(scope: Scope, *, lasts: bool) -> tracing.Span:
    """A span for the whole request, below the client's own if it names one. `lasts`: it may go on for hours."""
    if tracing.tracing() is None or lasts or scope["path"] in _UNTRACED:
        return tracing.NO_SPAN
    given = (value for name, value in scope["headers"] if name == tracing.TRACEPARENT)
    return tracing.span(scope["method"], "server", parent=next(given, b""))


def describe(span: tracing.Span, scope: Scope, handler: str, code: int, request_id: bytes) -> None:
    """What is known once it is answered. Names by handler, not by path: there are as many paths as resources."""
    if span is tracing.NO_SPAN:
        return
    span.name(f"{scope['method']} {handler}")
    span.note("http.request.method", scope["method"])
    span.note("url.path", scope["path"])
    span.note("http.response.status_code", code)
    span.note("aerekos.handler", handler)
    span.note("aerekos.request_id", request_id.decode())
    if code >= 500:
        span.fail(str(code))
