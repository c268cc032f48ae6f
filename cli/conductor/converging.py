"""The conductor's loop: the reconcilers of the core kinds, and who wakes them from outside the resources."""

from __future__ import annotations

from typing import Any

from cli.conductor.house import House
from cli.conductor.runtimes import Runtime
from cli.founding import FOUNDER
from controller.reconcile.loop import Loop
from controller.reconcile.reconciler import Reconciler
from controller.reconcilers.definition import DefinitionReconciler
from controller.reconcilers.namespace import NamespaceReconciler
from controller.reconcilers.quota import QuotaReconciler
from controller.reconcilers.service import ServiceReconciler
from controller.reconcilers.worker import WorkerReconciler
from controller.reconcilers.worker_removal import WorkerRemoval
from controller.resources.local import LocalResources
from controller.runtime.driver import RuntimeEvent
from crds.kind import KubeObject
from crds.kinds.service import SERVICE
from crds.kinds.worker import WORKER


def make_loop(house: House, runtime: Runtime) -> Loop:
    """What the driver sees wakes the reconcilers and is told as Events."""
    managed = {service.name: service for service in house.services}
    in_swarm = runtime.swarm if house.settings.stack else None
    leaving = WorkerRemoval(in_swarm, house.leases, house.peers) if in_swarm else None
    reconcilers: list[Reconciler[Any]] = [
        NamespaceReconciler(house.registry.catalog),
        DefinitionReconciler(house.registry.catalog),
        QuotaReconciler(house.registry.admission.quotas.used),
        WorkerReconciler(house.leases, leaving),
        ServiceReconciler(
            runtime.driver, managed, runtime.environment, reach=runtime.reach, endpoints=house.endpoints
        ),
    ]
    loop = Loop(LocalResources(house.registry, FOUNDER), house.clock, reconcilers, house.rng, component="conductor")

    def hear(news: RuntimeEvent) -> None:
        loop.enqueue(news.key)
        record = house.registry.store.get(news.key)
        about = house.registry.quarantine.read(SERVICE, record) if record is not None else None
        if about is not None:
            loop.events.record(about, news.reason, news.message, warning=news.warning)

    def forget(change: str, worker: KubeObject, before: KubeObject | None) -> None:
        if change == "DELETED":
            house.leases.forget(worker.metadata.name)
            house.peers.forget(worker.metadata.name)

    def report(about: KubeObject, reason: str, message: str) -> None:
        loop.events.record(about, reason, message, warning=True)

    house.registry.quarantine.report_to(report)
    runtime.driver.on_event(hear)
    loop.seen.of(WORKER).listen(forget)
    return loop
