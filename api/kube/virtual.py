"""Virtual objects of a kind beside the stored ones: read as one, and only the stored written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from api.kube.storage import StoreStorage
from controller.store.records import Record, Snapshot
from crds.errors import NotFound
from crds.kind import Kind
from crds.meta import ObjectKey


class StorageWithVirtualObjects(StoreStorage, ABC):
    """Where both have one of the same name, the stored one counts. Only the stored ones are watched."""

    @abstractmethod
    def other(self, key: ObjectKey) -> Record | None:
        """The one of that name that is not stored."""

    @abstractmethod
    def others(self, namespace: str | None) -> Iterable[Record]:
        """Objects that are not stored, of one namespace or of all."""

    async def get(self, kind: Kind[Any], key: ObjectKey) -> Record:
        try:
            return await super().get(kind, key)
        except NotFound:
            found = self.other(key)
            if found is None:
                raise
            return found

    async def fresh(self, kind: Kind[Any], namespace: str | None) -> Snapshot:
        return self.both(super().list(kind, namespace), namespace)

    async def list_at(self, kind: Kind[Any], namespace: str | None, revision: int) -> Snapshot:
        return self.both(await super().list_at(kind, namespace, revision), namespace)

    def both(self, snapshot: Snapshot, namespace: str | None) -> Snapshot:
        """The stored ones of `snapshot`, and the others."""
        stored = {record.key for record in snapshot.records}
        others = [each for each in self.others(namespace) if each.key not in stored]
        return Snapshot(snapshot.revision, sorted([*snapshot.records, *others], key=lambda record: record.key))
