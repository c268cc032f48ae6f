"""A tiny world: what was seen, what was told, and a driver that obeys at once. Shared by the tests beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from controller.kit.clock import LoopClock
from controller.reconcile.reconciler import World
from controller.runtime.driver import ObservedInstance
from crds.kind import key_of


@dataclass
class Told:
    news: list[tuple[str, str]] = field(default_factory=list)

    def record(self, about, reason, message, *, warning=False):
        self.news.append((reason, message))


@dataclass
class Shelf:
    items: list[tuple[Any, Any]] = field(default_factory=list)

    def put(self, kind, resource):
        self.items = [e for e in self.items if key_of(*e) != key_of(kind, resource)] + [(kind, resource)]
        return resource

    def get(self, kind, name, namespace=None):
        wanted = kind.key(name, namespace)
        return next((r for k, r in self.items if k is kind and key_of(k, r) == wanted), None)

    def list(self, kind, namespace=None):
        return [r for k, r in self.items if k is kind and namespace in (None, r.metadata.namespace)]


class FakeDriver:
    """`ready` False keeps new instances Starting. `refuses` is raised by apply."""

    name = "fake"

    def __init__(self):
        self.applied, self.ready, self.refuses, self.running = [], True, None, {}

    async def observe(self, key):
        return self.running.get(key, [])

    async def apply(self, workload):
        if self.refuses:
            raise self.refuses
        self.applied.append(workload)
        phase = "Ready" if self.ready else "Starting"
        self.running[workload.key] = [
            ObservedInstance(
                f"{workload.key.name}-{n}", phase, self.ready, workload.revision, worker=(*workload.workers, "oak")[0]
            )
            for n in range(workload.replicas)
        ]

    async def remove(self, key):
        self.running.pop(key, None)
        return True


def world() -> World:
    return World(resources=None, seen=Shelf(), clock=LoopClock(), events=Told())
