"""docs/reference/metrics.md: every metric that is exported, from the collectors themselves."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import anyio
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from api.gateway_metrics import GatewayCounts
from api.metrics import Metrics
from api.watch_metrics import WatchMetrics
from controller.kit.clock import SystemClock
from controller.kit.threads import Threads
from controller.reconcile.metrics import ControllerState, InformerState
from controller.store.sql import open_store
from docs.generate.markdown import code, codes, page, table
from services.db_manager.metrics import DatabaseMetrics
from services.logs_manager.metrics import LogsMetrics
from services.metrics_manager.metrics import MetricsMetrics
from services.queue_manager.metrics import QueueMetrics, TopicMetrics
from services.schedule_manager.metrics import ScheduleMetrics
from services.sdk.metrics import ServiceMetrics
from services.secrets_manager.metrics import SecretsMetrics
from services.storage_manager.damaged_data import DamagedData
from services.storage_manager.metrics import CopyMetrics, ReplicationMetrics, StorageMetrics
from services.storage_manager.replication.followers import Followers
from services.webhook_manager.metrics import WebhookMetrics

LEAD = """\
What is exported for Prometheus, in the text format: by the conductor at `/metrics`, and by each instance of a managed
service at its own `/metrics`. Names are as they are scraped; a histogram has `_bucket`, `_sum` and `_count`."""
_SUFFIX = {"counter": "_total"}


class _IdleLoop:
    """A loop of no kinds: its metrics have names and no series."""

    def controllers(self) -> Iterable[ControllerState]:
        return ()

    def informers(self) -> Iterable[InformerState]:
        return ()


def metrics_page() -> str:
    """The conductor's, then those that every managed service has, then what one of them adds."""
    service = ServiceMetrics()
    service.watch_loop(_IdleLoop())
    storage = CollectorRegistry()
    StorageMetrics(storage, DamagedData())
    ReplicationMetrics(storage, Followers(lambda: 0.0))
    copy = CollectorRegistry()
    CopyMetrics(copy, lambda: 0)
    secrets = CollectorRegistry()
    SecretsMetrics(secrets)
    queues = CollectorRegistry()
    QueueMetrics(queues, lambda: ())
    TopicMetrics(queues)
    schedules = CollectorRegistry()
    ScheduleMetrics(schedules)
    webhooks = CollectorRegistry()
    WebhookMetrics(webhooks)
    metrics = CollectorRegistry()
    MetricsMetrics(metrics, lambda: (0, 0, 0))
    logs = CollectorRegistry()
    LogsMetrics(logs, lambda: (0, 0, 0, 0))
    databases = CollectorRegistry()
    DatabaseMetrics(databases)
    sections = [
        _section("Conductor", anyio.run(_conductor)),
        _section("Managed services", service.registry),
        _section("storage_manager", storage),
        _section("storage_replica", copy),
        _section("schedule_manager", schedules),
        _section("secrets_manager", secrets),
        _section("queue_manager", queues),
        _section("db_manager", databases),
        _section("webhook_manager", webhooks),
        _section("metrics_manager", metrics),
        _section("logs_manager", logs),
    ]
    return page("Metrics", LEAD, sections)


async def _conductor() -> CollectorRegistry:
    """Over a store of its own, which is empty and goes again."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "records.db"
        store = await open_store(f"sqlite:///{file}", threads=Threads(1), clock=SystemClock())
        try:
            registry = Metrics(store, {}, loop=_IdleLoop(), watches=WatchMetrics()).registry
            registry.register(GatewayCounts(lambda: 0.0))
            return registry
        finally:
            await store.close()


def _section(title: str, registry: CollectorRegistry) -> str:
    rows = [(code(name), *rest) for name, *rest in sorted(_rows(registry))]
    return f"## {title}\n\n{table(['Metric', 'Type', 'Labels', 'Meaning'], rows)}"


def _rows(registry: CollectorRegistry) -> Iterator[tuple[str, str, str, str]]:
    for collector in list(registry._collector_to_names):
        for family in collector.collect():
            name = f"{family.name}{_SUFFIX.get(family.type, '')}"
            yield name, family.type, codes(_labels(family, collector)), family.documentation


def _labels(family: Metric, collector: Collector) -> tuple[str, ...]:
    """Names of labels are known to a family that was made for one answer, else to what it was collected from."""
    own = getattr(family, "_labelnames", None)
    return tuple(own if own is not None else getattr(collector, "_labelnames", ()))
