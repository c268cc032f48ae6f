"""Asks a kind's invariants (`crds.invariants`) before a write is stored, and shows them what else there is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from typing import Any

import anyio

from controller.kit.clock import Clock
from controller.store.records import Store
from crds.catalog import Catalog
from crds.errors import ApiError
from crds.invariants import CONDUCTOR, GROUP, Body, Operation, Referrer, Transition, is_dying
from crds.kind import Kind
from crds.kinds.namespace import NAMESPACE
from crds.meta import ObjectKey

_UNJUDGED: AbstractAsyncContextManager[None] = nullcontext()


class StoreView:
    """The `crds.invariants.View` of a store and its catalog."""

    def __init__(self, store: Store, catalog: Catalog, clock: Clock) -> None:
        self._store, self._catalog, self._clock = store, catalog, clock

    def list(self, plural: str, namespace: str | None = None, group: str = GROUP) -> Iterable[Body]:
        return [each.object for each in self._store.list(group, plural, namespace).records]

    def referrers(self, plural: str, namespace: str | None = None, group: str = GROUP) -> Iterator[Referrer]:
        for kind in self._catalog:
            for reference in kind.references:
                if (reference.group, reference.plural) == (group, plural):
                    for body in self.list(kind.plural, namespace, kind.group):
                        yield from (Referrer(kind, body, name) for name in reference.names(body))

    def needs_of(self, managed: str) -> tuple[str, ...]:
        return self._catalog.needs.get(managed, ())

    def undeletable(self, namespace: str) -> Iterator[str]:
        for kind in self._catalog:
            if kind.namespaced and kind.invariants:
                for body in self.list(kind.plural, namespace, kind.group):
                    if not is_dying(body) and (why := self._why_not(kind, namespace, body)):
                        yield why

    def _why_not(self, kind: Kind[Any], namespace: str, body: Body) -> str | None:
        key = kind.key(body["metadata"]["name"], namespace)
        now = self._clock.now()
        transition = Transition(kind, key, "delete", body, None, CONDUCTOR, now, self, cascade=True, together=True)
        try:
            _ask(transition)
        except ApiError as refused:
            return refused.message
        return None


class Guard:
    """One per registry."""

    def __init__(self, store: Store, catalog: Catalog, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._view = StoreView(store, catalog, clock)
        self._locks: dict[str, anyio.Lock] = {}

    def judging(
        self, kind: Kind[Any], key: ObjectKey, operation: Operation, old: Body | None, new: Body | None, by: str
    ) -> AbstractAsyncContextManager[None]:
        """The write happens inside. Entering raises what the invariants raise."""
        asked = [each for each in kind.invariants if operation in each.on]
        if not asked:
            return _UNJUDGED
        transition = Transition(
            kind, key, operation, old, new, by, self._clock.now(), self._view, self._goes_along(key)
        )
        return self._judging(transition, exclusive=any(each.exclusive for each in asked))

    @asynccontextmanager
    async def _judging(self, transition: Transition, *, exclusive: bool) -> AsyncIterator[None]:
        if not exclusive:
            _ask(transition)
            yield
            return
        async with self._locks.setdefault(transition.kind.resource, anyio.Lock()):
            _ask(replace(transition, now=self._clock.now()))
            yield

    def _goes_along(self, key: ObjectKey) -> bool:
        around = self._store.get(NAMESPACE.key(key.namespace)) if key.namespace else None
        return around is not None and is_dying(around.object)


def _ask(transition: Transition) -> None:
    for each in transition.kind.invariants:
        if transition.operation in each.on:
            each.check(transition)
