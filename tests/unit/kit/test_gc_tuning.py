"""What lives is not looked at again, and what became garbage after that still goes."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from controller.kit.gc_tuning import (
    FEW_OBJECTS,
    GROWN_BYTES,
    WHOLE_SECONDS,
    YOUNG_SECONDS,
    collect_seldom,
    resident_bytes,
)
from controller.kit.virtual import VirtualLoop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return ("asyncio", {"loop_factory": VirtualLoop})


class Knot:
    """Holds itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """At each look there is enough to look for."""
    monkeypatch.setattr("controller.kit.gc_tuning.FEW_OBJECTS", 0)


async def test_a_cycle_that_had_lived_goes_with_the_whole_collection(busy: None) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(collect_seldom)
        await anyio.lowlevel.checkpoint()
        knot = Knot()
        gone = weakref.ref(knot)
        await anyio.sleep(2 * YOUNG_SECONDS)
        del knot
        gc.collect()
        assert gone() is not None  # frozen: an ordinary collection does not look at it
        await anyio.sleep(WHOLE_SECONDS)
        assert gone() is None
        tasks.cancel_scope.cancel()


async def test_a_young_cycle_goes_at_the_next_look(busy: None) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(collect_seldom)
        await anyio.sleep(YOUNG_SECONDS / 2)
        gone = weakref.ref(Knot())
        assert not gc.isenabled() and gone() is not None
        await anyio.sleep(YOUNG_SECONDS)
        assert gone() is None
        tasks.cancel_scope.cancel()
    assert gc.isenabled()


async def test_who_rests_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(collect_seldom)
        await anyio.lowlevel.checkpoint()
        gc.collect()
        monkeypatch.setattr(gc, "collect", lambda generation=2: looked.append(generation))
        await anyio.sleep(10 * YOUNG_SECONDS)
        assert looked == []
        kept = [[] for _ in range(2 * FEW_OBJECTS)]  # type: ignore[var-annotated]
        await anyio.sleep(2 * YOUNG_SECONDS)
        assert looked and kept
        tasks.cancel_scope.cancel()


async def test_a_cycle_goes_soon_where_memory_grows(busy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the past of one large definition, changed again and again, would fill the memory for minutes."""
    resident = 0
    monkeypatch.setattr("controller.kit.gc_tuning.resident_bytes", lambda: resident)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(collect_seldom)
        knot = Knot()
        gone = weakref.ref(knot)
        await anyio.sleep(3 * YOUNG_SECONDS)
        del knot
        await anyio.sleep(3 * YOUNG_SECONDS)
        assert gone() is not None
        resident = GROWN_BYTES
        await anyio.sleep(2 * YOUNG_SECONDS)
        assert gone() is None
        resident += GROWN_BYTES - 1
        await anyio.sleep(2 * YOUNG_SECONDS)
        tasks.cancel_scope.cancel()


def test_the_machine_tells_how_much_memory_there_is() -> None:
    assert resident_bytes() > 2**20
