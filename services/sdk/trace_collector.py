"""What became of this process's spans, as a Prometheus metric; without series while nothing is traced."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from controller.kit import tracing


class TraceCollector(Collector):
    """Reads the sender of this process."""

    def collect(self) -> Iterator[Metric]:
        text = "Spans a collector has taken, and spans it has not. Those dropped from a full queue are in neither."
        spans = CounterMetricFamily("aerekos_trace_spans", text, labels=("result",))
        if (sender := tracing.tracing()) is not None:
            spans.add_metric(("exported",), sender.sent.exported)
            spans.add_metric(("failed",), sender.sent.failed)
        yield spans
