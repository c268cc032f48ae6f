"""The room that is kept for a full disk, on a real small one: given back once, taken again, whoever is killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from contracts.store.test_full_disk import fill, open_at, small, until_refused
from contracts.store.things import key, put

from controller.kit.clock import SystemClock
from controller.kit.threads import Inline
from controller.resources.registry import Registry
from controller.resources.strategy import WriteOptions
from controller.store.records import Change
from controller.store.reserve import Reserve, Turn, watch_room
from crds.catalog import CORE_KINDS, Catalog
from crds.errors import InternalError
from crds.kinds.namespace import NAMESPACE

__all__ = ["small"]
pytestmark = pytest.mark.anyio
T = TypeVar("T")
SIZE = 512 << 10
"""With it, 5 MiB are plenty: of 8."""


class Enough(Exception):
    """Ends a watch."""


def rooms(folder: Path) -> Reserve:
    return Reserve(folder / "reserve", SIZE)


def test_it_is_taken_given_back_and_taken_again(small: Path) -> None:
    def look(*, refused: bool = False) -> tuple[Turn, bool, bool]:
        anew = rooms(small)  # each time by another process: nothing is remembered but the file
        return anew.look(refused), anew.is_held, anew.is_given_back

    assert look() == ("", True, False) and (small / "reserve").stat().st_blocks * 512 >= SIZE
    assert look() == ("", True, False), "taken once"
    filling = fill(small)
    assert look() == ("Full", False, True)
    assert look() == ("", False, True), "told once"
    filling.unlink()
    assert look() == ("Ok", True, False)
    assert look(refused=True) == ("Full", False, True), "a quota shows in refused writes alone"


def test_what_was_cut_short_by_a_kill_is_taken_again(small: Path) -> None:
    (small / "reserve").write_bytes(b"x" * 1000)
    reserve = rooms(small)
    assert reserve.is_given_back and not reserve.give_back()
    assert reserve.look(False) == "Ok" and reserve.is_held


def test_a_small_disk_keeps_no_room(small: Path) -> None:
    reserve = Reserve(small / "reserve", 2 << 20)
    assert reserve.look(False) == "" and not (small / "reserve").exists()
    assert reserve.look(True) == "Ok", "what was refused once is over"


class Counting(Inline):
    """How often a thread was asked for."""

    asked = 0

    async def run(self, work: Callable[[], T], *, deadline: float | None = None) -> T:
        self.asked += 1
        return await super().run(work, deadline=deadline)


async def test_each_look_asks_for_a_thread_once_also_where_the_disk_does_not_answer(small: Path) -> None:
    """It happens every two seconds for as long as a cloud runs."""
    store, threads, taken, looks = await open_at(small), Counting(), [], 0
    (small / "reserve").mkdir()  # cannot be made as a file

    async def step(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise Enough

    with pytest.raises(Enough):
        await watch_room(rooms(small), store, threads, taken.append, pytest.fail, step)
    assert (threads.asked, taken) == (3, [False, False, False]), "a folder is shorter than the room: given back"
    await store.close()


async def test_a_full_disk_takes_deletions_in_the_room_that_was_kept(small: Path) -> None:
    store, reserve = await open_at(small), rooms(small)
    api = Registry(store, Catalog(CORE_KINDS), SystemClock())
    told: list[str] = []
    steps = 0

    async def step(_: float) -> None:
        nonlocal steps
        steps -= 1
        if steps <= 0:
            raise Enough

    async def watch(times: int) -> None:
        nonlocal steps
        steps = times

        def take(yes: bool) -> None:
            api.takes_new = yes

        with pytest.raises(Enough):
            await watch_room(reserve, store, Inline(), take, told.append, step)

    await put(store, key("a"), text="x" * 1000)
    await watch(1)
    filling = fill(small)
    full = await until_refused(store)
    assert store.trouble is full
    await watch(1)
    assert told == ["Full"] and api.takes_new, "what tells of it is taken still"
    await put(store, key("event"), size=1)
    assert store.trouble is None
    await watch(1)
    with pytest.raises(InternalError, match=r"no space left .*only changes and deletions"):
        await api.create(NAMESPACE, "", {"metadata": {"name": "more"}}, WriteOptions(by="test"))
    here = store.get(key("a"))
    assert here is not None
    await store.write([Change(key("a"), None, here.revision)], by="test")
    assert store.get(key("a")) is None
    filling.unlink()
    await watch(1)
    assert told == ["Full", "Ok"] and api.takes_new
    await api.create(NAMESPACE, "", {"metadata": {"name": "more"}}, WriteOptions(by="test"))
    await store.close()
