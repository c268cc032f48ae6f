"""Metrics of the conductor, for Prometheus.

Requests are counted on the event loop alone, in plain numbers: the library's own counters take a lock for each step
of each series, which every request would pay for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from api.watch_metrics import WatchMetrics
from controller.kit.clock import Clock, SystemClock
from controller.kit.distribution import Distribution
from controller.reconcile.metrics import LoopMetrics
from controller.store.records import Store
from crds.kinds.backup import BACKUP_SCHEDULE
from services.sdk.loop_collector import LoopCollector, cumulative_buckets
from services.sdk.trace_collector import TraceCollector

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


class _StoreWrites(Collector):
    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        written = self._store.metrics
        batches = HistogramMetricFamily("aerekos_store_batch_changes", "Changes that shared one commit.", labels=())
        batches.add_metric((), cumulative_buckets(written.batches), written.batches.sum)
        text = "Time of a commit on its thread: the statements, and the fsync they share."
        commits = HistogramMetricFamily("aerekos_store_commit_seconds", text, labels=())
        commits.add_metric((), cumulative_buckets(written.commits), written.commits.sum)
        yield from (batches, commits)
        yield CounterMetricFamily("aerekos_store_failed_commits", "Commits the disk refused.", value=written.failed)


class _Watches(Collector):
    def __init__(self, watches: WatchMetrics) -> None:
        self._watches = watches

    def collect(self) -> Iterator[Metric]:
        now = GaugeMetricFamily("aerekos_watchers", "Clients that watch, by kind.", labels=("kind",))
        for kind, count in sorted(self._watches.by_kind.items()):
            now.add_metric((kind,), count)
        yield now
        text = "Times a watcher was too slow to be told with the others, and went on by itself."
        yield CounterMetricFamily("aerekos_watchers_slow", text, value=self._watches.slow)
        text = "Watches that ended because their history was gone (410): they list again."
        yield CounterMetricFamily("aerekos_watchers_expired", text, value=self._watches.expired)


class _Backups(Collector):
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    def collect(self) -> Iterator[Metric]:
        text = "How old the newest whole backup of each schedule is; nothing for one that has none."
        ages = GaugeMetricFamily("aerekos_backup_age_seconds", text, labels=("schedule",))
        for record in self._store.list(BACKUP_SCHEDULE.group, BACKUP_SCHEDULE.plural).records:
            if at := (record.object.get("status") or {}).get("lastBackupAt"):
                age = self._clock.now() - datetime.fromisoformat(at)
                ages.add_metric((record.key.name,), age.total_seconds())
        yield ages


class _Requests(Collector):
    def __init__(self) -> None:
        self.answered: Counter[tuple[str, str, int]] = Counter()
        self.times: dict[str, Distribution] = {}

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
        for handler, times in sorted(self.times.items()):
            seconds.add_metric((handler,), cumulative_buckets(times), times.sum)
        yield seconds


class Metrics:
    """One registry per conductor, so that tests and two clouds in one process never mix."""

    def __init__(
        self,
        store: Store,
        docker_calls: Mapping[str, int] | None = None,
        unreadable: Callable[[], int] = lambda: 0,
        *,
        loop: LoopMetrics | None = None,
        watches: WatchMetrics | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`docker_calls`: what the runtime has asked Docker, by kind; `unreadable`: how many stored records this
        version cannot read. All are read when somebody asks.
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
        self.registry.register(_StoreWrites(store))
        self.registry.register(_Backups(store, clock or SystemClock()))
        self.registry.register(TraceCollector())
        if docker_calls is not None:
            self.registry.register(_Calls(docker_calls))
        if loop is not None:
            self.registry.register(LoopCollector(loop, store.last))
        if watches is not None:
            self.registry.register(_Watches(watches))

    def watch_audit(self, problems: Callable[[], int]) -> None:
        """How many problems the audit log has is asked when somebody looks."""
        self._audit.set_function(problems)

    def note(self, handler: str, method: str, code: int, seconds: float | None) -> None:
        """One request was answered; `seconds` None for one that goes on, like a watch."""
        self._requests.answered[handler, method, code] += 1
        if seconds is not None:
            times = self._requests.times.get(handler)
            if times is None:
                times = self._requests.times[handler] = Distribution(BUCKETS)
            times.add(seconds)

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self.registry)
