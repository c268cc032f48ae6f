"""The reconcile loop's counters as Prometheus metrics: of the conductor's loop, and of each managed service's.

Nothing is made before somebody asks. Names follow controller-runtime's, with our prefix; docs/observability.md says
what each one means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from controller.kit.distribution import Distribution
from controller.reconcile.metrics import ControllerState, LoopMetrics

Newest = Callable[[str, str], int]
_KIND = ("kind",)


def cumulative_buckets(distribution: Distribution) -> list[tuple[str, float]]:
    """Buckets as `HistogramMetricFamily` wants them."""
    bounds = [*map(floatToGoString, distribution.bounds), "+Inf"]
    return list(zip(bounds, map(float, distribution.cumulative()), strict=True))


class LoopCollector(Collector):
    """Reads `loop`. `newest`: the newest revision of a kind (group, plural) in the store, where that is known."""

    def __init__(self, loop: LoopMetrics, newest: Newest | None = None) -> None:
        self.loop, self._newest = loop, newest

    def collect(self) -> Iterator[Metric]:
        controllers = list(self.loop.controllers())
        yield from _passes(controllers)
        yield from _queues(controllers)
        yield from self._informers()

    def _informers(self) -> Iterator[Metric]:
        held = GaugeMetricFamily("aerekos_informer_resources", "Resources in the loop's own copy.", labels=_KIND)
        text = "For how long the copy has had no watch; 0: it follows."
        away = GaugeMetricFamily("aerekos_informer_disconnected_seconds", text, labels=_KIND)
        text = "Revisions from the last change the copy knows to the newest of that kind."
        lag = GaugeMetricFamily("aerekos_informer_lag_revisions", text, labels=_KIND)
        for each in sorted(self.loop.informers(), key=lambda one: one.kind):
            held.add_metric((each.kind,), each.resources)
            away.add_metric((each.kind,), each.disconnected_seconds)
            if self._newest is not None:
                lag.add_metric((each.kind,), each.lag(self._newest(each.group, each.plural)))
        yield from (held, away)
        if self._newest is not None:
            yield lag


def _passes(controllers: list[ControllerState]) -> Iterator[Metric]:
    passes = CounterMetricFamily("aerekos_reconcile", "Passes over one resource.", labels=("kind", "result"))
    seconds = HistogramMetricFamily("aerekos_reconcile_time_seconds", "Time of a pass, status written.", labels=_KIND)
    errors = CounterMetricFamily("aerekos_reconcile_errors", "Passes that failed.", labels=_KIND)
    for each in controllers:
        for how, count in each.passes.results.items():
            passes.add_metric((each.kind, how), count)
        errors.add_metric((each.kind,), each.passes.failed)
        times = each.passes.seconds
        seconds.add_metric((each.kind,), cumulative_buckets(times), times.sum)
    yield from (passes, errors, seconds)


def _queues(controllers: list[ControllerState]) -> Iterator[Metric]:
    depth = GaugeMetricFamily("aerekos_workqueue_depth", "Keys that wait for a worker.", labels=_KIND)
    delayed = GaugeMetricFamily("aerekos_workqueue_delayed", "Keys whose time has not come.", labels=_KIND)
    working = GaugeMetricFamily("aerekos_reconcile_active", "Passes under way.", labels=_KIND)
    text = "For how long the first of the keys that wait for a worker has done so."
    oldest = GaugeMetricFamily("aerekos_workqueue_oldest_key_seconds", text, labels=_KIND)
    retries = CounterMetricFamily("aerekos_workqueue_retries", "Passes put off with backoff.", labels=_KIND)
    for each in controllers:
        depth.add_metric((each.kind,), each.queue.depth)
        delayed.add_metric((each.kind,), each.queue.delayed)
        working.add_metric((each.kind,), each.queue.working)
        oldest.add_metric((each.kind,), each.queue.oldest_seconds)
        retries.add_metric((each.kind,), each.passes.retries)
    yield from (depth, delayed, working, oldest, retries)
