"""The informer that operations and reconcilers share, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from crds.kinds.config_map import CONFIG_MAP, ConfigMap
from services.sdk.informer import Informer, ServiceInformers
from services.sdk.testing import MemoryResources, virtual_time


def config_map(name: str = "first") -> ConfigMap:
    return CONFIG_MAP.new(name, namespace="default")


@asynccontextmanager
async def following(resources: MemoryResources) -> AsyncIterator[Informer[ConfigMap]]:
    informer = Informer(resources, CONFIG_MAP)
    running = asyncio.create_task(informer.run())
    await asyncio.sleep(1)
    yield informer
    running.cancel()


@virtual_time
async def test_what_is_dropped_is_hidden_from_operations_and_not_from_its_reconciler() -> None:
    resources = MemoryResources(keepers=True)
    held = config_map()
    held.metadata.finalizers = ["example.com/held"]
    made, heard = await resources.create(CONFIG_MAP, held), list[str]()
    async with following(resources) as informer:
        informer.listen(lambda change, item, before: heard.append(change))
        await resources.delete(CONFIG_MAP, "first", "default")
        informer.drop(made)
        assert informer.get("first", "default") is informer.by_uid(made.metadata.uid or "") is None
        assert not informer.all() and not informer.all("default")
        await asyncio.sleep(1)
        assert informer.get("first", "default") is None and heard == ["ADDED", "MODIFIED"]
        found = informer.by_key(CONFIG_MAP.key("first", "default"))
        assert found is not None and found.metadata.deletion_timestamp is not None, "it is there to be finalized"
        await resources.patch(CONFIG_MAP, "first", {"metadata": {"finalizers": None}}, "default")
        await asyncio.sleep(1)
        assert heard == ["ADDED", "MODIFIED", "DELETED"] and not informer.keys()


@virtual_time
async def test_what_is_made_again_under_that_name_is_seen() -> None:
    resources = MemoryResources()
    made = await resources.create(CONFIG_MAP, config_map())
    async with following(resources) as informer:
        await resources.delete(CONFIG_MAP, "first", "default")
        informer.drop(made)
        again = informer.put(await resources.create(CONFIG_MAP, config_map()))
        for _ in range(2):
            assert informer.get("first", "default") == informer.by_uid(again.metadata.uid or "") == again
            assert informer.by_uid(made.metadata.uid or "") is None
            await asyncio.sleep(1)
        informer.put(made)
        assert informer.get("first", "default") == again, "older news changes nothing"


@virtual_time
async def test_a_miss_is_read_through_and_kept() -> None:
    resources = MemoryResources()
    informer = Informer(resources, CONFIG_MAP)
    assert await informer.read("first", "default") is None
    await resources.create(CONFIG_MAP, config_map())
    found = await informer.read("first", "default")
    assert found is not None and informer.get("first", "default") is found


@virtual_time
async def test_there_is_one_of_each_kind() -> None:
    informers = ServiceInformers(MemoryResources())
    assert (informers.unread(), informers.fault()) == (None, None)
    assert informers.informer(CONFIG_MAP) is informers.informer(CONFIG_MAP) is informers.of(CONFIG_MAP)
    assert informers.unread() == "configmaps are not read yet"
