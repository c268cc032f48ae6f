"""A fake of `controller.client.protocol.Resources`: a dict, a list of changes, and ways to make it misbehave.

It keeps the rules the loop relies on (revisions, generations, finalizers, Conflict), and no others.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
import anyio.lowlevel

from controller.client.protocol import Listing, WatchEvent
from controller.resources.merge_patch import merge_patch
from crds.errors import AlreadyExists, Conflict, Expired, not_found
from crds.kind import Kind
from crds.meta import ObjectKey
from crds.model import rfc3339

_BORN = datetime(2026, 1, 1, tzinfo=UTC)
_PLACES = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


class FakeResources:
    """`writes` lists every successful write as (verb, key); `fail_next` makes the next calls of a verb fail."""

    def __init__(self) -> None:
        self.bodies: dict[ObjectKey, dict[str, Any]] = {}
        self.writes: list[tuple[str, ObjectKey]] = []
        self.listings = 0
        self.oldest = 0
        self.watching = True
        self._log: list[tuple[int, str, ObjectKey, dict[str, Any]]] = []
        self._revision = 0
        self._uids = itertools.count(1)
        self._changed = anyio.Event()
        self._failures: dict[str, list[Exception]] = {}

    def fail_next(self, verb: str, *errors: Exception) -> None:
        self._failures.setdefault(verb, []).extend(errors)

    def compact(self) -> None:
        """Forget all history: whoever is behind gets Expired."""
        self.oldest = self._revision

    def hang_up(self) -> None:
        """End every watch. They come back at once, unless `watching` is False."""
        self._wake()

    def count(self, verb: str, kind: Kind[Any] | None = None) -> int:
        return sum(1 for v, key in self.writes if v == verb and (kind is None or key.plural == kind.plural))

    async def get(self, kind: Kind[Any], name: str, namespace: str | None = None) -> Any:
        await self._door("get")
        return kind.parse(self._body(kind.key(name, namespace)))

    async def list(
        self, kind: Kind[Any], namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Listing[Any]:
        await self._door("list")
        self.listings += 1
        items = [
            kind.parse(body)
            for key, body in sorted(self.bodies.items())
            if (key.group, key.plural) == (kind.group, kind.plural) and namespace in (None, key.namespace)
        ]
        return Listing(items, self._revision)

    @asynccontextmanager
    async def watch(
        self, kind: Kind[Any], *, after: int, namespace: str | None = None
    ) -> AsyncIterator[AsyncIterator[WatchEvent[Any]]]:
        await self._door("watch")
        yield self._follow(kind, after)

    async def _follow(self, kind: Kind[Any], after: int) -> AsyncIterator[WatchEvent[Any]]:
        while True:
            while not self.watching:
                await self._changed.wait()
            if after < self.oldest:
                raise Expired(f"revision {after} is compacted")
            for revision, change, key, body in list(self._log):
                if revision > after and (key.group, key.plural) == (kind.group, kind.plural):
                    yield WatchEvent(change, kind.parse(body), revision)  # type: ignore[arg-type]
            after = max(after, self._revision)
            if self._failures.get("stream"):
                raise self._failures["stream"].pop(0)
            if after == self._revision:
                await self._changed.wait()

    async def create(self, kind: Kind[Any], resource: Any) -> Any:
        await self._door("create")
        key = kind.key(resource.metadata.name, resource.metadata.namespace)
        if key in self.bodies:
            raise AlreadyExists(f"{key} already exists", key=key)
        body = resource.wire()
        namespace = {"namespace": key.namespace} if kind.namespaced else {}
        body["metadata"] |= {"uid": f"uid-{next(self._uids)}", "generation": 1, **namespace}
        body["metadata"]["creationTimestamp"] = rfc3339(_BORN)
        return kind.parse(self._put("create", "ADDED", key, body))

    async def replace(self, kind: Kind[Any], resource: Any) -> Any:
        return await self.patch(kind, resource.metadata.name, resource.wire(), resource.metadata.namespace)

    async def patch(
        self,
        kind: Kind[Any],
        name: str,
        patch: dict[str, Any],
        namespace: str | None = None,
        *,
        subresource: str = "",
    ) -> Any:
        await self._door("status" if subresource else "patch")
        key = kind.key(name, namespace)
        old = self._body(key)
        version = (patch.get("metadata") or {}).get("resourceVersion")
        if version and version != old["metadata"]["resourceVersion"]:
            raise Conflict(f"{key} has been modified", key=key)
        new = merge_patch(old, {"status": patch.get("status")} if subresource else patch)
        if not subresource and kind.has_status and "status" in old:
            new["status"] = old["status"]
        new = kind.parse(new).wire()
        if new == old:
            return kind.parse(old)
        if new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] += 1
        verb = "status" if subresource else "patch"
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            return kind.parse(self._drop(verb, key, new))
        return kind.parse(self._put(verb, "MODIFIED", key, new))

    async def delete(
        self,
        kind: Kind[Any],
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: str = "Background",
    ) -> None:
        await self._door("delete")
        key = kind.key(name, namespace)
        old = self._body(key)
        if uid and uid != old["metadata"]["uid"]:
            raise Conflict(f"{key} has another uid", key=key)
        if resource_version and resource_version != old["metadata"]["resourceVersion"]:
            raise Conflict(f"{key} has another version", key=key)
        meta = dict(old["metadata"])
        if meta.get("deletionTimestamp"):
            return
        extra = [_PLACES[propagation]] if propagation in _PLACES else []
        meta["deletionTimestamp"], meta["generation"] = rfc3339(_BORN), meta["generation"] + 1
        meta["finalizers"] = [*(meta.get("finalizers") or []), *extra]
        body = {**old, "metadata": meta}
        if meta["finalizers"]:
            self._put("delete", "MODIFIED", key, body)
        else:
            self._drop("delete", key, body)

    async def _door(self, verb: str) -> None:
        await anyio.lowlevel.checkpoint()
        if waiting := self._failures.get(verb):
            raise waiting.pop(0)

    def _body(self, key: ObjectKey) -> dict[str, Any]:
        if key not in self.bodies:
            raise not_found(key)
        return self.bodies[key]

    def _put(self, verb: str, change: str, key: ObjectKey, body: dict[str, Any]) -> dict[str, Any]:
        self.bodies[key] = body = self._stamp(body)
        self._remember(verb, change, key, body)
        return body

    def _drop(self, verb: str, key: ObjectKey, body: dict[str, Any]) -> dict[str, Any]:
        del self.bodies[key]
        body = self._stamp(body)
        self._remember(verb, "DELETED", key, body)
        return body

    def _stamp(self, body: dict[str, Any]) -> dict[str, Any]:
        self._revision += 1
        return {**body, "metadata": {**body["metadata"], "resourceVersion": str(self._revision)}}

    def _remember(self, verb: str, change: str, key: ObjectKey, body: dict[str, Any]) -> None:
        self._log.append((self._revision, change, key, body))
        self.writes.append((verb, key))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
