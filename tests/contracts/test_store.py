"""The promises of `controller.store.records.Store`, kept by every backend that is listed here."""

import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import pytest

from controller.kit.clock import SystemClock
from controller.kit.threads import Threads
from controller.store.records import Change, Compacted, Stale, StoreBroken
from controller.store.sql import SqlStore, open_store
from crds.meta import ObjectKey

pytestmark = pytest.mark.anyio


def opened(folder: Path) -> AbstractAsyncContextManager[SqlStore]:
    return open_store(f"sqlite:///{folder}/records.db", threads=Threads(4), clock=SystemClock())


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with opened(tmp_path) as made:
        yield made


def key(name: str, plural: str = "things", namespace: str = "default") -> ObjectKey:
    return ObjectKey("test.group", plural, namespace, name)


def body(name: str, value: Any = 0) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "generation": 1}, "value": value}


async def put(store: SqlStore, name: str, value: Any = 0, *, expect: int = 0, plural: str = "things") -> int:
    return (await store.write([Change(key(name, plural), body(name, value), expect)], by="test"))[0].revision


async def test_revisions_count_up_without_gaps_over_all_kinds(store: SqlStore) -> None:
    assert [await put(store, "a"), await put(store, "b", plural="others"), await put(store, "c")] == [1, 2, 3]
    assert store.revision == 3


async def test_a_record_carries_its_own_revision(store: SqlStore) -> None:
    revision = await put(store, "a", 7)
    record = store.get(key("a"))
    assert record is not None
    assert record.object["metadata"]["resourceVersion"] == str(revision)
    assert (record.verb, record.previous, record.uid, record.written_by) == ("created", 0, "uid-a", "test")


async def test_a_stale_write_writes_nothing(store: SqlStore) -> None:
    first = await put(store, "a", 1)
    await put(store, "a", 2, expect=first)
    with pytest.raises(Stale) as caught:
        await store.write([Change(key("b"), body("b"), 0), Change(key("a"), body("a", 3), first)], by="late")
    assert (caught.value.expected, caught.value.found) == (first, 2)
    assert store.get(key("b")) is None
    assert store.revision == 2


async def test_what_does_not_exist_cannot_be_deleted_or_changed(store: SqlStore) -> None:
    with pytest.raises(Stale):
        await store.write([Change(key("a"), None, 0)], by="test")
    with pytest.raises(Stale):
        await put(store, "a", expect=9)


async def test_a_deleted_name_can_be_made_again_and_again(store: SqlStore) -> None:
    for _ in range(3):
        revision = await put(store, "a")
        await store.write([Change(key("a"), None, revision)], by="test")
    assert store.get(key("a")) is None
    assert [record.verb for record in await store.history(key("a"))] == ["created", "deleted"] * 3


async def test_one_write_may_touch_one_key_twice(store: SqlStore) -> None:
    changes = [Change(key("a"), body("a", 1), 0), Change(key("a"), body("a", 2), 1), Change(key("a"), None, 2)]
    records = await store.write(changes, by="test")
    assert [(record.revision, record.verb) for record in records] == [(1, "created"), (2, "updated"), (3, "deleted")]


async def test_everything_is_there_after_opening_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        first = await put(store, "a", 1)
        await put(store, "a", 2, expect=first)
        gone = await put(store, "b")
        await store.write([Change(key("b"), None, gone)], by="test")
        before = store.list("test.group", "things")
    async with opened(tmp_path) as store:
        assert store.list("test.group", "things") == before
        assert await put(store, "b") == 5


async def test_lists_are_ordered_and_know_their_namespace(store: SqlStore) -> None:
    for namespace, name in [("b", "x"), ("a", "z"), ("a", "y")]:
        await store.write([Change(key(name, namespace=namespace), body(name), 0)], by="test")
    names = [(r.key.namespace, r.key.name) for r in store.list("test.group", "things").records]
    assert names == [("a", "y"), ("a", "z"), ("b", "x")]
    assert len(store.list("test.group", "things", "a").records) == 2
    assert store.list("test.group", "nothing").records == ()


async def test_the_past_can_be_read(store: SqlStore) -> None:
    first = await put(store, "a", 1)
    second = await put(store, "a", 2, expect=first)
    await store.write([Change(key("a"), None, second)], by="test")
    at_first = await store.get_at(key("a"), first)
    assert at_first is not None
    assert at_first.object["value"] == 1
    assert [r.object["value"] for r in (await store.list_at("test.group", "things", None, second)).records] == [2]
    assert (await store.list_at("test.group", "things", None, 3)).records == ()
    assert await store.revision_at(at_first.written_at) == first


async def test_compaction_keeps_the_state_it_was_asked_to_keep(store: SqlStore) -> None:
    revision = 0
    for value in range(10):
        revision = await put(store, "a", value, expect=revision)
    other = await put(store, "b")
    await store.write([Change(key("b"), None, other)], by="test")
    await put(store, "a", "last", expect=revision)
    assert await store.compact(keep_after=12) == 11
    assert store.oldest == 12
    with pytest.raises(Compacted):
        await store.get_at(key("a"), 11)
    with pytest.raises(Compacted):
        async with store.follow("test.group", "things", after=11):
            pass
    kept = await store.get_at(key("a"), 12)
    assert kept is not None
    assert kept.object["value"] == 9
    assert await put(store, "b") == 14


async def test_a_follower_reads_the_past_from_disk_and_the_present_from_memory(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for number in range(5):
            await put(store, f"n{number}")
    async with opened(tmp_path) as store, store.follow("test.group", "things", after=2) as follower:
        await put(store, "n5")
        seen: list[int] = []
        with anyio.fail_after(5):
            async for batch in follower:
                seen += [happening.record.revision for happening in batch]
                if seen[-1] == 6:
                    break
        assert seen == [3, 4, 5, 6]
        assert follower.position == 6


async def test_a_follower_gets_the_record_before(store: SqlStore) -> None:
    first = await put(store, "a", "old")
    async with store.follow("test.group", "things", after=first) as follower:
        await put(store, "a", "new", expect=first)
        with anyio.fail_after(5):
            (happening,) = await follower.__aiter__().__anext__()
    assert happening.before is not None
    assert (happening.before.object["value"], happening.record.object["value"]) == ("old", "new")


async def test_every_follower_sees_every_revision_once_whatever_happens_around(store: SqlStore) -> None:
    """8 writers race on shared names; followers come, die in the middle of a wait, and resume where they were."""
    total, rng = 400, random.Random(7)
    logs: list[list[int]] = [[] for _ in range(6)]

    async def writing(number: int) -> None:
        for step in range(total // 8):
            while True:
                name = f"n{rng.randrange(5)}"
                head = store.get(key(name))
                try:
                    await put(store, name, (number, step), expect=head.revision if head else 0)
                    break
                except Stale:
                    continue

    async def following(log: list[int]) -> None:
        while not log or log[-1] < total:
            with anyio.move_on_after(rng.random() / 50):
                async with store.follow("test.group", "things", after=log[-1] if log else 0) as follower:
                    async for batch in follower:
                        log += [happening.record.revision for happening in batch]

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(writing, number)
            for log in logs:
                group.start_soon(following, log)
    assert all(log == list(range(1, total + 1)) for log in logs)


async def test_a_cancelled_writer_breaks_nobody_elses_batch(store: SqlStore) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(put, store, "a")
        with anyio.move_on_after(0):
            await put(store, "b")
    assert store.get(key("a")) is not None
    await put(store, "c")
    assert [record.revision for record in await store.history(key("c"))] == [store.revision]


async def test_two_processes_on_one_file_never_share_a_revision(tmp_path: Path) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as two:
        await put(one, "a")
        await put(two, "b")
        await put(one, "c")
        assert [record.key.name for record in one.list("test.group", "things").records] == ["a", "b", "c"]
        with pytest.raises(Stale):
            await put(two, "c")


async def test_a_file_that_is_no_database_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "records.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreBroken, match=r"cannot open .*records\.db.*check that"):
        async with opened(tmp_path):
            pass
