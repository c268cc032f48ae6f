"""The past, followers of what comes, and compaction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest
from contracts.store.things import Reopen, body, head_of, history_of, key, put, remove, take

from controller.store.records import Change, Compacted, Store

pytestmark = pytest.mark.anyio


async def test_the_past_can_be_asked(store: Store) -> None:
    first = await put(store, key("a"), size=1)
    await put(store, key("b", "other"))
    await put(store, key("a"), size=2)
    await remove(store, key("a"))
    at_two = await store.list_at("test.dev", "things", None, 2)
    assert (at_two.revision, [r.key.name for r in at_two.records]) == (2, ["a", "b"])
    assert [r.key.name for r in (await store.list_at("test.dev", "things", "other", 4)).records] == ["b"]
    assert await store.get_at(key("a"), 2) == first
    assert await store.get_at(key("a"), 4) is None
    assert await store.get_at(key("b", "other"), 1) is None
    assert await store.revision_at(first.written_at) == 1
    assert await store.revision_at(first.written_at - timedelta(seconds=1)) == 0
    assert await store.revision_at(datetime.now(UTC)) == 4


async def test_compaction_keeps_what_it_promises(store: Store, opened: Reopen) -> None:
    for size in range(5):
        await put(store, key("a"), size=size)
    await put(store, key("b"))
    gone = await remove(store, key("b"))
    await put(store, key("a"), size=9)
    then = await store.list_at("test.dev", "things", None, 7)
    assert await store.compact(keep_after=7) == 6
    assert store.oldest == 7
    for each in (store, await opened()):
        assert each.oldest == 7
        assert await each.list_at("test.dev", "things", None, 7) == then
        assert [r.revision for r in await each.history(key("a"))] == [5, 8]
        with pytest.raises(Compacted) as caught:
            await each.get_at(key("a"), 6)
        assert (caught.value.asked, caught.value.oldest) == (6, 7)
        with pytest.raises(Compacted):
            async with each.follow("test.dev", "things", after=6):
                pass
        assert [h.record.revision for h in await history_of(each)] == [8]
        assert await each.revision_at(gone.written_at) == 7
        assert await each.revision_at(gone.written_at - timedelta(seconds=9)) == 0
    assert (await put(store, key("b"))).previous == 0


async def test_a_follower_gets_what_it_follows(store: Store) -> None:
    await put(store, key("a"))
    async with (
        store.follow("test.dev", "things", after=0) as things,
        store.follow("test.dev", "things", after=0, namespace="x") as in_x,
        store.follow("", "*", after=1) as rest,
    ):
        await put(store, key("b", "x"))
        await put(store, key("c", "x", "others"))
        await put(store, key("a"))
        assert [h.record.revision for h in await take(things, 3)] == [1, 2, 4]
        assert [h.record.revision for h in await take(in_x, 1)] == [2]
        after = await take(rest, 3)
        assert [(h.record.revision, h.before and h.before.revision) for h in after] == [
            (2, None),
            (3, None),
            (4, 1),
        ]
        assert things.position == in_x.position == rest.position == 4
        await put(store, key("d", "x", "others"))
        assert (things.position, rest.position) == (5, 4)


async def test_a_follower_may_wait_for_the_future(store: Store) -> None:
    async with store.follow("test.dev", "things", after=3) as follower, anyio.create_task_group() as tasks:
        found: list[int] = []

        async def listen() -> None:
            found.extend(h.record.revision for h in await take(follower, 1))

        tasks.start_soon(listen)
        for _ in range(4):
            await put(store, key("a"))
            await anyio.wait_all_tasks_blocked()
    assert found == [4]


async def test_a_cancelled_wait_loses_nothing(store: Store) -> None:
    async with store.follow("test.dev", "things", after=0) as follower:
        for _ in range(3):
            with anyio.move_on_after(0):
                await anext(aiter(follower))
        await put(store, key("a"))
        assert [h.record.revision for h in await take(follower, 1)] == [1]
    assert store._following.waiting == {}  # type: ignore[attr-defined]


async def test_a_follower_behind_the_memory_reads_from_disk(opened: Reopen) -> None:
    store = await opened(recent=4)
    async with store.follow("test.dev", "things", after=0) as follower:
        for size in range(10):
            await put(store, key("a"), size=size)
            await put(store, key("b", plural="others"))
        found = await take(follower, 10)
        assert [h.record.object["spec"]["size"] for h in found] == list(range(10))
        assert [h.before and h.before.revision for h in found] == [None, *range(1, 18, 2)]


async def test_a_follower_behind_compaction_is_told(opened: Reopen) -> None:
    store = await opened(recent=4)
    async with store.follow("test.dev", "things", after=1) as follower:
        for _ in range(10):
            await put(store, key("a"))
        await store.compact(keep_after=8)
        with pytest.raises(Compacted), anyio.fail_after(60):
            await anext(aiter(follower))


async def test_a_follower_of_a_quiet_kind_outlives_compaction(opened: Reopen) -> None:
    store = await opened(recent=4)
    async with store.follow("test.dev", "things", after=0) as follower:
        for _ in range(10):
            await put(store, key("a", plural="others"))
        await store.compact(keep_after=10)
        assert follower.position == 10
        await put(store, key("a"))
        assert [h.record.revision for h in await take(follower, 1)] == [11]


async def test_compaction_leaves_room_for_writers(store: Store) -> None:
    for turn in range(60):
        await store.write([Change(key(f"n{n}"), body("x"), head_of(store, f"n{n}")) for n in range(20)], by=f"{turn}")
    gone: list[int] = []

    async def compact() -> None:
        gone.append(await store.compact(keep_after=1200))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(compact)
        while not gone:
            await put(store, key("meanwhile"))
    assert gone == [1180]
    assert store.revision > 1203
    assert [h.record.revision for h in await history_of(store)] == list(range(1201, store.revision + 1))
