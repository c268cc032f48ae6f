"""Views, and how they are read and followed like stored kinds."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import orjson
from pydantic import ConfigDict

from api.kube.tenancy import Tenancy
from api.kube.views.unsupported_fields import refuse_losses
from controller.resources.managed_fields.tracking import LAST_APPLIED
from controller.resources.registry import Registry, WriteResult
from controller.resources.strategy import WriteOptions
from controller.store.followers import ConvertedFollower
from controller.store.records import Follower, Record, Snapshot, StoreEvent, Verb
from crds.errors import MethodNotAllowed, not_found
from crds.kind import Kind, KubeObject
from crds.meta import ObjectKey

Body = dict[str, Any]
_NAMESPACE = uuid.UUID("6d1f8f6e-7d0f-4a38-9a5e-3f0a0c5b7e11")


class ViewObject(KubeObject):
    """Any fields: what is shown was valid before."""

    model_config = ConfigDict(extra="allow")


class View(Protocol):
    """One kind that is shown from another."""

    kind: Kind[Any]
    source: Kind[Any]

    def show(self, resource: Body) -> Iterable[Body]:
        """What is shown of one stored resource. Pure. Each has a name, and a namespace where the kind has one."""
        ...

    def holder(self, key: ObjectKey) -> Iterable[ObjectKey]:
        """The stored resources that may hold what `key` names; the one that shows it counts."""
        ...


class WritableView(View, Protocol):
    """A view whose writes become writes of the stored resource, or of a part of it (`status`)."""

    part: str

    def back(self, resource: Body, shown: Body, wanted: Body) -> Body:
        """The stored resource after `shown` was edited to `wanted`. Raises Invalid for what cannot be translated."""
        ...


def own_annotations(resource: Body) -> Body:
    """Annotations that a view shows. What `kubectl apply` noted of the stored resource is no word about the view."""
    annotations = resource["metadata"].get("annotations") or {}
    return {name: value for name, value in annotations.items() if name != LAST_APPLIED}


def given_annotations(resource: Body, given: Body) -> Body:
    """The annotations to store when `given` were written to a view."""
    kept = {n: v for n, v in (resource["metadata"].get("annotations") or {}).items() if n == LAST_APPLIED}
    return {**{name: value for name, value in given.items() if name != LAST_APPLIED}, **kept}


def shown_uid(*parts: str) -> str:
    """A uid that is the same whenever it is computed from the same parts."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def show_record(view: View, record: Record) -> Iterator[Record]:
    """What the view shows of one record, as records of the view's kind."""
    for body in view.show(record.object):
        meta = {**body["metadata"], "resourceVersion": str(record.revision)}
        whole = {"apiVersion": view.kind.api_version, "kind": view.kind.name, **body, "metadata": meta}
        key = view.kind.key(meta["name"], meta.get("namespace"))
        yield replace(record, key=key, uid=meta["uid"], body=orjson.dumps(whole), values=whole)


class ViewStorage:
    """A view as a source of records."""

    def __init__(self, view: View, registry: Registry) -> None:
        self.kind, self.source = view.kind, view.source
        self._view, self._registry, self._store = view, registry, registry.store
        self._tenancy = Tenancy(registry.store)

    @property
    def revision(self) -> int:
        return self._store.revision

    async def get(self, kind: Kind[Any], key: ObjectKey) -> Record:
        return self.found(key)[0]

    async def fresh(self, kind: Kind[Any], namespace: str | None) -> Snapshot:
        return self.list(kind, namespace)

    def found(self, key: ObjectKey) -> tuple[Record, Record]:
        """What is shown at `key`, and the record it is shown from. Raises NotFound."""
        for place in self._view.holder(key):
            held = self._store.get(place)
            for record in show_record(self._view, held) if held else ():
                if record.key == key and held:
                    return record, held
        raise not_found(key)

    def list(self, kind: Kind[Any], namespace: str | None) -> Snapshot:
        source = self._view.source
        return self._all(self._store.list(source.group, source.plural, namespace))

    async def list_at(self, kind: Kind[Any], namespace: str | None, revision: int) -> Snapshot:
        source = self._view.source
        await self._tenancy.refuse_before(namespace, revision)
        return self._all(await self._store.list_at(source.group, source.plural, namespace, revision))

    @asynccontextmanager
    async def follow(self, kind: Kind[Any], *, after: int, namespace: str | None) -> AsyncIterator[Follower]:
        source = self._view.source
        await self._tenancy.refuse_before(namespace, after)
        async with self._store.follow(source.group, source.plural, after=after, namespace=namespace) as follower:
            yield ConvertedFollower(follower, partial(shown_happenings, self._view))

    async def update(self, key: ObjectKey, edit: Any, how: WriteOptions) -> WriteResult:
        """The edit, made on what is shown, carried out on what is stored.

        Raises MethodNotAllowed for a view that is read only, NotFound, Conflict, Invalid.
        """
        view: Any = self._view
        if not hasattr(view, "back"):
            raise MethodNotAllowed(f"{view.kind.plural} cannot be changed here; change {view.source.resource}")
        held = self.found(key)[1]

        def translated(current: Body) -> Body:
            shown = next(body for body in self._bodies(current) if body["metadata"]["name"] == key.name)
            wanted = edit(shown)
            stored: Body = view.back(current, shown, wanted)
            after = next(body for body in view.show(stored) if body["metadata"]["name"] == key.name)
            refuse_losses(view.kind, shown, wanted, after)
            identity = {"resourceVersion": (wanted.get("metadata") or {}).get("resourceVersion", "")}
            return {**stored, "metadata": {**stored["metadata"], **identity}}

        written = await self._registry.update(view.source, held.key, translated, how, subresource=view.part)
        body = next(each for each in self._bodies(written.body) if each["metadata"]["name"] == key.name)
        return WriteResult(body, None, written.changed, written.warnings)

    def _bodies(self, resource: Body) -> Iterator[Body]:
        for body in self._view.show(resource):
            meta = {**body["metadata"], "resourceVersion": resource["metadata"]["resourceVersion"]}
            head = {"apiVersion": self._view.kind.api_version, "kind": self._view.kind.name}
            yield {**head, **body, "metadata": meta}

    def _all(self, snapshot: Snapshot) -> Snapshot:
        shown = [each for record in snapshot.records for each in show_record(self._view, record)]
        return Snapshot(snapshot.revision, sorted(shown, key=lambda record: record.key))


def shown_happenings(view: View, happening: StoreEvent) -> Iterator[StoreEvent]:
    """One change of the source, as the changes of what is shown of it; what looks the same did not change."""
    record, before = happening.record, happening.before
    was = {each.key: each for each in show_record(view, before)} if before and before.verb != "deleted" else {}
    now = {each.key: each for each in show_record(view, record)} if record.verb != "deleted" else {}
    for key in sorted(was.keys() | now.keys()):
        old, new = was.get(key), now.get(key)
        if new is None and old is not None:
            yield StoreEvent(_gone(old, record), old)
        elif new is not None and old is not None and old.uid != new.uid:
            yield StoreEvent(_gone(old, record), old)
            yield StoreEvent(replace(new, verb="created"), None)
        elif new is not None and not (old and _looks_the_same(old, new)):
            verb: Verb = "updated" if old else "created"
            yield StoreEvent(replace(new, verb=verb), old)


def _gone(old: Record, record: Record) -> Record:
    meta = {**old.object["metadata"], "resourceVersion": str(record.revision)}
    last = {**old.object, "metadata": meta}
    return replace(old, revision=record.revision, verb="deleted", body=orjson.dumps(last), values=last)


def _looks_the_same(old: Record, new: Record) -> bool:
    def timeless(record: Record) -> Body:
        meta = {name: value for name, value in record.object["metadata"].items() if name != "resourceVersion"}
        return {**record.object, "metadata": meta}

    return timeless(old) == timeless(new)
