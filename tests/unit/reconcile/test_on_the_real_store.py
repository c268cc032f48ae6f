"""The loop on the store and the registry it will really run on: the fake must not have flattered it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest

from controller.client.local import LocalResources
from controller.kit.backoff import Backoff
from controller.kit.clock import LoopClock
from controller.kit.threads import Inline
from controller.reconcile.loop import Loop
from controller.reconcile.outcome import Temporary, again, done
from controller.reconcilers.garbage_collector import GarbageCollector
from controller.reconcilers.namespace import NamespaceReconciler
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from controller.store.sql import open_store
from crds.catalog import Catalog
from crds.errors import NotFound
from crds.kinds.event import EVENT
from crds.kinds.namespace import NAMESPACE
from crds.meta import OwnerReference, condition
from tests.unit.reconcile.conftest import BULB, LAMP, Scripted

pytestmark = pytest.mark.anyio
CATALOG = Catalog([NAMESPACE, EVENT, LAMP, BULB])


@asynccontextmanager
async def opened(url: str, clock: LoopClock) -> AsyncIterator[Any]:
    """The store, whether it is opened by awaiting or by entering."""
    opening: Any = open_store(url, threads=Inline(), clock=clock)
    if hasattr(opening, "__aenter__"):
        async with opening as store:
            yield store
        return
    store = await opening
    try:
        yield store
    finally:
        with anyio.CancelScope(shield=True):
            await store.close()


@asynccontextmanager
async def real(folder: Path, *reconcilers: Any) -> AsyncIterator[LocalResources]:
    clock, rng = LoopClock(), random.Random(3)
    async with opened(f"sqlite:///{folder}/house.db", clock) as store:
        resources = LocalResources(Registry(store, CATALOG, clock), by="system:conductor")
        await resources.create(NAMESPACE, NAMESPACE.new("home"))
        loop = Loop(resources, clock, [NamespaceReconciler(CATALOG), *reconcilers], rng, backoff=Backoff(jitter=0))
        async with anyio.create_task_group() as tasks:
            await tasks.start(_run, loop)
            await tasks.start(_run, GarbageCollector(resources, CATALOG, clock, rng, shared=loop.seen))
            yield resources
            tasks.cancel_scope.cancel()


async def _run(component: Any, *, task_status: Any) -> None:
    await component.run(task_status=task_status)


async def test_patience_grows_on_the_real_store_too(tmp_path: Path) -> None:
    scripted = Scripted(*[Temporary("no power", reason="Dark")] * 3, done(), finalizer="test.io/off")
    async with real(tmp_path, scripted) as resources:
        await resources.create(LAMP, LAMP.new("desk", namespace="home"))
        began = anyio.current_time()
        await anyio.sleep(200)
        lamp = await resources.get(LAMP, "desk", "home")
        assert [at - scripted.at[0] for at in scripted.at] == [0, 1, 3, 7]
        assert scripted.at[0] - began < 1
        assert condition(lamp.status.conditions, "Reconciled").status == "True"  # type: ignore[union-attr]
        assert [each.reason for each in (await resources.list(EVENT, "home")).items] == ["Dark"]
        await resources.delete(LAMP, "desk", "home")
        await anyio.sleep(5)
        with pytest.raises(NotFound):
            await resources.get(LAMP, "desk", "home")


async def test_a_namespace_takes_its_contents_along(tmp_path: Path) -> None:
    lamps = Scripted(finalizer="test.io/off", last=[again(2, "cooling"), done()])
    async with real(tmp_path, lamps) as resources:
        lamp = await resources.create(LAMP, LAMP.new("desk", namespace="home"))
        bulb = BULB.new("bulb", namespace="home")
        owner = OwnerReference(api_version=lamp.api_version, kind=lamp.kind, name="desk", uid=lamp.metadata.uid or "")
        bulb.metadata.owner_references = [owner]
        await resources.create(BULB, bulb)
        await anyio.sleep(5)
        await resources.delete(LAMP, "desk", "home", propagation="Foreground")
        await anyio.sleep(10)
        assert not (await resources.list(LAMP)).items
        assert not (await resources.list(BULB)).items
        await resources.create(LAMP, LAMP.new("again", namespace="home"))
        await anyio.sleep(5)
        await resources.delete(NAMESPACE, "home")
        await anyio.sleep(20)
        assert not (await resources.list(LAMP)).items
        with pytest.raises(NotFound):
            await resources.get(NAMESPACE, "home")


async def test_who_watches_shares_what_was_parsed_and_who_asks_gets_a_copy(tmp_path: Path) -> None:
    async with real(tmp_path) as resources:
        await resources.create(LAMP, LAMP.new("desk", namespace="home"))
        async with resources.watch(LAMP, after=0) as one, resources.watch(LAMP, after=0) as other:
            seen = (await anext(one)).object
            assert (await anext(other)).object is seen
        asked = await resources.get(LAMP, "desk", "home")
        assert asked == seen and asked is not seen


async def test_what_a_writer_hands_to_watchers_is_what_is_on_disk(tmp_path: Path) -> None:
    clock, how, desk = LoopClock(), WriteOptions("me", manager="me", named=True), LAMP.key("desk", "home")
    async with opened(f"sqlite:///{tmp_path}/house.db", clock) as store:
        registry = Registry(store, CATALOG, clock)
        resources = LocalResources(registry, by="system:conductor")
        await resources.create(NAMESPACE, NAMESPACE.new("home"))
        began = store.revision
        body = {"metadata": {"name": "desk", "finalizers": ["test.io/off"]}, "spec": {"bright": 1}}
        await registry.create(LAMP, "home", body, how)
        for patch in ({"spec": {"bright": 2}}, {"metadata": {"labels": {"room": "study"}}}):
            await registry.merge(LAMP, desk, patch, how)
            assert registry.get(LAMP, desk).typed is not None  # its watchers need not parse it again
        await registry.merge(LAMP, desk, {"spec": None}, how)
        await registry.merge(LAMP, desk, {"status": {"observedGeneration": 2}}, how, subresource="status")
        await registry.delete(LAMP, desk, how)
        await registry.merge(LAMP, desk, {"metadata": {"finalizers": None}}, how)
        kept = await store.history(desk)
        assert [each.verb for each in kept] == ["created", *["updated"] * 5, "deleted"]
        async with (
            store.follow(LAMP.group, LAMP.plural, after=began) as follower,
            resources.watch(LAMP, after=began) as seen,
        ):
            left = [happening.record for happening in await anext(aiter(follower))]
            for here, there in zip(left, kept, strict=True):
                assert here.object == orjson.loads(there.body)
                assert (await anext(seen)).object == LAMP.parse(there.body)
