"""What this service tells of itself."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

Amounts = Callable[[], tuple[int, int, int]]


class MetricsMetrics:
    """Read when somebody asks. `amounts`: series, samples in memory, bytes on the disk."""

    def __init__(self, registry: CollectorRegistry, amounts: Amounts) -> None:
        series = Gauge("aerekos_metrics_series", "Series that are known.", registry=registry)
        series.set_function(lambda: amounts()[0])
        newest = Gauge("aerekos_metrics_samples_in_memory", "Samples that are not in chunks yet.", registry=registry)
        newest.set_function(lambda: amounts()[1])
        size = Gauge("aerekos_metrics_disk_bytes", "What samples took when last looked.", registry=registry)
        size.set_function(lambda: amounts()[2])
