"""Dependencies of a service: what it waits for before it starts, and who waits for it. Reads only what the loop has
already seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from controller.reconcile.reconciler import Lister
from crds.conditions import ConditionType, DependencyFault
from crds.kind import key_of
from crds.kinds.service import SERVICE, MissingDependency, Service
from crds.kinds.worker import Worker
from crds.managed import ManagedService
from crds.meta import ObjectKey, is_true

_BECOMES = {
    DependencyFault.NOT_FOUND: "created",
    DependencyFault.DISABLED: "enabled",
    DependencyFault.NOT_READY: "Ready",
}


def needs_of(service: Service, managed: Mapping[str, ManagedService]) -> tuple[str, ...]:
    """Service names, the manifest's first, each once."""
    manifest = managed.get(service.spec.managed or "")
    # Manifests speak of folders (`notes_manager`), specs of Services (`notes-manager`).
    named = [each.replace("_", "-") for each in manifest.needs] if manifest else []
    return tuple(dict.fromkeys([*named, *service.spec.needs]))


def missing(service: Service, managed: Mapping[str, ManagedService], seen: Lister) -> list[MissingDependency]:
    """Dependencies that cannot be used now."""
    namespace = service.metadata.namespace or "default"
    found = ((name, _fault(seen.get(SERVICE, name, namespace))) for name in needs_of(service, managed))
    return [
        MissingDependency(name=name, reason=fault, managed=_folder(name, managed)) for name, fault in found if fault
    ]


def _fault(needed: Service | None) -> DependencyFault | None:
    if needed is None:
        return DependencyFault.NOT_FOUND
    if not needed.spec.enabled or needed.spec.replicas == 0:
        return DependencyFault.DISABLED
    return None if is_true(needed.status.conditions, ConditionType.READY) else DependencyFault.NOT_READY


def _folder(name: str, managed: Mapping[str, ManagedService]) -> str:
    return next((each.name for each in managed.values() if each.service_name == name), "")


def in_words(dependency: MissingDependency) -> str:
    """The end of the sentence "waiting for ..."."""
    return f"{dependency.name} to be {_BECOMES[DependencyFault(dependency.reason)]}"


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
        if special or here or choosy or not is_true(each.status.conditions, ConditionType.READY):
            yield key_of(SERVICE, each)
