"""What every store promises is tried on each. A new backend joins by one more entry in BACKENDS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from contracts.store.things import Reopen
from postgres import database, postgres

from controller.kit.clock import SystemClock
from controller.kit.threads import Threads
from controller.store.records import Store
from controller.store.sql import open_store

BACKENDS: dict[str, Callable[[pytest.FixtureRequest], str]] = {
    "postgresql": lambda request: str(request.getfixturevalue("database")),
    "sqlite": lambda request: f"sqlite:///{request.getfixturevalue('tmp_path')}/records.db",
}
__all__ = ["database", "postgres"]


@pytest.fixture(params=sorted(BACKENDS))
def url(request: pytest.FixtureRequest) -> str:
    return BACKENDS[request.param](request)


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
