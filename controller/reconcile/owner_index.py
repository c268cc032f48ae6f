"""Owners and dependents: as our copies say (`OwnerIndex`), and as it really is (`OwnerLookup`). The garbage collector
asks both.

The copies are quick and may be a moment behind, so they only ever decide to look closer or to spare something.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from controller.client.protocol import Resources
from crds.catalog import Catalog
from crds.errors import NotFound
from crds.kind import Kind, KubeObject
from crds.meta import ObjectKey, OwnerReference


class OwnerIndex:
    """An index by uid over everything that was seen. Bounded by the resources that live."""

    def __init__(self) -> None:
        self._keys: dict[str, ObjectKey] = {}
        self._uids: dict[ObjectKey, str] = {}
        self._leaving: set[str] = set()
        self._references: dict[ObjectKey, tuple[str, ...]] = {}
        self._dependents: dict[str, set[ObjectKey]] = {}

    def index(self, key: ObjectKey, item: KubeObject) -> Iterable[ObjectKey]:
        """Index a live resource. Returns the dependents of an earlier one (another uid) that had this key."""
        uid = item.metadata.uid or ""
        released = self.remove(key) if self._uids.get(key, uid) != uid else ()
        self._keys[uid], self._uids[key] = key, uid
        if item.metadata.deletion_timestamp is not None:
            self._leaving.add(uid)
        self._refer(key, tuple(each.uid for each in item.metadata.owner_references or []))
        return released

    def remove(self, key: ObjectKey) -> Iterable[ObjectKey]:
        """Remove a deleted resource from the index. Returns its dependents."""
        uid = self._uids.pop(key, "")
        self._keys.pop(uid, None)
        self._leaving.discard(uid)
        self._refer(key, ())
        return tuple(self._dependents.get(uid, ()))

    def lives(self, uid: str, dependent: KubeObject) -> bool:
        """Whether our copies hold it where `dependent` may name it: in its namespace, or in none."""
        key = self._keys.get(uid)
        return key is not None and key.namespace in ("", dependent.metadata.namespace or key.namespace)

    def elsewhere(self, uid: str, dependent: KubeObject) -> str | None:
        """The namespace in which that owner lives, when it is none that `dependent` may name."""
        key = self._keys.get(uid)
        return key.namespace if key is not None and not self.lives(uid, dependent) else None

    def waiting_for(self, dependent: KubeObject) -> Sequence[ObjectKey]:
        """Owners of `dependent` that are being deleted, and may wait for it."""
        uids = [each.uid for each in dependent.metadata.owner_references or []]
        return [self._keys[uid] for uid in uids if uid in self._leaving]

    def _refer(self, key: ObjectKey, uids: tuple[str, ...]) -> None:
        for uid in self._references.pop(key, ()):
            self._dependents[uid].discard(key)
            if not self._dependents[uid]:
                del self._dependents[uid]
        for uid in set(uids):
            self._dependents.setdefault(uid, set()).add(key)
        if uids:
            self._references[key] = tuple(set(uids))


class OwnerLookup:
    """The same questions, asked of the API: slow and true. All methods raise ApiError."""

    def __init__(self, resources: Resources, kinds: Sequence[Kind[Any]], catalog: Catalog) -> None:
        self._resources, self._kinds, self._catalog = resources, kinds, catalog

    async def exists(self, owner: OwnerReference, dependent: KubeObject) -> bool:
        """Whether that owner lives. One that we cannot look for is spared: better litter than loss."""
        kind = self._catalog.of(owner.api_version, owner.kind)
        namespace = dependent.metadata.namespace
        if kind is None or (kind.namespaced and not namespace):
            return True
        try:
            found: KubeObject = await self._resources.get(kind, owner.name, namespace if kind.namespaced else None)
        except NotFound:
            return False
        return found.metadata.uid == owner.uid

    async def dependents(self, owner: KubeObject) -> list[tuple[Kind[Any], KubeObject]]:
        """Everything that names `owner`, where it may: in its namespace, or anywhere if it lives in none."""
        namespace, uid = owner.metadata.namespace, owner.metadata.uid
        found: list[tuple[Kind[Any], KubeObject]] = []
        for kind in self._kinds:
            if namespace and not kind.namespaced:
                continue
            for item in (await self._resources.list(kind, namespace or None)).items:
                references = item.metadata.owner_references or []
                if item.metadata.uid != uid and any(each.uid == uid for each in references):
                    found.append((kind, item))
        return found
