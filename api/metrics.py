"""What the conductor counts, for Prometheus.

Requests are counted on the event loop alone, in plain numbers: the library's own counters take a lock for each step
of each series, which every request would pay for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from controller.store.records import Store

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds in seconds; what takes longer is in one more."""


class _Calls(Collector):
    def __init__(self, counted: Mapping[str, int]) -> None:
        self._counted = counted

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily("aerekos_docker_calls", "What the runtime has asked Docker.", labels=["call"])
        for call, count in sorted(self._counted.items()):
            family.add_metric([call], count)
        yield family


class _Times:
    """How long answers took: how many in each bucket, and the sum."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts, self.sum = [0] * (len(BUCKETS) + 1), 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.sum += seconds


class _Requests(Collector):
    def __init__(self) -> None:
        self.answered: Counter[tuple[str, str, int]] = Counter()
        self.times: dict[str, _Times] = {}

    def collect(self) -> Iterator[Metric]:
        answered = CounterMetricFamily(
            "aerekos_http_requests", "Requests answered.", labels=("handler", "method", "code")
        )
        for (handler, method, code), count in sorted(self.answered.items()):
            answered.add_metric((handler, method, str(code)), count)
        yield answered
        seconds = HistogramMetricFamily(
            "aerekos_http_request_seconds", "Time to answer, watches excluded.", labels=("handler",)
        )
        bounds = [*map(floatToGoString, BUCKETS), "+Inf"]
        for handler, times in sorted(self.times.items()):
            seconds.add_metric((handler,), list(zip(bounds, accumulate(times.counts), strict=True)), times.sum)
        yield seconds


class Metrics:
    """One registry per conductor, so that tests and two clouds in one process never mix."""

    def __init__(
        self,
        store: Store,
        docker_calls: Mapping[str, int] | None = None,
        unreadable: Callable[[], int] = lambda: 0,
    ) -> None:
        """`docker_calls`: what the runtime has asked Docker, by kind; `unreadable`: how many stored records this
        version cannot read. Both are read when somebody asks.
        """
        self.registry = CollectorRegistry()
        self._requests = _Requests()
        self.registry.register(self._requests)
        revision = Gauge("aerekos_store_revision", "Newest revision of the store.", registry=self.registry)
        revision.set_function(lambda: store.revision)
        text = "Stored records that this version cannot read, and leaves alone."
        Gauge("aerekos_unreadable_records", text, registry=self.registry).set_function(unreadable)
        self._audit = Gauge(
            "aerekos_audit_problems", "What is wrong with the audit log now; 0: nothing.", registry=self.registry
        )
        if docker_calls is not None:
            self.registry.register(_Calls(docker_calls))

    def watch_audit(self, problems: Callable[[], int]) -> None:
        """How many problems the audit log has is asked when somebody looks."""
        self._audit.set_function(problems)

    def note(self, handler: str, method: str, code: int, seconds: float | None) -> None:
        """One request was answered; `seconds` None for one that goes on, like a watch."""
        self._requests.answered[handler, method, code] += 1
        if seconds is not None:
            times = self._requests.times.get(handler)
            if times is None:
                times = self._requests.times[handler] = _Times()
            times.add(seconds)

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self.registry)
