"""What every store promises. A new backend joins by one more entry in BACKENDS."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from controller.kit.clock import SystemClock
from controller.kit.threads import Threads
from controller.store.records import Change, Compacted, Happening, Record, Stale, Store, StoreBroken
from controller.store.sql import open_store
from crds.meta import ObjectKey

pytestmark = pytest.mark.anyio

BACKENDS: dict[str, Callable[[Path], str]] = {"sqlite": lambda folder: f"sqlite:///{folder}/records.db"}
Reopen = Callable[..., Awaitable[Store]]


@pytest.fixture(params=sorted(BACKENDS))
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return BACKENDS[request.param](tmp_path)


@pytest.fixture
async def opened(url: str) -> AsyncIterator[Reopen]:
    stores: list[Store] = []

    async def open_it(**more: Any) -> Store:
        stores.append(await open_store(url, threads=Threads(8), clock=SystemClock(), **more))
        return stores[-1]

    yield open_it
    for store in stores:
        await store.close()


@pytest.fixture
async def store(opened: Reopen) -> Store:
    return await opened()


def key(name: str, namespace: str = "default", plural: str = "things") -> ObjectKey:
    return ObjectKey("test.dev", plural, namespace, name)


def body(name: str, **spec: Any) -> dict[str, Any]:
    return {"kind": "Thing", "metadata": {"name": name, "uid": f"uid-{name}", "generation": 1}, "spec": spec}


async def put(store: Store, where: ObjectKey, **spec: Any) -> Record:
    head = store.get(where)
    expect = head.revision if head else 0
    (record,) = await store.write([Change(where, body(where.name, **spec), expect)], by="ada")
    return record


async def remove(store: Store, where: ObjectKey) -> Record:
    head = store.get(where)
    assert head is not None
    (record,) = await store.write([Change(where, None, head.revision)], by="ada")
    return record


async def take(follower: Any, count: int) -> list[Happening]:
    found: list[Happening] = []
    with anyio.fail_after(60):
        async for batch in follower:
            found.extend(batch)
            if len(found) >= count:
                break
    return found


async def test_an_empty_store_stands_at_zero(store: Store) -> None:
    assert (store.revision, store.oldest) == (0, 0)
    assert store.get(key("a")) is None
    assert store.list("test.dev", "things").records == ()


async def test_a_record_says_who_what_and_which_version(store: Store) -> None:
    before = datetime.now(UTC)
    made = await put(store, key("a"), size=1)
    changed = await put(store, key("a"), size=2)
    gone = await remove(store, key("a"))
    assert [(r.revision, r.verb, r.previous) for r in (made, changed, gone)] == [
        (1, "created", 0),
        (2, "updated", 1),
        (3, "deleted", 2),
    ]
    assert (made.uid, made.generation, made.written_by) == ("uid-a", 1, "ada")
    assert before <= made.written_at <= datetime.now(UTC)
    assert changed.object["metadata"]["resourceVersion"] == "2"
    assert gone.object["spec"] == {"size": 2}
    assert gone.object["metadata"]["resourceVersion"] == "3"


async def test_the_given_body_is_left_alone(store: Store) -> None:
    given = body("a")
    await store.write([Change(key("a"), given, 0)], by="ada")
    assert given == body("a")


async def test_a_stale_change_writes_nothing(store: Store) -> None:
    await put(store, key("a"))
    with pytest.raises(Stale) as caught:
        await store.write([Change(key("b"), body("b"), 0), Change(key("a"), body("a"), 7)], by="ada")
    assert (caught.value.key, caught.value.expected, caught.value.found) == (key("a"), 7, 1)
    assert store.revision == 1
    assert store.get(key("b")) is None


async def test_a_deletion_must_know_what_it_deletes(store: Store) -> None:
    with pytest.raises(ValueError, match="must expect"):
        await store.write([Change(key("a"), None, 0)], by="ada")
    with pytest.raises(Stale):
        await store.write([Change(key("a"), None, 3)], by="ada")


async def test_a_name_can_live_again(store: Store, opened: Reopen) -> None:
    for _ in range(3):
        assert (await put(store, key("a"))).previous == 0
        await remove(store, key("a"))
    again = await opened()
    assert again.get(key("a")) is None
    assert (await put(again, key("a"))).revision == 7
    assert [r.verb for r in await again.history(key("a"))] == ["created", "deleted"] * 3 + ["created"]


async def test_lists_are_ordered_and_keep_still(store: Store) -> None:
    for name, namespace in [("b", "x"), ("a", "y"), ("a", "x"), ("c", "x-1")]:
        await put(store, key(name, namespace))
    seen = store.list("test.dev", "things")
    await remove(store, key("b", "x"))
    assert [(r.key.namespace, r.key.name) for r in seen.records] == [
        ("x", "a"),
        ("x", "b"),
        ("x-1", "c"),
        ("y", "a"),
    ]
    assert seen.revision == 4
    assert [r.key.name for r in store.list("test.dev", "things", "x").records] == ["a"]
    assert store.list("test.dev", "others").records == ()


async def test_a_reopened_store_knows_everything(store: Store, opened: Reopen) -> None:
    await put(store, key("a"), size=1)
    await put(store, key("b"))
    await remove(store, key("b"))
    again = await opened()
    assert again.revision == 3
    assert again.list("test.dev", "things") == store.list("test.dev", "things")


async def test_many_writers_one_wins_per_version(store: Store) -> None:
    await put(store, key("a"))
    won: list[int] = []

    async def try_once(number: int) -> None:
        try:
            await store.write([Change(key("a"), body("a", by=number), 1)], by=str(number))
            won.append(number)
        except Stale as stale:
            assert stale.found == 2

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(try_once, number)
    assert len(won) == 1
    assert store.revision == 2


async def test_a_set_of_changes_is_consecutive(store: Store) -> None:
    async def write_three(who: int) -> None:
        changes = [Change(key(f"{who}-{n}"), body("x"), 0) for n in range(3)]
        first, second, third = await store.write(changes, by=str(who))
        assert (second.revision, third.revision) == (first.revision + 1, first.revision + 2)

    async with anyio.create_task_group() as tasks:
        for who in range(30):
            tasks.start_soon(write_three, who)
    assert store.revision == 90


async def test_a_body_that_is_no_json_fails_alone(store: Store) -> None:
    async def bad() -> None:
        with pytest.raises(TypeError):
            await store.write([Change(key("bad"), {"metadata": {}, "spec": object()}, 0)], by="ada")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(put, store, key("a"))
        tasks.start_soon(bad)
        tasks.start_soon(put, store, key("b"))
    assert store.revision == 2


@pytest.mark.parametrize("largest", [1000, 3])
async def test_cancelled_writers_break_no_batch(store: Store, largest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor may anybody wait for ever: not who lost the leader before it, nor who found no place in a batch."""
    monkeypatch.setattr("controller.store.writing.LARGEST_BATCH", largest)

    async def write(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            await put(store, key(name))

    for turn in range(20):
        scopes = [anyio.CancelScope() for _ in range(10)]
        async with anyio.create_task_group() as tasks:
            for number, scope in enumerate(scopes):
                tasks.start_soon(write, f"{turn}-{number}", scope)
            for _ in range(turn % 5):
                await anyio.lowlevel.checkpoint()
            for scope in scopes[turn % 3 :: 2]:
                scope.cancel()
        assert not store._writing._led  # type: ignore[attr-defined]
        kept = [n for n, scope in enumerate(scopes) if not scope.cancelled_caught]
        assert all(store.get(key(f"{turn}-{number}")) for number in kept)
    everything = await history_of(store)
    assert [each.record.revision for each in everything] == list(range(1, store.revision + 1))


async def history_of(store: Store) -> list[Happening]:
    async with store.follow("", "*", after=store.oldest) as follower:
        return await take(follower, store.revision - store.oldest)


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


async def test_two_processes_keep_one_order(store: Store, opened: Reopen) -> None:
    other = await opened()
    async with anyio.create_task_group() as tasks:
        for number in range(40):
            tasks.start_soon(put, (store, other)[number % 2], key(f"n{number}"))
    await put(store, key("last"))
    assert [h.record.revision for h in await history_of(store)] == list(range(1, 42))
    last = store.get(key("last"))
    assert last is not None
    (record,) = await other.write([Change(key("last"), None, last.revision)], by="ada")
    assert record.revision == 42


async def test_two_processes_survive_each_others_compaction(store: Store, opened: Reopen) -> None:
    other = await opened()
    for _ in range(5):
        await put(store, key("a"))
    await store.compact(keep_after=5)
    assert (await put(other, key("b"))).revision == 6
    assert (other.oldest, [r.revision for r in other.list("test.dev", "things").records]) == (5, [5, 6])


async def test_close_finishes_what_waits_and_refuses_more(store: Store, opened: Reopen) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(put, store, key(f"n{number}"))
        await anyio.lowlevel.checkpoint()
        await store.close()
    with pytest.raises(StoreBroken, match="closed"):
        await put(store, key("late"))
    assert (await opened()).revision == 10


async def test_a_full_disk_breaks_only_what_it_must(store: Store, tmp_path: Path, opened: Reopen) -> None:
    await put(store, key("a"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    refused: list[Exception] = []

    async def write(number: int) -> None:
        try:
            await put(store, key(f"n{number}"), text="x" * 50_000)
        except StoreBroken as broken:
            refused.append(broken)

    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(write, number)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert refused
    assert str(tmp_path / "records.db") in str(refused[0])
    assert store.revision == 11 - len(refused)
    assert store.get(key("a")) is not None
    after = await put(store, key("after"))
    assert after.revision == 12 - len(refused)
    assert [h.record.revision for h in await history_of(await opened())] == list(range(1, after.revision + 1))


async def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "records.db"
    file.write_bytes(b"this is no database" * 500)
    with pytest.raises(StoreBroken, match=r"records\.db.*backup"):
        await open_store(f"sqlite:///{file}", threads=Threads(2), clock=SystemClock())


async def test_a_damaged_record_is_found_at_once_and_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/records.db"
    store = await open_store(url, threads=Threads(2), clock=SystemClock())
    await store.write([Change(key("a"), body("a"), 0)], by="test")
    await store.close()
    with closing(sqlite3.connect(tmp_path / "records.db")) as connection, connection:
        connection.execute("UPDATE records SET body = x'7b22'")
    with pytest.raises(StoreBroken, match=rf"records\.db: the body of {key('a')} at revision 1 is malformed.*backup"):
        await open_store(url, threads=Threads(2), clock=SystemClock())


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreBroken, match=r"nowhere/records\.db.*folder"):
        await open_store(f"sqlite:///{tmp_path}/nowhere/records.db", threads=Threads(2), clock=SystemClock())


async def test_a_store_without_a_file_is_refused() -> None:
    with pytest.raises(StoreBroken, match="name a file"):
        await open_store("sqlite://", threads=Threads(2), clock=SystemClock())


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


def head_of(store: Store, name: str) -> int:
    head = store.get(key(name))
    return head.revision if head else 0
