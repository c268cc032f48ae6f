"""Spans: nothing without an endpoint, one tree with one, and a collector that is away is nobody's trouble."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from clouds import REPOSITORY, a_port
from collector import Collector

from controller.kit import tracing
from controller.kit.otlp import QUEUE
from services.sdk.metrics import ServiceMetrics

REMOTE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
HEAVY = ("opentelemetry.sdk", "opentelemetry.exporter", "google.protobuf")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector().running() as running:
        yield running


@pytest.fixture(autouse=True)
def untraced() -> Iterator[None]:
    yield
    tracing.stop(0)


def test_without_an_endpoint_there_are_no_spans_and_no_header() -> None:
    with tracing.span("anything") as span:
        span.note("a", 1)
        assert tracing.child("below") is tracing.within(None, "elsewhere", ()) is span is tracing.NO_SPAN
    assert (tracing.traceparent(), tracing.current()) == (None, None)
    headers = [(b"traceparent", REMOTE)]
    assert tracing.with_traceparent(headers) is headers


def test_neither_conductor_nor_service_imports_the_sdk_before_it_is_told_to() -> None:
    """It is 8 MiB and a fifth of a second, which a start and an idle process do not pay."""
    program = (
        "import sys, controller.main.conductor, services.sdk.run, services.sdk.metrics, controller.reconcile.loop\n"
    )
    program += f"print([name for name in sys.modules if name.startswith({HEAVY!r})])"
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert said.stdout.strip() == "[]"


def test_spans_form_one_tree_under_the_one_that_was_named(collector: Collector) -> None:
    tracing.start(collector.url, "test", instance="test-0")
    with tracing.span("outer", "server", parent=REMOTE) as outer:
        outer.note("a", "b")
        sent_on = tracing.with_traceparent([(b"x", b"y"), (b"traceparent", b"old")])
        with tracing.child("inner", "client"):
            pass
    tracing.stop(10)
    inner, outer_ = collector.spans
    assert collector.paths == {"/v1/traces"}
    assert (outer_.name, outer_.service, outer_.attributes) == ("outer", "test", {"a": "b"})
    assert outer_.trace == inner.trace == REMOTE[3:35].decode()
    assert (outer_.parent, inner.parent) == (REMOTE[36:52].decode(), outer_.id)
    assert sent_on == [(b"x", b"y"), (b"traceparent", f"00-{outer_.trace}-{outer_.id}-01".encode())]


def test_a_trace_that_is_not_sampled_is_not_recorded_and_says_so_further_on(collector: Collector) -> None:
    tracing.start(collector.url, "test")
    with tracing.span("outer", "server", parent=REMOTE[:-2] + b"00"), tracing.child("inner"):
        assert (tracing.traceparent() or b"")[-3:] == b"-00"
    with tracing.span("sampled"):
        pass
    tracing.stop(10)
    assert [each.name for each in collector.spans] == ["sampled"]


@pytest.mark.parametrize("odd", [b"", b"00-xyz", REMOTE + b"-", b"\xff"])
def test_a_header_that_is_none_begins_a_trace(collector: Collector, odd: bytes) -> None:
    tracing.start(collector.url, "test")
    with tracing.span("outer", "server", parent=odd):
        pass
    tracing.stop(10)
    (only,) = collector.spans
    assert only.parent == ""


def test_an_error_fails_its_span_without_its_words_and_a_cancellation_does_not(collector: Collector) -> None:
    tracing.start(collector.url, "test")
    with pytest.raises(ValueError), tracing.span("broken"):
        raise ValueError("hunter2")
    with pytest.raises(KeyboardInterrupt), tracing.span("ended"):
        raise KeyboardInterrupt
    tracing.stop(10)
    assert [(each.name, each.failed) for each in collector.spans] == [("broken", True), ("ended", False)]
    assert "hunter2" not in repr(collector.spans)


def test_tasks_do_not_see_each_others_spans(collector: Collector) -> None:
    tracing.start(collector.url, "test")

    async def request(name: str, both: anyio.Event, here: anyio.Event) -> None:
        with tracing.span(name):
            here.set()
            await both.wait()
            with tracing.child(f"{name}'s"):
                await anyio.lowlevel.checkpoint()

    async def story() -> None:
        a, b = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(request, "a", b, a)
            tasks.start_soon(request, "b", a, b)

    anyio.run(story)
    tracing.stop(10)
    spans = {each.name: each for each in collector.spans}
    assert spans["a's"].parent == spans["a"].id
    assert spans["b's"].parent == spans["b"].id
    assert spans["a"].trace != spans["b"].trace


def test_while_the_collector_is_away_nothing_waits_and_memory_is_bounded() -> None:
    reports: list[tuple[bool, str]] = []
    tracing.start(f"http://127.0.0.1:{a_port()}", "test", report=lambda *told: reports.append(told))
    began = time.process_time()
    for _ in range(3 * QUEUE):
        with tracing.span("lost"):
            pass
    # CPU, not time: what waited for a connection would have spent none. A span costs tens of microseconds.
    assert time.process_time() - began < 30
    sender: Any = tracing.tracing()
    assert len(sender._provider._active_span_processor._span_processors[0]._batch_processor._queue) <= QUEUE
    tracing.stop(0)
    assert [taken for taken, _ in reports] in ([], [False])


def test_it_is_reported_once_that_the_collector_refuses_and_once_that_it_is_back(collector: Collector) -> None:
    reports: list[tuple[bool, str]] = []
    tracing.start(collector.url, "test", report=lambda *told: reports.append(told))
    sender: Any = tracing.tracing()
    collector.code = 400
    for code in (400, 400, 200, 200):
        collector.code = code
        with tracing.span(str(code)):
            pass
        sender._provider.force_flush()
    tracing.stop(10)
    assert [each.name for each in collector.spans] == ["200", "200"]
    assert [taken for taken, _ in reports] == [False, True]
    assert reports[1][1].endswith("2 were lost")
    assert (sender.sent.exported, sender.sent.failed) == (2, 2)


def test_what_became_of_spans_is_a_metric_where_there_are_any(collector: Collector) -> None:
    metrics = ServiceMetrics()
    assert b"aerekos_trace_spans_total{" not in metrics.text()[0]
    tracing.start(collector.url, "test")
    with tracing.span("taken"):
        pass
    sender: Any = tracing.tracing()
    sender._provider.force_flush()
    lines = metrics.text()[0].splitlines()
    assert b'aerekos_trace_spans_total{result="exported"} 1.0' in lines
    assert b'aerekos_trace_spans_total{result="failed"} 0.0' in lines
