"""Resources in the conductor's own process: straight to the registry and the store, no HTTP between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar

from controller.resources.client import ChangeType, Listing, Propagation, Seen
from controller.resources.forming import How
from controller.resources.registry import Registry
from controller.resources.selecting import by_fields, by_labels
from controller.store.records import Compacted, Follower, Record
from crds.errors import Expired
from crds.kind import Kind, Manifest

M = TypeVar("M", bound=Manifest)

_CHANGE: dict[str, ChangeType] = {"created": "ADDED", "updated": "MODIFIED", "deleted": "DELETED"}


class LocalResources:
    """Acts in the name of `by`, which is written into every record."""

    def __init__(self, registry: Registry, by: str) -> None:
        self._registry = registry
        self._how = How(by=by, validation="Strict")

    async def get(self, kind: Kind[M], name: str, namespace: str | None = None) -> M:
        return kind.parse(self._registry.get(kind, kind.key(name, namespace)).body)

    async def list(
        self, kind: Kind[M], namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Listing[M]:
        snapshot = self._registry.store.list(kind.group, kind.plural, namespace)
        tests = [
            test
            for test in (by_labels(labels), by_fields(fields, kind.selectable_fields, kind.selectable_absent))
            if test
        ]
        chosen = [r for r in snapshot.records if all(test(r.object) for test in tests)]
        return Listing([kind.parse(record.body) for record in chosen], snapshot.revision)

    @asynccontextmanager
    async def watch(
        self, kind: Kind[M], *, after: int, namespace: str | None = None
    ) -> AsyncIterator[AsyncIterator[Seen[M]]]:
        store = self._registry.store
        try:
            async with store.follow(kind.group, kind.plural, after=after, namespace=namespace) as follower:
                yield _seen(kind, follower)
        except Compacted as gone:
            raise Expired(str(gone)) from gone

    async def create(self, kind: Kind[M], resource: M) -> M:
        namespace = resource.metadata.namespace or "default"
        written = await self._registry.create(kind, namespace, resource.wire(), self._how)
        return kind.parse(written.body)

    async def replace(self, kind: Kind[M], resource: M) -> M:
        key = kind.key(resource.metadata.name, resource.metadata.namespace)
        return kind.parse((await self._registry.replace(kind, key, resource.wire(), self._how)).body)

    async def patch(
        self,
        kind: Kind[M],
        name: str,
        patch: dict[str, Any],
        namespace: str | None = None,
        *,
        subresource: Literal["", "status"] = "",
    ) -> M:
        key = kind.key(name, namespace)
        written = await self._registry.merge(kind, key, patch, self._how, subresource=subresource)
        return kind.parse(written.body)

    async def delete(
        self,
        kind: Kind[M],
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        propagation: Propagation = "Background",
    ) -> None:
        key = kind.key(name, namespace)
        await self._registry.delete(kind, key, self._how, uid=uid, propagation=propagation)


async def _seen(kind: Kind[M], follower: Follower) -> AsyncIterator[Seen[M]]:
    async for batch in follower:
        for happening in batch:
            record = happening.record
            yield Seen(_CHANGE[record.verb], _typed(kind, record), record.revision)


def _typed(kind: Kind[M], record: Record) -> M:
    """Shared by all who watch: the loop and the garbage collector follow the same kinds."""
    if not isinstance(record.typed, kind.model):
        record.typed = kind.parse(record.body)
    found: M = record.typed
    found.metadata.resource_version = str(record.revision)  # which who wrote it could not know
    return found
