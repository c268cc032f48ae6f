"""Namespaces and owners: what goes when something else goes."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from controller.client.protocol import Propagation
from controller.reconcile.event_recorder import EventExpirer, EventRecorder
from controller.reconcile.informer import Informers
from controller.reconcile.outcome import again, done
from controller.reconcilers.garbage_collector import GarbageCollector, collect_garbage
from controller.reconcilers.namespace import NamespaceReconciler
from crds.catalog import Catalog
from crds.kinds.event import EVENT
from crds.kinds.namespace import NAMESPACE
from crds.meta import OwnerReference
from tests.unit.reconcile.conftest import BULB, LAMP, House, Lamp, Scripted

pytestmark = pytest.mark.anyio
CATALOG = Catalog([NAMESPACE, EVENT, LAMP, BULB])


@asynccontextmanager
async def collecting(house: House) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        await tasks.start(_run, GarbageCollector(house.resources, CATALOG, house.clock, random.Random(1)))
        yield
        tasks.cancel_scope.cancel()


async def _run(collector: GarbageCollector, *, task_status: Any) -> None:
    await collector.run(task_status=task_status)


async def bulb_of(house: House, *owners: Lamp, name: str = "bulb", blocks: bool = True) -> Lamp:
    bulb = BULB.new(name, namespace="home")
    bulb.metadata.owner_references = [
        OwnerReference(
            api_version=each.api_version,
            kind=each.kind,
            name=each.metadata.name,
            uid=each.metadata.uid or "",
            block_owner_deletion=blocks,
        )
        for each in owners
    ]
    return await house.resources.create(BULB, bulb)


def left(house: House) -> list[str]:
    return sorted(key.name for key in house.resources.bodies)


async def test_a_collector_that_begins_anew_knows_what_others_follow_already(house: House) -> None:
    """Kinds come and go while it runs; what the loop follows, it need not list again."""
    catalog = Catalog([NAMESPACE, EVENT, LAMP, BULB])
    shared = Informers([NAMESPACE, LAMP, BULB], house.resources, random.Random(1))
    async with anyio.create_task_group() as tasks:
        shared.start(tasks)
        tasks.start_soon(collect_garbage, house.resources, catalog, house.clock, shared)
        lamp = await house.lamp("one")
        await bulb_of(house, lamp)
        for _ in range(3):
            await anyio.sleep(1)
            catalog.changed()
        await anyio.sleep(1)
        await house.resources.delete(LAMP, "one", "home")
        await anyio.sleep(1)
        assert left(house) == []
        assert house.resources.listings == 3
        assert [len(each._listeners) for each in shared] == [1, 1, 1], "those that ended hear no more"
        tasks.cancel_scope.cancel()


async def test_a_dependent_goes_with_its_last_owner(house: House) -> None:
    async with collecting(house):
        one, two = await house.lamp("one"), await house.lamp("two")
        await bulb_of(house, one, two)
        await anyio.sleep(1)
        await house.resources.delete(LAMP, "one", "home")
        await anyio.sleep(1)
        assert left(house) == ["bulb", "two"]
        await house.resources.delete(LAMP, "two", "home")
        await anyio.sleep(1)
    assert left(house) == []


async def test_what_lost_its_owner_while_nobody_looked_goes_too(house: House) -> None:
    lamp = await house.lamp()
    await bulb_of(house, lamp)
    await house.resources.delete(LAMP, "desk", "home")
    await house.lamp()  # the same name, another uid
    async with collecting(house):
        await anyio.sleep(1)
    assert left(house) == ["desk"]


async def test_an_owner_we_cannot_look_for_is_spared(house: House) -> None:
    stranger = Lamp(api_version="elsewhere/v1", kind="Thing")
    stranger.metadata.name, stranger.metadata.uid = "x", "uid-x"
    await bulb_of(house, stranger)
    async with collecting(house):
        await anyio.sleep(10)
    assert left(house) == ["bulb"]


async def test_nobody_in_another_namespace_owns_anything(house: House) -> None:
    """It goes, as in Kubernetes, and an event says why; what also has an owner of its own namespace stays."""
    stranger = await house.resources.create(LAMP, LAMP.new("far", namespace="away"))
    await bulb_of(house, stranger, name="lost")
    await bulb_of(house, stranger, await house.lamp(), name="kept")
    teller = EventRecorder(house.resources, house.clock, "test")
    collector = GarbageCollector(house.resources, CATALOG, house.clock, random.Random(1), events=teller)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(teller.run)
        await tasks.start(_run, collector)
        await anyio.sleep(5)
        tasks.cancel_scope.cancel()
    events = (await house.resources.list(EVENT)).items
    assert [(each.reason, each.involved_object.name) for each in events] == [("OwnerRefInvalidNamespace", "lost")]
    assert "does not exist in namespace home, but in away" in events[0].message
    assert {"far", "kept", "desk"} <= set(left(house)) and "lost" not in left(house)


async def test_what_something_of_no_namespace_owns_goes_with_it(house: House) -> None:
    async with collecting(house):
        space = await house.resources.create(NAMESPACE, NAMESPACE.new("owner"))
        await bulb_of(house, space)
        await anyio.sleep(10)
        assert left(house) == ["bulb", "owner"]
        await house.resources.delete(NAMESPACE, "owner")
        await anyio.sleep(1)
    assert left(house) == []


async def test_a_copy_that_is_behind_condemns_nobody(house: House) -> None:
    async with collecting(house):
        house.resources.watching = False
        house.resources.hang_up()
        lamp = await house.lamp()
        await bulb_of(house, lamp)
        house.resources.watching = True
        house.resources.hang_up()
        await anyio.sleep(10)
    assert left(house) == ["bulb", "desk"]


async def test_foreground_waits_for_blocking_dependents(house: House) -> None:
    async with collecting(house):
        bulb = await bulb_of(house, await house.lamp())
        patch = {"metadata": {"finalizers": ["test/hold"]}}
        await house.resources.patch(BULB, bulb.metadata.name, patch, "home")
        await house.resources.delete(LAMP, "desk", "home", propagation="Foreground")
        await anyio.sleep(30)
        assert left(house) == ["bulb", "desk"]
        await house.resources.patch(BULB, "bulb", {"metadata": {"finalizers": None}}, "home")
        await anyio.sleep(5)
    assert left(house) == []


async def test_two_that_own_each_other_do_not_wait_for_ever(house: House) -> None:
    async with collecting(house):
        lamp = await house.lamp()
        bulb = await bulb_of(house, lamp)
        circle = {"apiVersion": "test/v1", "kind": "Bulb", "name": "bulb", "uid": bulb.metadata.uid}
        patch = {"metadata": {"ownerReferences": [{**circle, "blockOwnerDeletion": True}]}}
        await house.resources.patch(LAMP, "desk", patch, "home")
        await house.resources.delete(LAMP, "desk", "home", propagation="Foreground")
        await anyio.sleep(30)
    assert left(house) == []


async def test_orphans_stay(house: House) -> None:
    async with collecting(house):
        await bulb_of(house, await house.lamp())
        await house.resources.delete(LAMP, "desk", "home", propagation="Orphan")
        await anyio.sleep(30)
    assert left(house) == ["bulb"]
    assert not (await house.resources.get(BULB, "bulb", "home")).metadata.owner_references


async def test_a_namespace_goes_when_it_is_empty(house: House) -> None:
    lamps = Scripted(finalizer="test/off", last=[again(2, "cooling"), again(2, "cooling"), done()])
    async with house.running(NamespaceReconciler(CATALOG), lamps):
        await house.resources.create(NAMESPACE, NAMESPACE.new("home"))
        await house.lamp()
        await house.lamp("other", kind=BULB)
        await anyio.sleep(1)
        assert (await house.resources.get(NAMESPACE, "home")).status.phase == "Active"
        await house.resources.delete(NAMESPACE, "home")
        await anyio.sleep(1.5)
        going = await house.resources.get(NAMESPACE, "home")
        assert going.status.phase == "Terminating"
        told = {each.type: each for each in going.status.conditions}
        assert "still inside: 1 lamps" in [each.message for each in told.values()]
        remaining = told["NamespaceContentRemaining"]
        assert (remaining.status, remaining.reason) == ("True", "SomeResourcesRemain")
        assert remaining.message == "Some resources are remaining: lamps.test has 1 resource instances"
        held = told["NamespaceFinalizersRemaining"]
        assert (held.status, "test/off in 1 resource instances" in held.message) == ("True", True)
        assert told["NamespaceDeletionContentFailure"].status == "False"
        await anyio.sleep(20)
    assert left(house) == []


@pytest.mark.parametrize("propagation", ["Background", "Foreground", "Orphan"])
async def test_a_namespace_goes_however_its_deletion_is_worded(house: House, propagation: Propagation) -> None:
    async with house.running(NamespaceReconciler(CATALOG), Scripted()), collecting(house):
        await house.resources.create(NAMESPACE, NAMESPACE.new("home"))
        await bulb_of(house, await house.lamp())
        await anyio.sleep(1)
        await house.resources.delete(NAMESPACE, "home", propagation=propagation)
        await anyio.sleep(30)
    assert left(house) == []


async def test_old_events_are_swept(house: House) -> None:
    teller = EventRecorder(house.resources, house.clock, "test")
    lamp = await house.lamp()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(teller.run)
        tasks.start_soon(EventExpirer(house.resources, house.clock, random.Random(1)).run)
        teller.record(lamp, "Old", "old")
        await anyio.sleep(3000)
        teller.record(lamp, "New", "new")
        await anyio.sleep(1000)
        assert [each.reason for each in (await house.resources.list(EVENT)).items] == ["New"]
        tasks.cancel_scope.cancel()


async def test_too_much_news_is_dropped_not_waited_for(house: House) -> None:
    teller = EventRecorder(house.resources, house.clock, "test", limit=10)
    lamp = await house.lamp()
    for number in range(25):
        teller.record(lamp, "Many", f"number {number}")
    assert teller.dropped == 15


async def test_news_that_cannot_be_written_stops_nobody(house: House, broken: Exception) -> None:
    teller = EventRecorder(house.resources, house.clock, "test")
    house.resources.fail_next("create", broken, ValueError("strange"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(teller.run)
        for reason in ("One", "Two", "Three"):
            teller.record(Lamp(kind="Lamp"), reason, "x")
        await anyio.sleep(1)
        tasks.cancel_scope.cancel()
    assert [each.reason for each in (await house.resources.list(EVENT)).items] == ["Three"]
    assert teller.dropped == 2
