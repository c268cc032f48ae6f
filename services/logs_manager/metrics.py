"""What this service tells of itself."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

Amounts = Callable[[], tuple[int, int, int, int]]


class LogsMetrics:
    """Read when somebody asks. `amounts`: lines and bytes taken since the start, streams, bytes on the disk."""

    def __init__(self, registry: CollectorRegistry, amounts: Amounts) -> None:
        registry.register(_Taken(amounts))
        streams = Gauge("aerekos_logs_streams", "Log streams that are known.", registry=registry)
        streams.set_function(lambda: amounts()[2])
        size = Gauge("aerekos_logs_disk_bytes", "What lines took when last looked, compressed.", registry=registry)
        size.set_function(lambda: amounts()[3])


class _Taken(Collector):
    def __init__(self, amounts: Amounts) -> None:
        self._amounts = amounts

    def collect(self) -> list[Metric]:
        lines, size, _, _ = self._amounts()
        return [
            CounterMetricFamily("aerekos_logs_lines", "Lines that were taken, and are durable.", value=lines),
            CounterMetricFamily("aerekos_logs_bytes", "Bytes of lines that were taken.", value=size),
        ]
