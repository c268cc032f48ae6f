"""A source that is computed at every question: it can be read, not followed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from controller.store.records import Follower, Record, Snapshot, Store
from crds.errors import MethodNotAllowed, not_found
from crds.kind import Kind
from crds.meta import ObjectKey


class ComputedKind(Protocol):
    """Makes the records of one kind."""

    @property
    def kind(self) -> Kind[Any]: ...

    async def records(self, namespace: str | None) -> Sequence[Record]:
        """All of them, as they are now."""
        ...


class ComputedStorage:
    """As `api.kube.storage.Source`; watching raises MethodNotAllowed."""

    def __init__(self, computing: ComputedKind, store: Store) -> None:
        self._computing, self._store = computing, store

    @property
    def revision(self) -> int:
        return self._store.revision

    async def get(self, kind: Kind[Any], key: ObjectKey) -> Record:
        records = await self._computing.records(key.namespace or None)
        found = next((record for record in records if record.key == key), None)
        if found is None:
            raise not_found(key)
        return found

    async def fresh(self, kind: Kind[Any], namespace: str | None) -> Snapshot:
        records = await self._computing.records(namespace)
        return Snapshot(self.revision, sorted(records, key=lambda record: record.key))

    async def list_at(self, kind: Kind[Any], namespace: str | None, revision: int) -> Snapshot:
        return await self.fresh(kind, namespace)

    def list(self, kind: Kind[Any], namespace: str | None) -> Snapshot:
        raise MethodNotAllowed(f"{kind.plural} cannot be watched")

    @asynccontextmanager
    async def follow(self, kind: Kind[Any], *, after: int, namespace: str | None) -> AsyncIterator[Follower]:
        raise MethodNotAllowed(f"{kind.plural} cannot be watched")
        yield
