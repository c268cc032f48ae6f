"""The interface of authors: a reconciler for one kind. The loop does everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from controller.client.protocol import Resources
from controller.kit.clock import Clock
from controller.reconcile.outcome import Outcome
from crds.kind import Kind, KubeObject
from crds.meta import ObjectKey

M = TypeVar("M", bound=KubeObject)


class Lister(Protocol):
    """Reads the loop's own copy of what it watches: costs nothing, and may be a moment old."""

    def get(self, kind: Kind[M], name: str, namespace: str | None = None) -> M | None: ...

    def list(self, kind: Kind[M], namespace: str | None = None) -> Sequence[M]: ...


class Recorder(Protocol):
    """Writes Kubernetes Events (see `EventRecorder`); the same news again only raises a count."""

    def record(self, about: KubeObject, reason: str, message: str, *, warning: bool = False) -> None:
        """Never waits and never fails: news is best effort."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """Everything a reconciler may touch."""

    resources: Resources
    seen: Lister
    clock: Clock
    events: Recorder


@dataclass(frozen=True, slots=True)
class AlsoWatch(Generic[M]):
    """Watch another kind: when a resource of it changes, enqueue the keys that `affects` names."""

    kind: Kind[M]
    affects: Callable[[M, Lister], Iterable[ObjectKey]]


class Reconciler(Protocol[M]):
    """Brings the world closer to one resource's spec. Calling it twice does no harm.

    `resource` is this call's own copy: write what you saw into `resource.status`, and the loop saves the
    difference in one status patch, together with the condition `Reconciled` made from the outcome.

    `finalizer`: when set, the loop adds it before the first reconcile, and calls `finalize` instead of
    `reconcile` once deletion was asked for; `done` from it removes the finalizer.
    """

    kind: Kind[M]
    finalizer: str | None
    also_watch: Sequence[AlsoWatch[Any]]

    async def reconcile(self, resource: M, world: World) -> Outcome: ...

    async def finalize(self, resource: M, world: World) -> Outcome: ...
