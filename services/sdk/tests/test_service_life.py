"""A service from its start to its end, in virtual time: tasks that fail, and what ends in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import httpx

from crds.kinds.config_map import CONFIG_MAP, ConfigMap
from crds.managed import ManagedService
from services.sdk.context import ServiceContext
from services.sdk.reconcile import AlsoWatch, Outcome, World, done
from services.sdk.service import Service
from services.sdk.testing import MemoryResources, in_memory, virtual_time

MANIFEST = ManagedService("words_manager", "Words", "", f"{__name__}:create", kinds=())
PARTS: list[Callable[[ServiceContext], Service]] = []


def create(context: ServiceContext) -> Service:
    return PARTS[-1](context)


class SlowReconciler:
    """A pass takes three seconds."""

    kind = CONFIG_MAP
    finalizer: str | None = None
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(self, said: list[str]) -> None:
        self._said = said

    async def reconcile(self, resource: ConfigMap, world: World) -> Outcome:
        self._said.append("pass begins")
        await asyncio.sleep(3)
        self._said.append("pass ends")
        return done()

    async def finalize(self, resource: ConfigMap, world: World) -> Outcome:
        return done()


@virtual_time
async def test_what_was_begun_ends_before_what_it_needs() -> None:
    said: list[str] = []
    clients: list[httpx.AsyncClient] = []

    def parts(context: ServiceContext) -> Service:
        context.service_client("other-manager")

        async def task() -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                said.append("task ends")

        async def last() -> None:
            said.append(f"stops, client is {'closed' if clients[0].is_closed else 'open'}")

        return Service(reconcilers=[SlowReconciler(said)], tasks=[task], on_stop=[last])

    def peer(name: str) -> httpx.AsyncClient:
        clients.append(httpx.AsyncClient(base_url=f"http://{name}"))
        return clients[-1]

    PARTS.append(parts)
    async with in_memory(MANIFEST, peer=peer) as running:
        await running.resources.create(CONFIG_MAP, CONFIG_MAP.new("first", namespace="default"))
        await running.advance(1)
        async with running.probe() as probe:
            assert (await probe.get("/ready")).status_code == 200
            running.app.stopping = True
            assert (await probe.get("/ready")).json() == {"ready": False, "because": "stopping"}
            assert (await probe.get("/health")).status_code == 200
    assert said == ["pass begins", "task ends", "pass ends", "stops, client is open"]
    assert clients[0].is_closed and len(clients) == 1


@virtual_time
async def test_a_task_that_fails_is_begun_again_later_and_later() -> None:
    begun: list[float] = []

    def parts(context: ServiceContext) -> Service:
        async def task() -> None:
            begun.append(context.clock.monotonic())
            raise RuntimeError("broken")

        return Service(tasks=[task])

    PARTS.append(parts)
    async with in_memory(MANIFEST) as running:
        await running.advance(600)
    pauses = [after - before for before, after in pairwise(begun)]
    assert 0.8 <= pauses[0] <= 1.2 and 48 <= pauses[-1] <= 72 and len(pauses) < 20


@virtual_time
async def test_it_is_not_ready_before_everything_was_read() -> None:
    def parts(context: ServiceContext) -> Service:
        context.informer(CONFIG_MAP)
        return Service()

    class SlowResources(MemoryResources):
        async def list(self, *args: Any, **options: Any) -> Any:
            await asyncio.sleep(5)
            return await super().list(*args, **options)

    PARTS.append(parts)
    async with in_memory(MANIFEST, resources=SlowResources()) as running, running.probe() as probe:
        answer = await probe.get("/ready")
        assert (answer.status_code, answer.json()["because"]) == (503, "resources: configmaps are not read yet")
        await running.advance(6)
        assert (await probe.get("/ready")).json() == {"ready": True}
