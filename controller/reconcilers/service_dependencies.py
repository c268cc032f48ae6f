"""What a service waits for before it starts, and who waits for it. Reads only what the loop has already seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from controller.reconcile.reconciler import Lister
from crds.kind import key_of
from crds.kinds.service import SERVICE, Service
from crds.kinds.worker import Worker
from crds.managed import ManagedService
from crds.meta import ObjectKey, is_true


def needs_of(service: Service, managed: Mapping[str, ManagedService]) -> tuple[str, ...]:
    """Service names, the manifest's first, each once."""
    manifest = managed.get(service.spec.managed or "")
    # Manifests speak of folders (`key_manager`), specs of Services (`key-manager`).
    named = [each.replace("_", "-") for each in manifest.needs] if manifest else []
    return tuple(dict.fromkeys([*named, *service.spec.needs]))


def missing(service: Service, managed: Mapping[str, ManagedService], seen: Lister) -> tuple[str, ...]:
    """What is not there yet, as ends of the sentence "waiting for ..."."""
    namespace = service.metadata.namespace or "default"
    found = (_fault(each, seen.get(SERVICE, each, namespace)) for each in needs_of(service, managed))
    return tuple(each for each in found if each)


def _fault(name: str, needed: Service | None) -> str | None:
    if needed is None:
        return f"{name} to be created"
    if not needed.spec.enabled or needed.spec.replicas == 0:
        return f"{name} to be enabled"
    return None if is_true(needed.status.conditions, "Ready") else f"{name} to be Ready"


def dependents(changed: Service, seen: Lister, managed: Mapping[str, ManagedService]) -> Iterator[ObjectKey]:
    """The services that need `changed`."""
    namespace = changed.metadata.namespace or "default"
    for each in seen.list(SERVICE, namespace):
        if changed.metadata.name in needs_of(each, managed):
            yield key_of(SERVICE, each)


def affected(changed: Worker, seen: Lister) -> Iterator[ObjectKey]:
    """The services a worker's change may help or hurt: those not Ready, those with a copy on it, daemons, and all
    that its cordon or taints keep away, or its labels attract.
    """
    special = changed.spec.unschedulable or bool(changed.spec.taints)
    for each in seen.list(SERVICE):
        here = any(instance.worker == changed.metadata.name for instance in each.status.instances)
        choosy = bool(each.spec.placement.worker_selector) or each.spec.mode == "daemon"
        if special or here or choosy or not is_true(each.status.conditions, "Ready"):
            yield key_of(SERVICE, each)
