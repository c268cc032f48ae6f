"""Storage of the records of a kind: the store, or a view that shows stored kinds as another kind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from api.kube.tenancy import Tenancy
from controller.resources.registry import Registry
from controller.resources.versions import convert_event, convert_snapshot
from controller.store.followers import ConvertedFollower
from controller.store.records import Follower, Record, Snapshot
from crds.kind import Kind
from crds.meta import ObjectKey


class ResourceStorage(Protocol):
    """Reads of one or more kinds, as `controller.store.records.Store` promises them."""

    @property
    def revision(self) -> int:
        """The newest revision."""
        ...

    async def get(self, kind: Kind[Any], key: ObjectKey) -> Record:
        """Raises NotFound."""
        ...

    async def fresh(self, kind: Kind[Any], namespace: str | None) -> Snapshot:
        """Everything, at the newest revision."""
        ...

    def list(self, kind: Kind[Any], namespace: str | None) -> Snapshot:
        """As `fresh`, at once: whoever follows from it misses nothing."""
        ...

    async def list_at(self, kind: Kind[Any], namespace: str | None, revision: int) -> Snapshot:
        """Raises Compacted."""
        ...

    def follow(self, kind: Kind[Any], *, after: int, namespace: str | None) -> AbstractAsyncContextManager[Follower]:
        """Raises Compacted."""
        ...


class StorageMap:
    """The source of each kind."""

    def __init__(self, stored: ResourceStorage, others: Mapping[tuple[str, str], ResourceStorage]) -> None:
        self._stored, self._others = stored, others

    def of(self, kind: Kind[Any]) -> ResourceStorage:
        return self._others.get((kind.group, kind.plural), self._stored)


class StoreStorage:
    """Every kind of the catalog."""

    def __init__(self, registry: Registry) -> None:
        self._registry, self._store = registry, registry.store
        self._tenancy = Tenancy(registry.store)

    @property
    def revision(self) -> int:
        return self._store.revision

    async def get(self, kind: Kind[Any], key: ObjectKey) -> Record:
        return self._registry.get(kind, key)

    async def fresh(self, kind: Kind[Any], namespace: str | None) -> Snapshot:
        return self.list(kind, namespace)

    def list(self, kind: Kind[Any], namespace: str | None) -> Snapshot:
        return convert_snapshot(kind, self._store.list(kind.group, kind.plural, namespace))

    async def list_at(self, kind: Kind[Any], namespace: str | None, revision: int) -> Snapshot:
        await self._tenancy.refuse_before(namespace, revision)
        return convert_snapshot(kind, await self._store.list_at(kind.group, kind.plural, namespace, revision))

    @asynccontextmanager
    async def follow(self, kind: Kind[Any], *, after: int, namespace: str | None) -> AsyncIterator[Follower]:
        await self._tenancy.refuse_before(namespace, after)
        async with self._store.follow(kind.group, kind.plural, after=after, namespace=namespace) as follower:
            shown = ConvertedFollower(follower, lambda happening: [convert_event(kind, happening)])
            yield shown if kind.converted else follower
