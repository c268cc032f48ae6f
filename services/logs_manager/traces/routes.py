"""`POST /v1/traces`, where OpenTelemetry sends spans, and Jaeger's query API, which Grafana and Jaeger's page ask.

A caller sees the spans of their namespace; who may read LogGroups everywhere sees all.
"""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

import orjson

from crds.errors import BadRequest, NotFound
from services.logs_manager.kinds import LOG_GROUP
from services.logs_manager.logql.lexer import seconds_of
from services.logs_manager.otlp import answer, beside_the_loop, read_into
from services.logs_manager.queries import Queries
from services.logs_manager.store.reader import Span, TookTooLong
from services.logs_manager.traces import jaeger
from services.logs_manager.traces.spans import NewSpan, is_trace_id, kind_of, spans_of
from services.logs_manager.traces.trace_store import KEPT_NS, TraceStore, Wanted
from services.sdk.context import ServiceContext
from services.sdk.routes import Request, Response, route

_READ = ("get", LOG_GROUP)
_HOUR_US, _AHEAD_NS = 3_600_000_000, 7_200 * 1_000_000_000
MOST_TRACES, LONGEST_TAGS = 200, 4_096
_SEARCH = ("service", "operation", "tags", "start", "end", "minDuration", "maxDuration", "limit", "lookback")


class TraceRoutes:
    """Declared methods."""

    def __init__(self, context: ServiceContext, store: TraceStore, queries: Queries, reading: Executor) -> None:
        """`reading`: where large requests are taken apart."""
        self._context, self._store, self._queries, self._reading = context, store, queries, reading

    @route("POST", "/v1/traces", permission=("use", LOG_GROUP), raw=True)
    async def take(self, request: Request) -> Response:
        """200 once all that is kept is durable; what is rejected is told within the answer."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
            ExportTraceServiceResponse,
        )

        def read() -> list[NewSpan | None]:
            read_into(sent := ExportTraceServiceRequest(), request)
            return spans_of(sent)

        response, spans = ExportTraceServiceResponse(), await beside_the_loop(self._reading, request, read)
        now = self._queries.now()
        kept = [each for each in spans if each is not None and _is_of_now(each, now)]
        if kept:
            await self._store.add(request.namespace, kept)
        if len(kept) < len(spans):
            response.partial_success.rejected_spans = len(spans) - len(kept)
            response.partial_success.error_message = (
                "without ids, over 64 KiB, of a resource or scope over 8 KiB, older than three days, or hours ahead"
            )
        return answer(response, request)

    @route("GET", "/jaeger/api/services", permission=_READ)
    async def services(self, request: Request) -> Any:
        return jaeger.answer(self._store.services(await self._seen(request)))

    @route("GET", "/jaeger/api/services/{service}/operations", permission=_READ)
    async def operations_of(self, request: Request) -> Any:
        found = await self._operations(request, request.parameters["service"])
        return jaeger.answer(sorted({name for name, _ in found}))

    @route("GET", "/jaeger/api/operations", permission=_READ, query=("service", "spanKind"))
    async def operations(self, request: Request) -> Any:
        found = await self._operations(request, request.query.get("service", ""))
        named = [{"name": name, "spanKind": kind_of(kind)} for name, kind in found]
        return jaeger.answer([each for each in named if request.query.get("spanKind", "") in ("", each["spanKind"])])

    async def _operations(self, request: Request, service: str) -> list[tuple[str, int]]:
        seen = await self._seen(request)
        found: list[tuple[str, int]] = await self._asked(lambda: self._store.operations(seen, service))
        return found

    @route("GET", "/jaeger/api/traces/{id}", permission=_READ)
    async def trace(self, request: Request) -> Any:
        id = request.parameters["id"].lower().rjust(32, "0")
        if not is_trace_id(id):
            raise BadRequest(f"{id[:64]!r} is no id of a trace: 32 hexadecimal digits")
        seen = await self._seen(request)
        return Response(await self._asked(lambda: self._trace(seen, id)))

    def _trace(self, seen: str | None, id: str) -> bytes:
        """Raises NotFound, TookTooLong."""
        if not (found := jaeger.trace(id, self._store.trace(seen, id)))["spans"]:
            raise NotFound(f"there are no spans of the trace {id}")
        return orjson.dumps(jaeger.answer([found]))

    @route("GET", "/jaeger/api/traces", permission=_READ, query=_SEARCH)
    async def traces(self, request: Request) -> Any:
        """Times in us since 1970; `lookback` is what Jaeger's page sends beside them, and is nothing but that."""
        limit = _count(request.query.get("limit") or "20")
        wanted, seen = self._wanted(request), await self._seen(request)
        return Response(await self._asked(lambda: self._traces(seen, wanted, limit)))

    def _traces(self, seen: str | None, wanted: Wanted, limit: int) -> bytes:
        """Raises TookTooLong."""
        found = [jaeger.trace(*each) for each in self._store.find(seen, wanted, limit)]
        return orjson.dumps(jaeger.answer(found, limit))

    def _wanted(self, request: Request) -> Wanted:
        """Raises BadRequest."""
        asked, now = request.query, self._queries.now() // 1000
        service = asked.get("service", "")
        if not service:
            raise BadRequest("service: it has to be there")
        end = _micros("end", asked.get("end"), now)
        start = _micros("start", asked.get("start"), end - _HOUR_US)
        shortest, longest = (_nanos(name, asked.get(name)) for name in ("minDuration", "maxDuration"))
        span = Span(start * 1000, end * 1000 + 1)
        return Wanted(service, asked.get("operation", ""), _tags(asked.get("tags")), span, shortest, longest)

    async def _seen(self, request: Request) -> str | None:
        """The namespace whose spans they see, None for all."""
        verb, kind = _READ
        review = self._context.authorizer
        everywhere = await review.allows(request.caller, verb, kind.plural, kind.group, "", "")
        return None if everywhere else request.namespace

    async def _asked(self, ask: Any) -> Any:
        """Raises BadRequest."""
        try:
            return await self._queries.run(lambda _: self._store.in_time(ask))
        except TookTooLong as error:
            raise BadRequest(str(error)) from None


def _is_of_now(span: NewSpan, now: int) -> bool:
    return now - KEPT_NS <= span.line.time <= now + _AHEAD_NS


def _tags(text: str | None) -> dict[str, str]:
    """Raises BadRequest."""
    if not text:
        return {}
    try:
        found = orjson.loads(text) if len(text) <= LONGEST_TAGS else None
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise BadRequest('tags: is JSON of an object of texts, such as {"error": "true"}')
    return found


def _micros(name: str, text: str | None, default: int) -> int:
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 18):
        raise BadRequest(f"{name}: {text[:40]!r} is no count of us since 1970")
    return int(text)


def _nanos(name: str, text: str | None) -> int:
    found = seconds_of(text) if text else 0.0
    if found is None or not 0 <= found < 1e7:
        raise BadRequest(f"{name}: {(text or '')[:40]!r} is no duration such as 1.2s or 100ms")
    return round(found * 1e9)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 6 and 1 <= int(text) <= MOST_TRACES):
        raise BadRequest(f"limit: {text[:40]!r} is no count from 1 to {MOST_TRACES}")
    return int(text)
