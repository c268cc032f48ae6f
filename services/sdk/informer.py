"""A copy of one kind in memory, kept fresh by list + watch, for answering requests without asking the conductor.

`ServiceContext.informer(KIND)`: one for each kind and process, which the reconcilers see, too. May be a moment old;
what this process wrote itself is put in at once (`put`), and a newer version is never replaced by an older one. While
the conductor is away the copy goes on answering: that is degraded mode, `fault` says so.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar, cast

from controller.kit.backoff import Backoff
from controller.reconcile.informer import Informer as FollowingInformer
from controller.reconcile.informer import Informers
from crds.errors import NotFound
from crds.kind import Kind, KubeObject
from crds.meta import ObjectKey

if TYPE_CHECKING:
    from controller.client.protocol import Resources

M = TypeVar("M", bound=KubeObject)
_BACKOFF = Backoff(first=0.2, limit=5.0, jitter=0.2)


class Informer(FollowingInformer[M]):
    """Every resource of `kind`, in all namespaces, by name and by uid.

    `drop` hides what was deleted from whoever asks here. Its reconciler sees it until it is gone, to finalize it.
    """

    def __init__(self, resources: Resources, kind: Kind[M], rng: random.Random | None = None) -> None:
        super().__init__(kind, resources, rng or random.Random(), _BACKOFF)  # noqa: S311 - only spreads retries
        self._by_uid: dict[str, M] = {}
        self._hidden: set[str] = set()

    @property
    def listed(self) -> bool:
        """Whether all there is was read once."""
        return self.synced.is_set()

    def get(self, name: str, namespace: str) -> M | None:
        """Return the resource from memory."""
        found = self.by_key(self.kind.key(name, namespace))
        return None if found is None or found.metadata.uid in self._hidden else found

    def by_uid(self, uid: str) -> M | None:
        """Return the resource of that uid from memory."""
        return None if uid in self._hidden else self._by_uid.get(uid)

    def all(self, namespace: str | None = None) -> Sequence[M]:
        """Return all resources from memory, in no order."""
        found = super().all(namespace)
        return found if not self._hidden else [each for each in found if each.metadata.uid not in self._hidden]

    async def read(self, name: str, namespace: str) -> M | None:
        """Return the resource from memory, else from the conductor. Raises ApiError when it is away."""
        found = self.get(name, namespace)
        if found is not None:
            return found
        try:
            return self.put(await self._resources.get(self.kind, name, namespace))
        except NotFound:
            return None

    def put(self, item: M) -> M:
        """Take in what was read or written, unless a newer version is here. Returns `item`."""
        self.record_write(item)
        return item

    def drop(self, item: M) -> None:
        """Hide a resource that was deleted, before the watch brings that it is gone."""
        if (uid := item.metadata.uid) in self._by_uid:
            self._hidden.add(uid)

    def _store(self, key: ObjectKey, item: M) -> None:
        before, uid = self.by_key(key), item.metadata.uid or ""
        if before is not None and before.metadata.uid != uid:
            self._forget(before)
        super()._store(key, item)
        self._by_uid[uid] = item

    def _discard(self, key: ObjectKey) -> None:
        if (before := self.by_key(key)) is not None:
            self._forget(before)
        super()._discard(key)

    def _forget(self, item: M) -> None:
        uid = item.metadata.uid or ""
        self._by_uid.pop(uid, None)
        self._hidden.discard(uid)


class ServiceInformers(Informers):
    """All informers of a process: one of each kind, made when it is first asked for. Who makes them runs them."""

    def __init__(self, resources: Resources) -> None:
        super().__init__((), resources, random.Random())  # noqa: S311 - only spreads retries
        self._resources = resources

    def informer(self, kind: Kind[M]) -> Informer[M]:
        """The one of that kind."""
        resource = (kind.group, kind.plural)
        if resource not in self._informers:
            self._informers[resource] = Informer(self._resources, kind)
        return cast("Informer[M]", self._informers[resource])

    def unread(self) -> str | None:
        """Why nothing can be answered yet: before the first listing. Later faults only make the copies older."""
        return next((each.fault for each in self if not each.synced.is_set()), None)

    def fault(self) -> str | None:
        """Why what is answered from may be old, or None."""
        return next((each.fault for each in self if each.fault), None)
