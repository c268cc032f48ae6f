"""A real disk with no room left: what is refused, what goes on, and that it ends when there is room again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from contracts.store.things import history_of, key, put

from controller.kit.clock import SystemClock
from controller.kit.threads import Threads
from controller.kit.unfailing import Unfailing
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from controller.store.records import Store, StoreFull
from controller.store.sql import open_store
from crds.catalog import CORE_KINDS, Catalog
from crds.errors import InternalError
from crds.kinds.namespace import NAMESPACE

pytestmark = pytest.mark.anyio


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder with 8 MiB of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root mounts a disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def fill(folder: Path) -> Path:
    """A file that takes all that is left."""
    file = folder / "fill"
    with file.open("wb", buffering=0) as filling:
        for size in (65536, 512):
            try:
                while True:
                    filling.write(b"x" * size)
            except OSError:
                continue
    return file


async def open_at(folder: Path) -> Store:
    return await open_store(f"sqlite:///{folder}/records.db", threads=Threads(4), clock=SystemClock())


async def until_refused(store: Store) -> StoreFull:
    with pytest.raises(StoreFull) as told:
        for number in range(10_000):
            await put(store, key(f"n{number}"), text="x" * 1000)
    return told.value


async def test_writes_are_refused_by_name_reads_go_on_and_it_ends_with_room(small: Path) -> None:
    store = await open_at(small)
    await put(store, key("a"), size=1)
    filling = fill(small)
    told = await until_refused(store)
    assert str(small / "records.db") in str(told) and "no space left" in str(told) and "Free some space" in str(told)
    before_refusals = open_descriptors()
    for _ in range(50):
        with pytest.raises(StoreFull):
            await put(store, key("b"), text="x" * 200_000)
    assert open_descriptors() <= before_refusals, "each refusal took a descriptor with it"
    assert store.get(key("a")) is not None and len(await store.history(key("a"))) == 1
    before = store.revision
    filling.unlink()
    after = await put(store, key("b"), text="x" * 200_000)
    assert after.revision == before + 1
    await store.close()
    again = await open_at(small)
    assert [h.record.revision for h in await history_of(again)] == list(range(1, after.revision + 1))
    await again.close()


async def test_the_api_gives_the_true_reason(small: Path) -> None:
    store = await open_at(small)
    room = {"metadata": {"name": "a", "annotations": {"test.dev/a": "x" * 100_000}}}
    api = Registry(store, Catalog(CORE_KINDS), SystemClock())
    filling = fill(small)
    await until_refused(store)
    with pytest.raises(InternalError, match=r"records\.db: no space left on its disk .*Free some space"):
        await api.create(NAMESPACE, "", room, WriteOptions(by="test"))
    filling.unlink()
    await api.create(NAMESPACE, "", room, WriteOptions(by="test"))
    await store.close()


async def test_compaction_on_a_full_disk_breaks_nothing(small: Path) -> None:
    store = await open_at(small)
    for _ in range(300):
        await put(store, key("a"), text="x" * 1000)
    filling = fill(small)
    await until_refused(store)
    for _ in range(3):  # it may find room in what it frees, and else is refused like any other write
        try:
            await store.compact(keep_after=store.revision)
        except StoreFull as full:
            assert "compact" in str(full)
    filling.unlink()
    await store.compact(keep_after=store.revision)
    await put(store, key("a"), size=2)
    assert len(await store.history(key("a"))) <= 2
    await store.close()


async def test_a_store_that_finds_no_room_for_itself_says_so(small: Path) -> None:
    filling = fill(small)
    with pytest.raises(StoreFull, match="no space left"):
        await open_at(small)
    filling.unlink()
    store = await open_at(small)
    await put(store, key("a"))
    await store.close()


def test_a_log_on_it_goes_on(small: Path) -> None:
    with (small / "log").open("a") as file:
        log, filling = Unfailing(file), fill(small)
        for _ in range(100):
            log.write("x" * 1000 + "\n")
        assert log.lost
        filling.unlink()
        log.write("there is room\n")
    lines = (small / "log").read_text().splitlines()
    assert lines[-1] == "there is room" and "log lines were lost" in lines[-2]
