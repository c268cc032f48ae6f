"""A cache alone: what it takes over from our own writes, and how it bears a server that is never well."""

from __future__ import annotations

import random

import anyio
import pytest

from controller.kit.backoff import Backoff
from controller.reconcile.informer import Informer, Informers
from crds.errors import Expired, Unavailable
from tests.unit.reconcile.conftest import BULB, LAMP, House

pytestmark = pytest.mark.anyio
KEY = LAMP.key("desk", "home")


def cache_of(house: House) -> Informer[object]:
    return Informer(LAMP, house.resources, random.Random(1), Backoff(first=1, jitter=0))  # type: ignore[return-value]


async def test_our_own_write_is_seen_before_the_watch_brings_it(house: House) -> None:
    cache = cache_of(house)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cache.run)
        await house.lamp()
        await anyio.sleep(1)
        house.resources.watching = False
        house.resources.hang_up()
        await anyio.sleep(1)
        written = await house.resources.patch(LAMP, "desk", {"spec": {"bright": 9}}, "home")
        cache.record_write(written)
        assert cache.by_key(KEY) is written
        tasks.cancel_scope.cancel()


async def test_a_late_note_does_not_bring_back_what_was_deleted(house: House) -> None:
    cache = cache_of(house)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cache.run)
        written = await house.lamp()
        await house.resources.delete(LAMP, "desk", "home")
        await anyio.sleep(1)
        cache.record_write(written)
        assert cache.by_key(KEY) is None
        tasks.cancel_scope.cancel()


async def test_what_was_made_again_outlives_the_late_news_of_the_deletion_before(house: House) -> None:
    cache = cache_of(house)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cache.run)
        await house.lamp()
        await anyio.sleep(1)
        await house.resources.delete(LAMP, "desk", "home")
        new = await house.lamp()
        cache.record_write(new)
        assert cache.by_key(KEY) is new
        await anyio.sleep(1)
        found = cache.by_key(KEY)
        assert found is not None and found.metadata.uid == new.metadata.uid
        tasks.cancel_scope.cancel()


async def test_it_says_why_it_may_be_old(house: House) -> None:
    cache = cache_of(house)
    assert cache.fault == "lamps are not read yet"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cache.run)
        await anyio.sleep(1)
        assert cache.fault is None
        house.resources.fail_next("stream", Unavailable("restarting"))
        house.resources.fail_next("watch", *[Unavailable("restarting")] * 3)
        house.resources.hang_up()
        await anyio.sleep(1)
        assert cache.fault == "lamps cannot be followed: restarting"
        await anyio.sleep(60)
        assert cache.fault is None
        tasks.cancel_scope.cancel()


async def test_a_server_that_always_forgets_is_asked_with_growing_patience(house: House) -> None:
    cache = cache_of(house)
    house.resources.fail_next("watch", *[Expired("gone")] * 100)
    with anyio.move_on_after(100):
        await cache.run()
    assert house.resources.listings < 12
    assert cache.synced.is_set()


async def test_an_unreadable_record_does_not_end_the_watch(house: House) -> None:
    cache = cache_of(house)
    house.resources.fail_next("stream", ValueError("no lamp at all"))
    house.resources.fail_next("list", ValueError("nor here"), Unavailable("nor now"))
    with anyio.move_on_after(60):
        await house.lamp()
        await cache.run()
    assert cache.by_key(KEY) is not None


async def test_what_is_shared_is_followed_once_and_told_from_the_beginning(house: House) -> None:
    first = Informers([LAMP], house.resources, random.Random(1))
    second = Informers([LAMP, BULB], house.resources, random.Random(1), first)
    heard: list[str] = []
    async with anyio.create_task_group() as tasks:
        first.start(tasks)
        await house.lamp()
        await first.wait_synced()
        end = second.of(LAMP).listen(lambda change, item, before: heard.append(f"{change} {item.metadata.name}"))
        second.start(tasks)
        await second.wait_synced()
        await house.lamp("shelf")
        await anyio.sleep(1)
        end()
        await house.lamp("unheard")
        await anyio.sleep(1)
        tasks.cancel_scope.cancel()
    assert second.of(LAMP) is first.of(LAMP)
    assert house.resources.listings == 2, "one of lamps, one of bulbs"
    assert heard == ["ADDED desk", "ADDED shelf"]


async def test_reading_what_is_not_watched_is_a_mistake_with_a_remedy(house: House) -> None:
    caches = Informers([LAMP], house.resources, random.Random(1))
    with pytest.raises(LookupError, match="also_watch or also_read"):
        caches.get(BULB, "x", "home")
