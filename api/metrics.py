"""What the conductor counts, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from controller.store.records import Store


class _Calls(Collector):
    def __init__(self, counted: Mapping[str, int]) -> None:
        self._counted = counted

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily("aerekos_docker_calls", "What the runtime has asked Docker.", labels=["call"])
        for call, count in sorted(self._counted.items()):
            family.add_metric([call], count)
        yield family


class Metrics:
    """One registry per conductor, so that tests and two clouds in one process never mix."""

    def __init__(self, store: Store, docker_calls: Mapping[str, int] | None = None) -> None:
        """`docker_calls`: what the runtime has asked Docker, by kind; read when somebody asks."""
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "aerekos_http_requests", "Requests answered.", ("door", "method", "code"), registry=self.registry
        )
        self.seconds = Histogram(
            "aerekos_http_request_seconds",
            "Time to answer, watches excluded.",
            ("door",),
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=self.registry,
        )
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._timers: dict[str, Histogram] = {}
        revision = Gauge("aerekos_store_revision", "Newest revision of the store.", registry=self.registry)
        revision.set_function(lambda: store.revision)
        if docker_calls is not None:
            self.registry.register(_Calls(docker_calls))

    def note(self, door: str, method: str, code: int, seconds: float | None) -> None:
        """One request was answered. Looking a series up by its labels costs more than counting, so they are kept."""
        key = (door, method, code)
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = self.requests.labels(door, method, str(code))
        counter.inc()
        if seconds is not None:
            timer = self._timers.get(door)
            if timer is None:
                timer = self._timers[door] = self.seconds.labels(door)
            timer.observe(seconds)

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self.registry)
