"""Files, processes and disks: what is there after a new start, and what is said when it is damaged."""

from __future__ import annotations

import resource
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from contracts.store.things import Reopen, body, history_of, key, put, remove, until

from controller.kit.clock import SystemClock
from controller.kit.threads import Threads
from controller.store.records import Change, Store, StoreBroken
from controller.store.sql import open_store

pytestmark = pytest.mark.anyio


async def test_a_reopened_store_knows_everything(store: Store, opened: Reopen) -> None:
    await put(store, key("a"), size=1)
    await put(store, key("b"))
    await remove(store, key("b"))
    again = await opened()
    assert again.revision == 3
    assert again.list("test.dev", "things") == store.list("test.dev", "things")


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
    await until(lambda: other.oldest == 5)  # who hears of others' writes as they happen hears of this a little later
    assert [r.revision for r in other.list("test.dev", "things").records] == [5, 6]


async def test_close_finishes_what_waits_and_refuses_more(store: Store, opened: Reopen) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(put, store, key(f"n{number}"))
        await anyio.lowlevel.checkpoint()
        await store.close()
    with pytest.raises(StoreBroken, match="closed"):
        await put(store, key("late"))
    assert (await opened()).revision == 10


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
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
