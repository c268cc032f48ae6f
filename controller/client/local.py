"""Resources in the conductor's own process: straight to the registry and the store, no HTTP between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar

from controller.client.protocol import ChangeType, Listing, Propagation, WatchEvent
from controller.resources.quarantine import Quarantine
from controller.resources.registry import Registry
from controller.resources.selectors import by_fields, by_labels
from controller.resources.strategy import WriteOptions
from controller.resources.unknown_fields import lost, restored
from controller.resources.validation import unknown_fields
from controller.store.records import Compacted, Follower, Record
from crds.errors import Expired
from crds.kind import Kind, KubeObject

M = TypeVar("M", bound=KubeObject)

_CHANGE: dict[str, ChangeType] = {"created": "ADDED", "updated": "MODIFIED", "deleted": "DELETED"}


class LocalResources:
    """Acts in the name of `by`, which is written into every record."""

    def __init__(self, registry: Registry, by: str) -> None:
        self._registry = registry
        self._how = WriteOptions(by=by, validation="Strict")

    async def get(self, kind: Kind[M], name: str, namespace: str | None = None) -> M:
        return kind.decode(self._registry.get(kind, kind.key(name, namespace)).body)

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
        read = (self._registry.quarantine.read(kind, record) for record in chosen)
        return Listing(
            [_numbered(item, record) for item, record in zip(read, chosen, strict=True) if item], snapshot.revision
        )

    @asynccontextmanager
    async def watch(
        self, kind: Kind[M], *, after: int, namespace: str | None = None
    ) -> AsyncIterator[AsyncIterator[WatchEvent[M]]]:
        store = self._registry.store
        try:
            async with store.follow(kind.group, kind.plural, after=after, namespace=namespace) as follower:
                yield _seen(kind, follower, self._registry.quarantine)
        except Compacted as gone:
            raise Expired(str(gone)) from gone

    async def create(self, kind: Kind[M], resource: M) -> M:
        namespace = resource.metadata.namespace or "default"
        written = await self._registry.create(kind, namespace, resource.wire(), self._how)
        return kind.decode(written.body)

    async def replace(self, kind: Kind[M], resource: M) -> M:
        key = kind.key(resource.metadata.name, resource.metadata.namespace)
        stored, body = self._registry.get(kind, key).object, resource.wire()
        body = restored(body, lost(stored, body, unknown_fields(kind, stored)))
        return kind.decode((await self._registry.replace(kind, key, body, self._how)).body)

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
        return kind.decode(written.body)

    async def delete(
        self,
        kind: Kind[M],
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: Propagation = "Background",
    ) -> None:
        key = kind.key(name, namespace)
        await self._registry.delete(
            kind, key, self._how, uid=uid, resource_version=resource_version, propagation=propagation
        )


async def _seen(kind: Kind[M], follower: Follower, quarantine: Quarantine) -> AsyncIterator[WatchEvent[M]]:
    async for batch in follower:
        for event in batch:
            record = event.record
            item = quarantine.read(kind, record)
            if record.verb == "deleted":
                quarantine.release(record.key)
            if item is not None:
                yield WatchEvent(_CHANGE[record.verb], _numbered(item, record), record.revision)


def _numbered(item: M, record: Record) -> M:
    """With the version, which who wrote it could not know. Shared by all who read: the loop and the garbage collector
    follow the same kinds.
    """
    item.metadata.resource_version = str(record.revision)
    return item
