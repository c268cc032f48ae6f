"""Resources in memory, with the rules that services rely on: revisions, generations, finalizers, conflicts."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import anyio

from controller.client.protocol import ChangeType, Listing, Propagation, WatchEvent
from controller.kit.clock import Clock, SystemClock
from controller.reconcile.informer import Informers
from controller.resources.merge_patch import merge_patch
from crds.errors import AlreadyExists, Conflict, not_found
from crds.kind import Kind, KubeObject
from crds.model import rfc3339

M = TypeVar("M", bound=KubeObject)


@dataclass
class MemoryResources:
    """The Resources protocol over a dict. One revision for all; watches are queues. Not for other threads.

    It keeps revisions, generations, conflicts and finalizers; no invariants, no owners. `keepers`: whether resources
    get the finalizers of their kind at birth, which only a reconciler takes away again.
    """

    clock: Clock = field(default_factory=SystemClock)
    keepers: bool = False
    revision: int = 0
    items: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    history: list[tuple[str, ChangeType, dict[str, Any]]] = field(default_factory=list)
    watchers: list[tuple[str, asyncio.Queue[tuple[ChangeType, dict[str, Any]]]]] = field(default_factory=list)

    async def get(self, kind: Kind[M], name: str, namespace: str | None = None) -> M:
        return kind.parse(self._body(kind, name, namespace))

    async def list(
        self, kind: Kind[M], namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Listing[M]:
        found = [
            kind.parse(body)
            for (plural, where, _), body in self.items.items()
            if plural == kind.plural and namespace in (None, where)
        ]
        return Listing(found, self.revision)

    @asynccontextmanager
    async def watch(
        self, kind: Kind[M], *, after: int, namespace: str | None = None
    ) -> AsyncIterator[AsyncIterator[WatchEvent[M]]]:
        queue: asyncio.Queue[tuple[ChangeType, dict[str, Any]]] = asyncio.Queue()
        for plural, change, body in self.history:
            if plural == kind.plural and int(body["metadata"]["resourceVersion"]) > after:
                queue.put_nowait((change, body))
        self.watchers.append((kind.plural, queue))
        try:
            yield _steps(kind, queue)
        finally:
            self.watchers.remove((kind.plural, queue))

    async def create(self, kind: Kind[M], resource: M) -> M:
        key = self._key(kind, resource.metadata.name, resource.metadata.namespace)
        if key in self.items:
            raise AlreadyExists(f'{kind.resource} "{resource.metadata.name}" already exists')
        body = {**resource.wire(), "apiVersion": kind.api_version, "kind": kind.name}
        made: dict[str, Any] = {"uid": str(uuid.uuid4()), "creationTimestamp": self._now(), "generation": 1}
        if self.keepers and kind.keepers:
            made["finalizers"] = sorted({*body["metadata"].get("finalizers", ()), *kind.keepers})
        body["metadata"] = {**body["metadata"], **made, **({"namespace": key[1]} if key[1] else {})}
        return kind.parse(self._write("ADDED", key, body))

    async def replace(self, kind: Kind[M], resource: M) -> M:
        here = self._body(kind, resource.metadata.name, resource.metadata.namespace)
        if here["metadata"]["resourceVersion"] != resource.metadata.resource_version:
            raise Conflict(f"{resource.metadata.name} changed since it was read")
        return kind.parse(self._update(kind, here, resource.wire()))

    async def patch(
        self,
        kind: Kind[M],
        name: str,
        patch: dict[str, Any],
        namespace: str | None = None,
        *,
        subresource: Literal["", "status"] = "",
    ) -> M:
        here = self._body(kind, name, namespace)
        expected = (patch.get("metadata") or {}).get("resourceVersion")
        if expected and expected != here["metadata"]["resourceVersion"]:
            raise Conflict(f"{name} changed since it was read")
        merged = merge_patch(here, patch)
        kind.parse(merged)
        return kind.parse(self._update(kind, here, merged))

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
        body = self._body(kind, name, namespace)
        if uid and body["metadata"]["uid"] != uid:
            raise Conflict(f"{name} is another one by now")
        if resource_version and body["metadata"]["resourceVersion"] != resource_version:
            raise Conflict(f"{name} was changed meanwhile")
        if not body["metadata"].get("finalizers"):
            self._remove(self._key(kind, name, namespace), body)
        elif "deletionTimestamp" not in body["metadata"]:
            meta = {**body["metadata"], "deletionTimestamp": self._now()}
            self._update(kind, body, {**body, "metadata": meta})

    def _update(self, kind: Kind[Any], before: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        """A change of the spec is a new generation; without its last finalizer, what is to be deleted goes."""
        meta = body["metadata"]
        if before.get("spec") != body.get("spec"):
            body = {**body, "metadata": {**meta, "generation": meta.get("generation", 1) + 1}}
        key = self._key(kind, meta["name"], meta.get("namespace"))
        if "deletionTimestamp" in meta and not meta.get("finalizers"):
            return self._remove(key, body)
        return self._write("MODIFIED", key, body)

    def _remove(self, key: tuple[str, str, str], body: dict[str, Any]) -> dict[str, Any]:
        gone = self._write("DELETED", key, body)
        del self.items[key]
        return gone

    def _now(self) -> str:
        return rfc3339(self.clock.now())

    def _key(self, kind: Kind[Any], name: str, namespace: str | None) -> tuple[str, str, str]:
        return kind.plural, (namespace or "default") if kind.namespaced else "", name

    def _body(self, kind: Kind[Any], name: str, namespace: str | None) -> dict[str, Any]:
        body = self.items.get(self._key(kind, name, namespace))
        if body is None:
            raise not_found(kind.key(name, namespace))
        return body

    def _write(self, change: ChangeType, key: tuple[str, str, str], body: dict[str, Any]) -> dict[str, Any]:
        self.revision += 1
        body = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.revision)}}
        self.items[key] = body
        self.history.append((key[0], change, body))
        for plural, queue in self.watchers:
            if plural == key[0]:
                queue.put_nowait((change, body))
        return body


async def _steps(
    kind: Kind[M], queue: asyncio.Queue[tuple[ChangeType, dict[str, Any]]]
) -> AsyncIterator[WatchEvent[M]]:
    while True:
        change, body = await queue.get()
        yield WatchEvent(change, kind.parse(body), int(body["metadata"]["resourceVersion"]))


@asynccontextmanager
async def watched(resources: MemoryResources, *kinds: Kind[Any]) -> AsyncIterator[Informers]:
    """What a loop has seen of those kinds, for the `World` of a reconciler."""
    async with anyio.create_task_group() as tasks:
        seen = Informers(kinds, resources, random.Random(1))  # noqa: S311 - spreads reconnections
        seen.start(tasks)
        await seen.wait_synced()
        yield seen
        tasks.cancel_scope.cancel()
