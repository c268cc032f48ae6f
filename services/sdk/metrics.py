"""Prometheus metrics every managed service has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from services.sdk.trace_collector import TraceCollector

if TYPE_CHECKING:
    from controller.reconcile.metrics import LoopMetrics
    from services.sdk.loop_collector import LoopCollector

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"})


class ServiceMetrics:
    """Requests and how long they took, in seconds. Authors add their own to `registry`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._loop: LoopCollector | None = None
        self.registry.register(TraceCollector())
        self._counters: dict[tuple[str, int], Counter] = {}
        self._requests = Counter(
            "aerekos_service_requests",
            "Requests by method and HTTP code.",
            ("method", "code"),
            registry=self.registry,
        )
        self._calls = Counter(
            "aerekos_service_client_requests",
            "Requests to other services by what came of them; each try counts.",
            ("service", "outcome"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "aerekos_service_request_seconds",
            "Time until the last byte of the answer.",
            registry=self.registry,
            buckets=_BUCKETS,
        )

    def record_request(self, method: str, code: int, seconds: float) -> None:
        """Count one request."""
        counter = self._counters.get((method, code))
        if counter is None:
            known = method if method in _METHODS else "other"
            counter = self._requests.labels(known, str(code))
            if known == method:  # others are made up by clients, and without end
                self._counters[method, code] = counter
        counter.inc()
        self._seconds.observe(seconds)

    def record_call(self, service: str, outcome: str) -> None:
        """Count what came of a request to another service."""
        self._calls.labels(service, outcome).inc()

    def watch_loop(self, loop: LoopMetrics) -> None:
        """Tell of this loop too, in place of an earlier one."""
        from services.sdk.loop_collector import LoopCollector

        if self._loop is None:
            self._loop = LoopCollector(loop)
            self.registry.register(self._loop)
        self._loop.loop = loop

    def text(self) -> tuple[bytes, str]:
        """The exposition and its content type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
