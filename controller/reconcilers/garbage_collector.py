"""Deletes what nobody owns any more: owner references, followed by uid as Kubernetes does.

Background: when all owners of a resource are gone, it goes. Foreground: an owner with the finalizer
`foregroundDeletion` waits until its blocking dependents are gone. Orphan: an owner with the finalizer `orphan`
is first struck from its dependents. One of these runs per cloud; it is no reconciler because it writes no status.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import anyio
import anyio.abc
import structlog

from controller.client.protocol import Resources
from controller.kit.backoff import Backoff
from controller.kit.clock import Clock
from controller.reconcile.event_recorder import EventRecorder
from controller.reconcile.informer import Informers
from controller.reconcile.owner_index import OwnerIndex, OwnerLookup
from controller.reconcile.work_queue import WorkQueue
from controller.resources.strategy import FOREGROUND, ORPHAN
from crds.catalog import Catalog
from crds.errors import ApiError, Conflict, NotFound
from crds.event_reasons import EventReason
from crds.kind import Kind, KubeObject, key_of
from crds.kinds.event import EVENT
from crds.meta import ObjectKey, OwnerReference

_log = structlog.get_logger(__name__)
RETRY = Backoff(first=0.5, factor=2.0, limit=60.0, jitter=0.1)


async def collect_garbage(
    resources: Resources, catalog: Catalog, clock: Clock, shared: Informers, events: EventRecorder | None = None
) -> None:
    """Collect garbage until cancelled. Begins again whenever kinds come or go: a collector watches the kinds it began
    with.
    """
    while True:
        changed = anyio.Event()
        catalog.changed = changed.set
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(GarbageCollector(resources, catalog, clock, shared=shared, events=events).run)
            await changed.wait()
            tasks.cancel_scope.cancel()


class GarbageCollector:
    """Watches every kind of the catalog but events, which nobody owns. `shared`: what is followed already.

    `events`: who hears of owners that are named in vain.
    """

    def __init__(
        self,
        resources: Resources,
        catalog: Catalog,
        clock: Clock,
        rng: random.Random | None = None,
        *,
        workers: int = 2,
        shared: Informers | None = None,
        events: EventRecorder | None = None,
    ) -> None:
        self._resources, self._clock, self._workers, self._events = resources, clock, workers, events
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, keeps no secret
        self._kinds = {(kind.group, kind.plural): kind for kind in catalog if kind is not EVENT}
        self._seen = Informers(self._kinds.values(), resources, self._rng, shared)
        self._owners = OwnerIndex()
        self._live = OwnerLookup(resources, tuple(self._kinds.values()), catalog)
        self._queue: WorkQueue[ObjectKey] = WorkQueue()
        self._failures: dict[ObjectKey, int] = {}

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled. Started once everything was listed."""
        with ExitStack() as ears:
            for cache in self._seen:
                ears.callback(cache.listen(self._listener(cache.kind)))
            async with anyio.create_task_group() as tasks:
                self._seen.start(tasks)
                # Before all is listed, an owner not yet seen would look like one that is gone.
                await self._seen.wait_synced()
                for _ in range(self._workers):
                    tasks.start_soon(self._work)
                task_status.started()

    def _listener(self, kind: Kind[Any]) -> Any:
        def noticed(change: str, item: KubeObject, before: KubeObject | None) -> None:
            key = key_of(kind, item)
            released = self._owners.remove(key) if change == "DELETED" else self._owners.index(key, item)
            # Owners that wait for this dependent, and dependents that lost this owner.
            for other in {*released, *self._owners.waiting_for(item)}:
                self._queue.add(other)
            if _concerns_us(item) and change != "DELETED":
                self._queue.add(key)

        return noticed

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                await self._attend(key)
                self._failures.pop(key, None)
            except (Conflict, NotFound):
                self._retry(key)
            except (ApiError, OSError) as error:
                _log.warning("garbage not collected", key=str(key), because=str(error))
                self._retry(key)
            except Exception:
                _log.exception("garbage not collected", key=str(key))
                self._retry(key)
            finally:
                self._queue.done(key)

    def _retry(self, key: ObjectKey) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self._queue.add_after(key, RETRY.delay(failures, self._rng))

    async def _attend(self, key: ObjectKey) -> None:
        kind = self._kinds[(key.group, key.plural)]
        resource = self._seen.of(kind).by_key(key)
        if resource is None:
            return
        finalizers = resource.metadata.finalizers or []
        if resource.metadata.deletion_timestamp is None:
            await self._delete_if_abandoned(kind, resource)
        elif ORPHAN in finalizers:
            await self._orphan(kind, resource)
        elif FOREGROUND in finalizers:
            await self._delete_dependents_first(kind, resource)

    async def _delete_if_abandoned(self, kind: Kind[Any], resource: KubeObject) -> None:
        references = resource.metadata.owner_references or []
        if not references or any(self._owners.lives(each.uid, resource) for each in references):
            return
        # Our copy may be behind: only the truth may condemn.
        if any([await self._live.exists(each, resource) for each in references]):
            return
        meta = resource.metadata
        self._tell_of_strangers(resource, references)
        _log.info("owners are gone, deleting", kind=kind.name, key=str(key_of(kind, resource)))
        await self._resources.delete(kind, meta.name, meta.namespace or None, uid=meta.uid)

    def _tell_of_strangers(self, resource: KubeObject, references: Sequence[OwnerReference]) -> None:
        """Nobody in another namespace owns anything here: whoever thought so hears why it went."""
        here = resource.metadata.namespace
        for each in references:
            if self._events is not None and (there := self._owners.elsewhere(each.uid, resource)):
                text = f"the owner {each.kind} {each.name} does not exist in namespace {here}, but in {there}"
                self._events.record(resource, EventReason.OWNER_REF_INVALID_NAMESPACE, text, warning=True)

    async def _orphan(self, kind: Kind[Any], owner: KubeObject) -> None:
        for dependent_kind, dependent in await self._live.dependents(owner):
            await self._strike(dependent_kind, dependent, owner)
        await self._release(kind, owner, ORPHAN)

    async def _strike(self, kind: Kind[Any], dependent: KubeObject, owner: KubeObject) -> None:
        meta = dependent.metadata
        left = [each.wire() for each in meta.owner_references or [] if each.uid != owner.metadata.uid]
        patch = {"metadata": {"ownerReferences": left or None, "resourceVersion": meta.resource_version}}
        await self._resources.patch(kind, meta.name, patch, meta.namespace)

    async def _delete_dependents_first(self, kind: Kind[Any], owner: KubeObject) -> None:
        for dependent_kind, dependent in await self._only_its_own(owner):
            if dependent.metadata.deletion_timestamp is None:
                await self._delete_quietly(dependent_kind, dependent)
        left = await self._only_its_own(owner)
        if not any(_blocks(dependent, owner) for _, dependent in left):
            await self._release(kind, owner, FOREGROUND)

    async def _only_its_own(self, owner: KubeObject) -> list[tuple[Kind[Any], KubeObject]]:
        """Dependents that no other living owner keeps. Two that own each other do not wait for each other."""
        dependents = await self._live.dependents(owner)
        own = {each.uid for each in owner.metadata.owner_references or []}
        return [
            (kind, each)
            for kind, each in dependents
            if each.metadata.uid not in own and not self._has_other_owner(each, owner)
        ]

    async def _delete_quietly(self, kind: Kind[Any], dependent: KubeObject) -> None:
        meta = dependent.metadata
        try:
            await self._resources.delete(kind, meta.name, meta.namespace, uid=meta.uid, propagation="Foreground")
        except NotFound:
            return

    def _has_other_owner(self, dependent: KubeObject, owner: KubeObject) -> bool:
        others = [each.uid for each in dependent.metadata.owner_references or [] if each.uid != owner.metadata.uid]
        return any(self._owners.lives(uid, dependent) for uid in others)

    async def _release(self, kind: Kind[Any], owner: KubeObject, finalizer: str) -> None:
        meta = owner.metadata
        left = [each for each in meta.finalizers or [] if each != finalizer]
        patch = {"metadata": {"finalizers": left, "resourceVersion": meta.resource_version}}
        await self._resources.patch(kind, meta.name, patch, meta.namespace)


def _concerns_us(resource: KubeObject) -> bool:
    meta = resource.metadata
    if meta.deletion_timestamp is None:
        return bool(meta.owner_references)
    return bool({FOREGROUND, ORPHAN}.intersection(meta.finalizers or []))


def _blocks(dependent: KubeObject, owner: KubeObject) -> bool:
    references: Sequence[Any] = dependent.metadata.owner_references or []
    return any(each.uid == owner.metadata.uid and each.block_owner_deletion for each in references)
