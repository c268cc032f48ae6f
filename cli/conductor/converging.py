"""The conductor's loop: the reconcilers of the core kinds, and who wakes them from outside the resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from cli.conductor.house import House
from cli.founding import FOUNDER
from controller.kit.files import write_private
from controller.loop.reconciler import Reconciler
from controller.loop.supervisor import Loop
from controller.reconcilers.definition import DefinitionReconciler
from controller.reconcilers.namespace import NamespaceReconciler
from controller.reconcilers.service import ServiceReconciler
from controller.reconcilers.worker import WorkerReconciler
from controller.resources.local import LocalResources
from controller.runtime.driver import Driver, News
from crds.kind import Manifest
from crds.kinds.service import SERVICE, Service
from crds.kinds.worker import WORKER
from crds.managed import ManagedService


def make_loop(house: House, driver: Driver) -> Loop:
    """What the driver sees wakes the reconcilers and is told as Events."""
    managed = {service.name: service for service in house.services}
    reconcilers: list[Reconciler[Any]] = [
        NamespaceReconciler(house.registry.catalog),
        DefinitionReconciler(house.registry.catalog),
        WorkerReconciler(house.leases),
        ServiceReconciler(driver, managed, _Environment(house), reach=frozenset({house.worker})),
    ]
    loop = Loop(LocalResources(house.registry, FOUNDER), house.clock, reconcilers, house.rng, component="conductor")

    def hear(news: News) -> None:
        loop.look(news.key)
        record = house.registry.store.get(news.key)
        if record is not None:
            about: Manifest = SERVICE.parse(record.body)
            loop.events.tell(about, news.reason, news.message, warning=news.warning)

    def forget(change: str, worker: Manifest, before: Manifest | None) -> None:
        if change == "DELETED":
            house.leases.forget(worker.metadata.name)

    driver.on_news(hear)
    loop.seen.of(WORKER).listen(forget)
    return loop


class _Environment:
    """What a managed service's process is told: where the API is, and how to prove itself to it."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def __call__(self, service: Service, manifest: ManagedService | None) -> Mapping[str, str]:
        if manifest is None:
            return {}
        house, name = self._house, service.metadata.name
        client = f"service:{name}"
        secret = house.accounts.client_secret(client, SERVICE.key(name, service.metadata.namespace))
        file = house.home / "credentials" / f"{name}.json"
        content = orjson.dumps({"clientId": client, "clientSecret": secret})
        if not file.exists() or file.read_bytes() != content:
            write_private(file, content)
        secrets = {
            f"AEREKOS_SECRET_{each.upper().replace('-', '_')}": str(house.home / "secrets" / each)
            for each in manifest.secrets
        }
        return {
            "AEREKOS_API": house.settings.url,
            "AEREKOS_CA": str(house.authority.ca_file),
            "AEREKOS_CREDENTIAL": str(file),
            **secrets,
        }
