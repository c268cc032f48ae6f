"""The conductor's loop: the reconcilers of the core kinds, and who wakes them from outside the resources."""

from __future__ import annotations

from typing import Any

from controller.client.local import LocalResources
from controller.main.bootstrap import SYSTEM_CONDUCTOR
from controller.main.components import Components
from controller.main.runtime_selection import Runtime
from controller.reconcile.loop import Loop
from controller.reconcile.reconciler import Reconciler
from controller.reconcilers.backup import BackupJobs, BackupReconciler
from controller.reconcilers.backup_schedule import BackupScheduleReconciler
from controller.reconcilers.definition import DefinitionReconciler
from controller.reconcilers.namespace import NamespaceReconciler
from controller.reconcilers.quota import QuotaReconciler
from controller.reconcilers.service import ServiceReconciler
from controller.reconcilers.worker import WorkerReconciler
from controller.reconcilers.worker_removal import WorkerRemoval
from controller.runtime.driver import RuntimeEvent
from crds.kind import KubeObject
from crds.kinds.service import SERVICE
from crds.kinds.worker import WORKER


def make_loop(components: Components, runtime: Runtime, jobs: BackupJobs) -> Loop:
    """The loop with its reconcilers. What the driver sees wakes the reconcilers and is told as Events."""
    managed = {service.name: service for service in components.services}
    in_swarm = runtime.swarm if components.settings.stack else None
    leaving = WorkerRemoval(in_swarm, components.leases, components.peers) if in_swarm else None
    reconcilers: list[Reconciler[Any]] = [
        NamespaceReconciler(components.registry.catalog),
        DefinitionReconciler(components.registry.catalog),
        QuotaReconciler(components.registry.admission.quotas.used),
        BackupReconciler(jobs),
        BackupScheduleReconciler(jobs),
        WorkerReconciler(components.leases, leaving),
        ServiceReconciler(
            runtime.driver,
            managed,
            runtime.environment,
            reach=runtime.reach,
            endpoints=components.endpoints,
            activations=components.activations,
            exists=lambda kind: bool(components.registry.store.list(kind.group, kind.plural).records),
        ),
    ]
    loop = Loop(
        LocalResources(components.registry, SYSTEM_CONDUCTOR),
        components.clock,
        reconcilers,
        components.rng,
        component="conductor",
    )

    def hear(news: RuntimeEvent) -> None:
        loop.enqueue(news.key)
        record = components.registry.store.get(news.key)
        about = components.registry.quarantine.read(SERVICE, record) if record is not None else None
        if about is not None:
            loop.events.record(about, news.reason, news.message, warning=news.warning)

    def forget(change: str, worker: KubeObject, before: KubeObject | None) -> None:
        if change == "DELETED":
            components.leases.forget(worker.metadata.name)
            components.peers.forget(worker.metadata.name)

    def report(about: KubeObject, reason: str, message: str) -> None:
        loop.events.record(about, reason, message, warning=True)

    components.activations.enqueue = loop.enqueue
    components.registry.quarantine.report_to(report)
    runtime.driver.on_event(hear)
    loop.seen.of(WORKER).listen(forget)
    return loop
