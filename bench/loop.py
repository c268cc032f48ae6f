"""What one pass of the reconcile loop costs by itself: passes per second over resources that need nothing.

`python bench/loop.py [seconds]`. The loop, the registry and the store are the real ones, in this process; the
reconciler only answers. Nothing is written once every resource has its condition, so the disk has no part in it.
Beside it, the least a pass could be: copying the resource and making its wire form.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import anyio
import structlog
import uvloop
from verdicts import Verdict, ratio, table

from controller.client.local import LocalResources
from controller.kit.clock import SystemClock
from controller.kit.threads import Threads
from controller.reconcile.loop import Loop
from controller.reconcile.outcome import Outcome, done
from controller.reconcile.reconciler import AlsoWatch, World
from controller.resources.registry import Registry
from controller.store.sql import open_store
from crds.catalog import CORE_KINDS, Catalog
from crds.kind import Kind
from crds.kinds.namespace import NAMESPACE, Namespace

COUNT, ROUNDS = 500, 5


class Contented:
    """A reconciler that finds everything as it should be, and counts how often it was asked."""

    kind: Kind[Namespace] = NAMESPACE
    finalizer = None
    also_watch: tuple[AlsoWatch[Any], ...] = ()

    def __init__(self) -> None:
        self.passes, self.wanted = 0, COUNT
        self.reached = anyio.Event()

    def expect(self, more: int) -> anyio.Event:
        """What is set once it was asked that often again."""
        self.wanted, self.reached = self.passes + more, anyio.Event()
        return self.reached

    async def reconcile(self, resource: Namespace, world: World) -> Outcome:
        self.passes += 1
        if self.passes == self.wanted:
            self.reached.set()
        return done()

    async def finalize(self, resource: Namespace, world: World) -> Outcome:
        return done()


@asynccontextmanager
async def a_loop(folder: Path, reconciler: Contented) -> AsyncIterator[tuple[Loop, list[Namespace]]]:
    """A loop that runs, with `COUNT` namespaces that all have had their passes."""
    clock = SystemClock()
    store = await open_store(f"sqlite:///{folder}/records.db", threads=Threads(4), clock=clock)
    resources = LocalResources(Registry(store, Catalog(CORE_KINDS), clock), "system:conductor")
    made = [await resources.create(NAMESPACE, NAMESPACE.new(f"n-{number}")) for number in range(COUNT)]
    loop = Loop(resources, clock, [reconciler], random.Random(1), resync=1e9)
    async with anyio.create_task_group() as tasks:
        await tasks.start(loop.run)
        await reconciler.reached.wait()
        yield loop, made
        tasks.cancel_scope.cancel()
    await store.close()


async def passes(folder: Path, seconds: float) -> float:
    """Passes per second, every resource again and again."""
    reconciler = Contented()
    async with a_loop(folder, reconciler) as (loop, made):
        keys = [NAMESPACE.key(each.metadata.name) for each in made]
        rates = []
        for _ in range(ROUNDS):
            before, began = reconciler.passes, time.perf_counter()
            while time.perf_counter() - began < seconds / ROUNDS:
                reached = reconciler.expect(len(keys))
                for key in keys:
                    loop.enqueue(key)
                await reached.wait()
            rates.append((reconciler.passes - before) / (time.perf_counter() - began))
        return median(rates)


def copies(seconds: float) -> float:
    """Deep copies with their wire forms per second: what each pass makes, twice."""
    resource, done_, began = NAMESPACE.new("n"), 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for _ in range(100):
            copied = resource.model_copy(deep=True)
            copied.wire(), copied.wire()
        done_ += 100
    return done_ / (time.perf_counter() - began)


def measure(seconds: float = 5.0) -> list[Verdict]:
    """One verdict: the loop against the copies it cannot do without."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory() as folder:
        ours = uvloop.run(passes(Path(folder), seconds))
    return [ratio("reconcile passes that change nothing, against copying alone", ours, copies(seconds / ROUNDS))]


def main() -> None:
    print(table(measure(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0)))


if __name__ == "__main__":
    main()
