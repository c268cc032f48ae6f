"""A copy of one kind in memory, kept fresh by list + watch, for answering requests without asking the conductor.

May be a moment old; what this process wrote itself is put in at once (`put`), and a newer version is never replaced
by an older one. While the conductor is away the copy goes on answering: that is degraded mode, `fault` says so.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from controller.client.protocol import Resources
from controller.kit.backoff import Backoff
from crds.errors import ApiError, NotFound
from crds.kind import Kind, KubeObject

M = TypeVar("M", bound=KubeObject)
_BACKOFF = Backoff(first=0.2, limit=5.0, jitter=0.2)
_GONE_REMEMBERED = 10_000


class Informer(Generic[M]):
    """Every resource of `kind`, in all namespaces. `run` keeps it fresh until cancelled."""

    def __init__(self, resources: Resources, kind: Kind[M], rng: random.Random | None = None) -> None:
        self._resources, self.kind = resources, kind
        self._rng = rng or random.Random()  # noqa: S311 - only spreads retries
        self._items: dict[tuple[str, str], M] = {}
        self._by_uid: dict[str, M] = {}
        self._gone: dict[str, None] = {}
        self.fault: str | None = f"{kind.plural} are not read yet"
        self.listed = False

    def get(self, name: str, namespace: str) -> M | None:
        """Return the resource from memory."""
        return self._items.get((namespace, name))

    def by_uid(self, uid: str) -> M | None:
        """Return the resource of that uid from memory."""
        return self._by_uid.get(uid)

    def all(self, namespace: str | None = None) -> Iterable[M]:
        """Return all resources from memory, in no order."""
        return [item for (where, _), item in self._items.items() if namespace in (None, where)]

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
        uid = item.metadata.uid or ""
        here = self._items.get(_key(item))
        if uid in self._gone or (here is not None and _version(here) > _version(item)):
            return item
        if here is not None:
            self._by_uid.pop(here.metadata.uid or "", None)
        self._items[_key(item)] = self._by_uid[uid] = item
        return item

    def drop(self, item: M) -> None:
        """Remove a resource that was deleted."""
        uid = item.metadata.uid or ""
        self._by_uid.pop(uid, None)
        here = self._items.get(_key(item))
        if here is not None and here.metadata.uid == uid:
            del self._items[_key(item)]
        self._gone[uid] = None
        if len(self._gone) > _GONE_REMEMBERED:
            del self._gone[next(iter(self._gone))]

    async def run(self) -> None:
        """List, then follow; start over when the watch breaks."""
        failures = 0
        while True:
            try:
                await self._follow()
                failures = 0
            except (ApiError, OSError) as error:
                failures += 1
                self.fault = f"{self.kind.plural} cannot be followed: {error}"
            await asyncio.sleep(_PAUSE if not failures else _BACKOFF.delay(failures, self._rng))

    async def _follow(self) -> None:
        listing = await self._resources.list(self.kind)
        self._replace_all(listing.items, listing.revision)
        self.listed = True
        async with self._resources.watch(self.kind, after=listing.revision) as steps:
            self.fault = None
            async for step in steps:
                if step.type == "DELETED":
                    self.drop(step.object)
                elif step.type != "BOOKMARK":
                    self.put(step.object)

    def _replace_all(self, items: Iterable[M], revision: int) -> None:
        listed: dict[str, Any] = {item.metadata.uid or "": item for item in items}
        for item in list(self._items.values()):
            if item.metadata.uid not in listed and _version(item) <= revision:
                self.drop(item)
        for item in listed.values():
            self.put(item)


_PAUSE = 0.05


def _key(item: KubeObject) -> tuple[str, str]:
    return item.metadata.namespace or "", item.metadata.name


def _version(item: KubeObject) -> int:
    return int(item.metadata.resource_version or 0)
