"""What is scraped is asked for; tenants see their own; remote write is durable and refuses what it cannot keep."""

from __future__ import annotations

import gzip
from typing import Any

import cramjam
import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from crds.errors import BadRequest
from crds.lent_rights import LentRight
from services.metrics_manager import otlp, queries, remote_write
from services.metrics_manager.kinds import SCRAPE_TARGET, ScrapeTargetSpec
from services.metrics_manager.remote_write import RemoteWrites, message_class
from services.metrics_manager.tests.in_memory import Metrics, metrics
from services.sdk.testing import User
from services.sdk.testing.virtual import virtual_time

INSTANCE = {"namespace": "default", "service": "notes-manager", "instance": "notes-manager-0", "managed": True}
PAGE = "/metrics/instances/default/notes-manager/notes-manager-0"
WRITE = {"content-encoding": "snappy", "content-type": "application/x-protobuf"}


def spec_of(**more: Any) -> ScrapeTargetSpec:
    return ScrapeTargetSpec.model_validate({"target": {"url": "https://shop.example.com/metrics"}, **more})


def only_in(namespace: str) -> Any:
    """A judge: others may what they ask in that namespace alone."""
    return lambda user, wanted: user != "eve" or wanted["namespace"] == namespace


def written(*series: tuple[dict[str, str], float, int]) -> bytes:
    request = message_class("WriteRequest")()
    for labels, value, at in series:
        added = request.timeseries.add()
        for name, text in labels.items():
            added.labels.append(message_class("Label")(name=name, value=text).SerializeToString())
        added.samples.add(value=value, timestamp=at)
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


def exported(at: float) -> bytes:
    """What the SDK of OpenTelemetry sends of three instruments, at that moment."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], Resource({"service.name": "shop"}), shutdown_on_exit=False)
    meter = provider.get_meter("m")
    meter.create_counter("http.requests").add(3, {"path": "/a"})
    meter.create_up_down_counter("queue.length").add(7)
    wait = meter.create_histogram("wait", "s", explicit_bucket_boundaries_advisory=[1.0])
    wait.record(0.5)
    wait.record(2.0)
    data = reader.get_metrics_data()
    assert data is not None
    request = encode_metrics(data)
    for metric in (each for r in request.resource_metrics for scope in r.scope_metrics for each in scope.metrics):
        for point in getattr(metric, metric.WhichOneof("data") or "").data_points:
            point.time_unix_nano = int(at * 1e9)
    content: bytes = request.SerializeToString()
    return content


async def write(m: Metrics, labels: dict[str, str], value: float, user: User | None = None) -> int:
    at = round(m.service.context.clock.now().timestamp() * 1000)
    return (await m.post("/api/v1/write", written((labels, value, at)), WRITE, user)).status_code


@virtual_time
async def test_the_platform_is_scraped_unasked_and_what_stops_is_stale() -> None:
    async with metrics() as m:
        m.outside.instances = [INSTANCE]
        m.outside.pages[PAGE] = "# TYPE notes_total counter\n# HELP notes_total Notes.\nnotes_total 4.0\n"
        await m.advance(25)
        assert await m.value("notes_total") == 4
        assert await m.value('up{job="notes-manager"}') == 1
        assert await m.ask("metadata", metric="notes_total") == {
            "notes_total": [{"type": "counter", "help": "Notes.", "unit": ""}]
        }
        del m.outside.pages[PAGE]
        await m.advance(11)
        assert await m.value("notes_total") is None
        assert await m.value('up{job="notes-manager"}') == 0
        m.outside.instances = []
        await m.advance(11)
        assert await m.value('up{job="notes-manager"}') is None


@virtual_time
async def test_a_target_says_how_it_goes_and_cannot_take_other_names() -> None:
    async with metrics() as m:
        spec = spec_of(labels={"team": "shop"})
        made = SCRAPE_TARGET.new("shop", namespace="shop", spec=spec)
        await m.service.resources.create(SCRAPE_TARGET, made)
        m.outside.pages["shop.example.com"] = 'orders{namespace="default",job="x"} 3\n'
        await m.advance(5)
        found = (await m.ask("query", query="orders"))["result"][0]["metric"]
        assert (found["namespace"], found["exported_namespace"], found["team"]) == ("shop", "default", "shop")
        assert (await m.service.resources.get(SCRAPE_TARGET, "shop", "shop")).status.phase == "Up"
        m.outside.pages["shop.example.com"] = "not metrics at all {{{\n"
        await m.advance(31)
        status = (await m.service.resources.get(SCRAPE_TARGET, "shop", "shop")).status
        assert status.phase == "Down" and "is no sample" in status.error
        assert await m.value("orders") is None


@virtual_time
async def test_a_burst_of_samples_is_no_answer() -> None:
    async with metrics() as m:
        spec = spec_of(sampleLimit=2)
        await m.service.resources.create(SCRAPE_TARGET, SCRAPE_TARGET.new("shop", namespace="shop", spec=spec))
        m.outside.pages["shop.example.com"] = "a 1\nb 1\nc 1\n"
        await m.advance(5)
        status = (await m.service.resources.get(SCRAPE_TARGET, "shop", "shop")).status
        assert status.error == "there are more than 2 samples, which is the limit"


@virtual_time
async def test_a_tenant_sees_and_writes_what_is_theirs() -> None:
    async with metrics() as m:
        m.service.conductor.judge = only_in("eves")
        eve = User("eve", namespace="eves")
        assert await write(m, {"__name__": "x", "namespace": "default"}, 1.0) == 204
        assert await write(m, {"__name__": "x", "namespace": "default"}, 2.0, eve) == 204
        assert await m.value("x", eve) == 2
        assert await m.value('x{namespace="default"} or y', eve) is None
        assert await m.ask("label/namespace/values", eve) == ["eves"]
        assert await m.ask("label/namespace/values") == ["default", "eves"]
        assert [each["namespace"] for each in await m.ask("series", eve, **{"match[]": "x"})] == ["eves"]
        assert (await m.ask("targets", eve))["activeTargets"] == []


@virtual_time
async def test_who_may_not_list_is_told_nothing_and_who_may_not_create_writes_nothing() -> None:
    async with metrics() as m:
        m.service.conductor.refuse("eve", "list")
        assert (await m.ask("query", User("eve"), query="up"))["code"] == 403
        m.service.conductor.refuse("eve", "create")
        assert await write(m, {"__name__": "x"}, 1.0, User("eve")) == 403


@virtual_time
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"not snappy", "snappy"),
        (bytes(cramjam.snappy.compress_raw(b"\xff\xff\xff")), "WriteRequest"),
        (written(({"job": "x"}, 1.0, 0)), "no __name__"),
        (written(({"__name__": "x"}, 1.0, 0)), "older than samples are kept"),
    ],
)
async def test_what_cannot_be_kept_is_refused_for_good(body: bytes, words: str) -> None:
    async with metrics() as m:
        answer = await m.post("/api/v1/write", body, WRITE)
        assert answer.status_code == 400 and words in answer.json()["error"]


def test_labels_that_are_known_are_those_that_were_read() -> None:
    writes, body = RemoteWrites(), written(({"__name__": "x", "namespace": "a"}, 1.0, 5))
    first = writes.samples(body, None)
    assert writes.samples(body, None) == first
    assert dict(writes.samples(body, "b")[0].labels) == {"__name__": "x", "namespace": "b"}
    assert writes.samples(body, None) == first


@virtual_time
async def test_what_an_opentelemetry_sdk_says_is_kept_under_prometheus_names() -> None:
    async with metrics() as m:
        at = m.service.context.clock.now().timestamp()
        answer = await m.post("/v1/metrics", exported(at), {"content-type": "application/x-protobuf"})
        assert (answer.status_code, answer.content) == (200, b"")
        assert await m.value('http_requests_total{job="shop",path="/a"}') == 3
        assert await m.value('queue_length{job="shop"}') == 7
        assert await m.value('wait_seconds_bucket{le="1"}') == 1
        assert await m.value('wait_seconds_bucket{le="+Inf"}') == 2
        assert await m.value("wait_seconds_sum") == 2.5


@virtual_time
async def test_what_otlp_has_and_this_has_not_is_rejected_in_words() -> None:
    async with metrics() as m:
        at = m.service.context.clock.now().timestamp()
        body = exported(at).replace(b"\x10\x02", b"\x10\x01")  # aggregation_temporality: delta
        answer = await m.post("/v1/metrics", body, {"content-type": "application/x-protobuf"})
        told = ExportMetricsServiceResponse.FromString(answer.content).partial_success
        assert told.rejected_data_points == 3 and "deltas are not kept here" in told.error_message
        answer = await m.post("/v1/metrics", b"{}", {"content-type": "application/json"})
        assert answer.status_code == 415
        bomb = gzip.compress(bytes(20 << 20))
        headers = {"content-type": "application/x-protobuf", "content-encoding": "gzip"}
        assert (await m.post("/v1/metrics", bomb, headers)).status_code == 413


@virtual_time
async def test_an_export_of_too_much_is_refused_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    async with metrics() as m:
        body = exported(m.service.context.clock.now().timestamp())
        for bound in ("MOST_SAMPLES", "MOST_LABELS"):
            with monkeypatch.context() as patched:
                patched.setattr(otlp, bound, 5)
                patched.setattr(otlp, "_points", None)
                answer = await m.post("/v1/metrics", body, {"content-type": "application/x-protobuf"})
            assert answer.status_code == 413 and "send_batch_max_size" in answer.text


@virtual_time
async def test_members_that_are_not_understood_are_refused() -> None:
    async with metrics() as m:
        assert "not understood here: colour" in (await m.ask("query", query="1", colour="red"))["error"]
        assert (await m.ask("query", query="1", time="yesterday"))["errorType"] == "bad_data"
        assert (await m.ask("query_range", query="1", start=1, end=2))["error"].startswith('invalid parameter "step"')


@virtual_time
async def test_how_long_and_how_far_back_is_asked_or_refused() -> None:
    async with metrics() as m:
        assert await write(m, {"__name__": "asked"}, 1.0) == 204
        await m.advance(120)
        assert (await m.ask("query", query="asked"))["result"]
        assert not (await m.ask("query", query="asked", lookback_delta="1m"))["result"]
        assert (await m.ask("query", query="asked", timeout="-1"))["errorType"] == "bad_data"
        assert "stats" in (await m.ask("query", query="asked", stats="all"))["error"]


def test_a_request_of_too_many_samples_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    body = written(({"__name__": "a"}, 1.0, 1), ({"__name__": "b"}, 1.0, 1))
    assert len(RemoteWrites().samples(body, None)) == 2
    for bound in ("MOST_SAMPLES", "MOST_LABELS"):
        with monkeypatch.context() as patched, pytest.raises(BadRequest, match="too much for one request"):
            patched.setattr(remote_write, bound, 1)
            RemoteWrites().samples(body, None)


def test_a_target_lends_the_right_to_ask_its_service() -> None:
    assert SCRAPE_TARGET.lends is not None
    assert [*SCRAPE_TARGET.lends({"target": {"service": "shop"}})] == [LentRight("get", "services/proxy", "shop")]
    assert [*SCRAPE_TARGET.lends({"target": {"url": "https://a.example"}})] == []


@virtual_time
async def test_series_are_those_of_the_time_that_is_asked_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """No sample is read for it, and it takes no longer than it may."""
    async with metrics() as m:
        assert await write(m, {"__name__": "early"}, 1.0) == 204
        await m.advance(100)
        assert await write(m, {"__name__": "late"}, 1.0) == 204
        now, match = m.service.context.clock.now().timestamp(), {"match[]": '{__name__=~"early|late"}'}
        found = await m.ask("series", None, **match, start=now - 50)
        assert [each["__name__"] for each in found] == ["late"]
        assert len(await m.ask("series", None, **match, start=1)) == 2
        assert (await m.ask("label/__name__/values", None, **match, start=now - 200, end=now - 50)) == ["early"]
        monkeypatch.setattr(queries, "SERIES_SECONDS", -1.0)
        refused = await m.ask("series", None, **match, start=1)
        assert refused["errorType"] == "timeout" and "name more of their labels" in refused["error"]
