"""OpenTelemetry's own SDK sends logs and spans; Loki's API and Jaeger's show them, to whom they belong."""

from __future__ import annotations

import base64
import gzip
from typing import Any
from unittest.mock import Mock, patch

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode

from services.logs_manager.otlp import MOST_ITEMS, MOST_RAW, value_of
from services.logs_manager.tests.in_memory import NS, Logs, logs
from services.logs_manager.traces import spans as spans_module
from services.logs_manager.traces import trace_store
from services.sdk.testing import User
from services.sdk.testing.virtual import virtual_time

PROTOBUF = {"content-type": "application/x-protobuf"}


def spans_at(at: int, service: str = "shop") -> Any:
    """What the SDK sends of one trace: a server's span, and below it one that failed."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(
        resource=Resource({"service.name": service, "host.name": "oak"}), shutdown_on_exit=False
    )
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("t")
    with tracer.start_as_current_span("GET /orders", kind=SpanKind.SERVER, start_time=at, end_on_exit=False) as outer:
        outer.set_attribute("http.status", 500)
        with tracer.start_as_current_span("select", start_time=at + NS, end_on_exit=False) as inner:
            inner.add_event("retried", {"n": 2}, at + NS)
            inner.set_status(Status(StatusCode.ERROR, "no such table"))
            inner.end(at + 2 * NS)
        outer.end(at + 3 * NS)
    return encode_spans(kept.get_finished_spans())


def log_request(at: int) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    part = request.resource_logs.add()
    part.resource.attributes.add(key="service.name").value.string_value = "shop"
    part.resource.attributes.add(key="host.name").value.string_value = "oak"
    record = part.scope_logs.add().log_records.add(
        time_unix_nano=at,
        severity_number=17,
        severity_text="ERROR",
        trace_id=b"\x01" * 16,
    )
    record.body.string_value = "no such table"
    record.attributes.add(key="http.status").value.int_value = 500
    return request


async def get(m: Logs, path: str, user: User | None = None, **query: str) -> Any:
    async with m.service.client(user) as client:
        answer = await client.get(path, params=query)
    return answer.json()["data"] if answer.status_code == 200 else answer.status_code


async def send(
    m: Logs, path: str, content: bytes, user: User | None = None, headers: dict[str, str] | None = None
) -> Any:
    async with m.service.client(user) as client:
        return await client.post(path, content=content, headers={**PROTOBUF, **(headers or {})})


@virtual_time
async def test_logs_of_the_sdk_are_lines_with_their_attributes() -> None:
    assert encode_logs([]) == ExportLogsServiceRequest()
    async with logs() as m:
        at = m.now - NS
        body = log_request(at).SerializeToString()
        packed = gzip.compress(body)
        assert (await send(m, "/v1/logs", packed, headers={"content-encoding": "gzip"})).status_code == 200
        await m.advance(1)
        assert await m.lines('{service="shop"} | http_status=500 | host_name="oak"') == ["no such table"]
        assert await m.lines(f'{{service="shop"}} | trace_id="{"01" * 16}" | detected_level="error"') == [
            "no such table"
        ]
        old = await send(m, "/v1/logs", log_request(5).SerializeToString())
        assert old.status_code == 200 and b"older" in old.content
        assert (await send(m, "/v1/logs", b"\xff\xff")).status_code == 400
        assert (await send(m, "/v1/logs", b"{}", headers={"content-type": "text/plain"})).status_code == 415


@virtual_time
async def test_spans_of_the_sdk_are_traces_of_jaeger() -> None:
    async with logs() as m:
        sent = spans_at(m.now - 10 * NS)
        answer = await send(m, "/v1/traces", sent.SerializeToString())
        assert answer.status_code == 200
        assert not ExportTraceServiceResponse.FromString(answer.content).partial_success.rejected_spans
        id = sent.resource_spans[0].scope_spans[0].spans[0].trace_id.hex()
        assert await get(m, "/jaeger/api/services") == ["shop"]
        assert await get(m, "/jaeger/api/services/shop/operations") == ["GET /orders", "select"]
        (trace,) = await get(m, f"/jaeger/api/traces/{id}")
        outer, inner = trace["spans"]
        assert (outer["operationName"], outer["duration"]) == ("GET /orders", 3_000_000)
        assert inner["references"] == [{"refType": "CHILD_OF", "traceID": id, "spanID": outer["spanID"]}]
        assert {"key": "error", "type": "bool", "value": True} in inner["tags"]
        assert {"key": "http.status", "type": "int64", "value": 500} in outer["tags"]
        assert inner["logs"][0]["fields"][0]["value"] == "retried"
        assert trace["processes"][outer["processID"]]["serviceName"] == "shop"
        for fits in ({"operation": "select"}, {"tags": '{"error": "true"}'}, {"minDuration": "2s"}, {}):
            (found,) = await get(m, "/jaeger/api/traces", None, **{"service": "shop", **fits})
            assert found == trace, fits
        for not_there in ({"operation": "other"}, {"tags": '{"http.status": "200"}'}, {"minDuration": "5s"}):
            assert await get(m, "/jaeger/api/traces", None, **{"service": "shop", **not_there}) == [], not_there
        for wrong in ({"tags": "x"}, {"limit": "0"}, {"start": "x"}, {"minDuration": "x"}, {"unknown": "x"}):
            assert await get(m, "/jaeger/api/traces", None, **{"service": "shop", **wrong}) == 400, wrong
        assert await get(m, f"/jaeger/api/traces/{'ab' * 16}") == 404


@virtual_time
async def test_json_of_otlp_has_ids_in_hexadecimal_digits() -> None:
    async with logs() as m:
        sent = spans_at(m.now - 10 * NS)
        request = MessageToDict(sent)
        for span in request["resourceSpans"][0]["scopeSpans"][0]["spans"]:
            for name in ("traceId", "spanId", "parentSpanId"):
                if name in span:
                    span[name] = base64.b64decode(span[name]).hex()
        async with m.service.client() as client:
            answer = await client.post("/v1/traces", json=request)
            assert (answer.status_code, answer.json()) == (200, {})
            assert (await client.post("/v1/traces", json={"resourceSpans": 5})).status_code == 400
        id = sent.resource_spans[0].scope_spans[0].spans[0].trace_id.hex()
        (trace,) = await get(m, f"/jaeger/api/traces/{id}")
        assert [each["operationName"] for each in trace["spans"]] == ["GET /orders", "select"]


@virtual_time
async def test_spans_are_seen_by_those_whose_they_are() -> None:
    async with logs() as m:
        eve = m.service.conductor.add(User("eve", (), "team-e"))
        m.service.conductor.judge = lambda user, wanted: user != "eve" or wanted["namespace"] == "team-e"
        sent = spans_at(m.now - 10 * NS)
        assert (await send(m, "/v1/traces", sent.SerializeToString())).status_code == 200
        id = sent.resource_spans[0].scope_spans[0].spans[0].trace_id.hex()
        assert await get(m, "/jaeger/api/services", eve) == []
        assert await get(m, f"/jaeger/api/traces/{id}", eve) == 404
        assert await get(m, "/jaeger/api/traces", eve, service="shop") == []
        broken = ExportTraceServiceRequest()
        broken.resource_spans.add().scope_spans.add().spans.add(name="without ids")
        answer = await send(m, "/v1/traces", broken.SerializeToString(), eve)
        assert ExportTraceServiceResponse.FromString(answer.content).partial_success.rejected_spans == 1


def many_spans(count: int, at: int, *, attribute: int = 0, **members: Any) -> ExportTraceServiceRequest:
    """`attribute`: bytes of one of their resource."""
    request = ExportTraceServiceRequest()
    part = request.resource_spans.add()
    part.resource.attributes.add(key="big").value.string_value = "x" * attribute
    spans = part.scope_spans.add().spans
    for number in range(count):
        ids = {"trace_id": b"\x0c" * 16, "span_id": (number + 1).to_bytes(8), "start_time_unix_nano": at}
        spans.add(**{**ids, **members})
    return request


@virtual_time
async def test_a_small_body_of_spans_does_not_become_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    made, line = list[Any](), spans_module._line

    def counted(*each: Any) -> bytes:
        made.append(each)
        return line(*each)

    monkeypatch.setattr(spans_module, "_line", counted)
    async with logs() as m:
        for count, attribute, status in ((MOST_ITEMS + 1, 0, 400), (2_500, 8_000, 400), (300, 60_000, 200)):
            made.clear()
            sent = many_spans(count, m.now - NS, attribute=attribute).SerializeToString()
            answer = await send(m, "/v1/traces", gzip.compress(sent), headers={"content-encoding": "gzip"})
            assert answer.status_code == status, answer.content
            assert len(made) * attribute <= MOST_RAW + attribute
            assert count <= MOST_ITEMS or not made
        assert ExportTraceServiceResponse.FromString(answer.content).partial_success.rejected_spans == 300


async def sent(m: Logs, request: ExportTraceServiceRequest, user: User | None = None) -> None:
    packed = gzip.compress(request.SerializeToString())
    answer = await send(m, "/v1/traces", packed, user, {"content-encoding": "gzip"})
    assert answer.status_code == 200, answer.content


@virtual_time
async def test_of_a_trace_that_is_too_large_a_part_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_store, "MOST_SHOWN", 20_000)
    monkeypatch.setattr(trace_store, "LONGEST_SPAN", 5_000)
    async with logs() as m:
        await sent(m, many_spans(100, m.now - NS, attribute=1_000))
        await sent(m, many_spans(1, m.now, trace_id=b"\x0d" * 16))
        (trace,) = await get(m, f"/jaeger/api/traces/{'0c' * 16}")
        assert 10 < len(trace["spans"]) < 20 and trace["warnings"]
        small, large = await get(m, "/jaeger/api/traces", service="unknown_service")
        assert (len(small["spans"]), small["warnings"]) == (1, None)
        assert 5 < len(large["spans"]) < 10 and large["warnings"]


@virtual_time
async def test_a_trace_has_no_spans_of_another_one() -> None:
    async with logs() as m:
        request = many_spans(1, m.now - NS, trace_id=b"\x0d" * 16)
        (span,) = request.resource_spans[0].scope_spans[0].spans
        span.attributes.add(key="traceId").value.string_value = "0c" * 16
        await sent(m, request)
        assert await get(m, f"/jaeger/api/traces/{'0c' * 16}") == 404


@virtual_time
async def test_a_kind_of_span_that_nobody_knows_is_a_number() -> None:
    async with logs() as m:
        await sent(m, many_spans(1, m.now - NS, kind=-7))
        (trace,) = await get(m, f"/jaeger/api/traces/{'0c' * 16}")
        assert {"key": "span.kind", "type": "string", "value": "-7"} in trace["spans"][0]["tags"]
        (found,) = await get(m, "/jaeger/api/operations", service="unknown_service")
        assert found["spanKind"] == "-7"


@virtual_time
async def test_who_sends_most_spans_loses_them_and_names_of_services_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async with logs() as m:
        eve = m.service.conductor.add(User("eve", (), "team-e"))
        m.service.conductor.judge = lambda user, wanted: user != "eve" or wanted["namespace"] == "team-e"
        await sent(m, spans_at(m.now - 100 * NS))
        for number in range(8):
            await sent(m, many_spans(200, m.now - NS, name=f"{number}"), eve)
        monkeypatch.setattr(trace_store, "MOST_BYTES", 1_500)
        await m.advance(700)
        assert await get(m, "/jaeger/api/traces", None, service="shop")
        assert not await get(m, "/jaeger/api/traces", eve, service="unknown_service")
        monkeypatch.setattr(trace_store, "KEPT_NS", 60 * NS)
        await m.advance(700)
        assert await get(m, "/jaeger/api/services") == []


@virtual_time
async def test_a_resource_is_read_once_for_all_its_records() -> None:
    async with logs() as m:
        request = log_request(m.now - NS)
        (part,) = request.resource_logs
        part.scope_logs[0].scope.name = "orders"
        for number in range(20_000):
            part.resource.attributes.add(key=f"a{number}").value.int_value = number
        record = part.scope_logs[0].log_records[0]
        record.event_name = "failed"
        record.attributes.add(key="host.name").value.string_value = "of the record"
        part.scope_logs[0].log_records.extend([record] * 99)
        packed, values = gzip.compress(request.SerializeToString()), Mock(wraps=value_of)
        with patch("services.logs_manager.otlp_logs.value_of", values):
            answer = await send(m, "/v1/logs", packed, headers={"content-encoding": "gzip"})
        assert answer.status_code == 200 and values.call_count < 1_000
        fits = '| scope_name="orders" | event_name="failed" | host_name="of the record" | a5="5"'
        assert len(await m.lines(f'{{service="shop"}} {fits}')) == 100


@virtual_time
async def test_a_small_body_of_records_does_not_become_gigabytes() -> None:
    async with logs() as m:
        for count, fields in ((MOST_ITEMS + 1, 0), (2_500, 8)):
            request = log_request(m.now - NS)
            (part,) = request.resource_logs
            for number in range(fields):
                part.resource.attributes.add(key=f"a{number}").value.string_value = "x" * 2_000
            part.scope_logs[0].log_records.extend([part.scope_logs[0].log_records[0]] * (count - 1))
            packed = gzip.compress(request.SerializeToString())
            answer = await send(m, "/v1/logs", packed, headers={"content-encoding": "gzip"})
            assert answer.status_code == 400, answer.content
