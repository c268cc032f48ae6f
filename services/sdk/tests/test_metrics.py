"""A managed service's metrics: its requests, and the loop that runs its reconcilers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from controller.reconcile.loop import Loop
from crds.kind import Kind
from crds.kinds.service import SERVICE, Service, ServiceSpec
from services.sdk.metrics import ServiceMetrics
from services.sdk.reconcile import AlsoWatch, Outcome, World, done
from services.sdk.resources import SystemClock
from services.sdk.testing import MemoryResources


class Contented:
    """A reconciler that finds everything as it should be; `asked` is set once it was asked."""

    kind: Kind[Service] = SERVICE
    finalizer: str | None = None
    also_watch: Sequence[AlsoWatch[Any]] = ()

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def reconcile(self, resource: Service, world: World) -> Outcome:
        self.asked.set()
        return done()

    async def finalize(self, resource: Service, world: World) -> Outcome:
        return done()


def loop_of(resources: MemoryResources, reconciler: Contented) -> Loop:
    return Loop(resources, SystemClock(), [reconciler], random.Random(1))


def lines_of(metrics: ServiceMetrics) -> list[str]:
    text, content_type = metrics.text()
    assert content_type.startswith("text/plain")
    return text.decode().splitlines()


def test_the_loop_of_a_service_is_told_beside_its_requests() -> None:
    async def story() -> list[str]:
        metrics, resources, reconciler = ServiceMetrics(), MemoryResources(SystemClock()), Contented()
        await resources.create(SERVICE, SERVICE.new("web", spec=ServiceSpec(image="x:1")))
        loop = loop_of(resources, reconciler)
        metrics.watch_loop(loop)
        metrics.record_request("GET", 200, 0.01)
        running = asyncio.create_task(loop.run())
        async with asyncio.timeout(30):
            await reconciler.asked.wait()
            while not loop.caught_up:  # noqa: ASYNC110 - one turn of the loop
                await asyncio.sleep(0)
        told = lines_of(metrics)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return told

    lines = asyncio.run(story())
    assert 'aerekos_service_requests_total{code="200",method="GET"} 1.0' in lines
    assert 'aerekos_reconcile_total{kind="services.aerekos.cloud",result="done"} 1.0' in lines
    assert 'aerekos_reconcile_total{kind="services.aerekos.cloud",result="unexpected"} 0.0' in lines
    assert 'aerekos_workqueue_depth{kind="services.aerekos.cloud"} 0.0' in lines
    assert 'aerekos_informer_resources{kind="services.aerekos.cloud"} 1.0' in lines
    # A service does not know the newest revision of the store: no lag is made up.
    assert not any("lag_revisions" in line for line in lines)


def test_a_loop_that_was_started_again_takes_the_place_of_the_one_before() -> None:
    async def story() -> list[str]:
        metrics = ServiceMetrics()
        for _ in range(2):
            metrics.watch_loop(loop_of(MemoryResources(SystemClock()), Contented()))
        return lines_of(metrics)

    depths = [line for line in asyncio.run(story()) if line.startswith("aerekos_workqueue_depth{")]
    assert depths == ['aerekos_workqueue_depth{kind="services.aerekos.cloud"} 0.0']
