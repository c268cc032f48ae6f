"""Activation of Services that run on demand: who is used, who may sleep, and what keeps one awake.

Uses are told by gateways. They are kept in memory alone: to a new conductor, what runs was just used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from controller.kit.clock import Clock
from controller.reconcile.outcome import Outcome
from controller.reconcile.reconciler import Lister
from controller.reconcilers.service_dependencies import needs_of
from crds.kind import Kind, KubeObject, key_of
from crds.kinds.service import SERVICE, Service
from crds.managed import ManagedService
from crds.meta import ObjectKey
from crds.phases import ServicePhase

HOME = "default"
"""The namespace of managed services, which is where gateways look for them."""
_NOT_AWAKE = (ServicePhase.SCALED_TO_ZERO, ServicePhase.STOPPING, ServicePhase.PENDING)
Exists = Callable[[Kind[KubeObject]], bool]


class Activations:
    """When each Service was used last. `enqueue` hears of one that is asleep and wanted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._used: dict[ObjectKey, float] = {}
        self._asleep: set[ObjectKey] = set()
        self.enqueue: Callable[[ObjectKey], object] = lambda _: None

    def note_use(self, service: str) -> None:
        """Somebody asks for it, or was answered by it."""
        key = SERVICE.key(service, HOME)
        self._used[key] = self._clock.monotonic()
        if key in self._asleep:
            self.enqueue(key)

    def seconds_left(self, service: Service, *, runs: bool, kept: bool) -> float:
        """How long it stays awake if nobody asks for it meanwhile; 0 when it may sleep now."""
        key, now = key_of(SERVICE, service), self._clock.monotonic()
        if kept or (runs and key not in self._used):
            self._used[key] = now
        left = max(self._used.get(key, float("-inf")) + service.spec.idle_seconds - now, 0.0)
        if left:
            self._asleep.discard(key)
        else:
            self._asleep.add(key)
        return left

    def forget(self, key: ObjectKey) -> None:
        """There is no such Service any more, or it sleeps no more."""
        self._used.pop(key, None)
        self._asleep.discard(key)


def until_idle(outcome: Outcome, seconds: float) -> Outcome:
    """The same, with another pass when that time is over at the latest."""
    after = seconds if outcome.requeue_after is None else min(outcome.requeue_after, seconds)
    return replace(outcome, requeue_after=after)


def kept_awake(service: Service, managed: Mapping[str, ManagedService], seen: Lister, exists: Exists) -> bool:
    """Whether something that runs needs it, or there is a resource its reconcilers have to see to: deadlines pass
    without anybody asking.
    """
    manifest = managed.get(service.spec.managed or "")
    if manifest is not None and any(exists(kind) for kind in manifest.kinds):
        return True
    others = seen.list(SERVICE, service.metadata.namespace)
    return any(_is_awake(each) and service.metadata.name in needs_of(each, managed) for each in others)


def needed_asleep(changed: Service, seen: Lister, managed: Mapping[str, ManagedService]) -> Iterator[ObjectKey]:
    """Services on demand that `changed` needs: its start wakes them."""
    for name in needs_of(changed, managed):
        needed = seen.get(SERVICE, name, changed.metadata.namespace)
        if needed is not None and needed.spec.on_demand and needed.status.phase in _NOT_AWAKE:
            yield key_of(SERVICE, needed)


def _is_awake(service: Service) -> bool:
    if not service.spec.enabled or service.spec.replicas == 0:
        return False
    return not service.spec.on_demand or service.status.phase not in _NOT_AWAKE
