"""A loop in a bottle: fake resources, virtual time, one kind with one scripted reconciler."""

from __future__ import annotations

import random
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import Field

from controller.kit.backoff import Backoff
from controller.kit.clock import LoopClock
from controller.kit.virtual import VirtualLoop
from controller.reconcile.loop import Loop
from controller.reconcile.outcome import Outcome, done
from controller.reconcile.reconciler import AlsoWatch, World
from crds.errors import Unavailable
from crds.kind import Kind, Resource
from crds.meta import Condition, Spec, Status, condition

sys.path.insert(0, str(Path(__file__).parents[3]))
from tests.unit.fakes.resources import FakeResources


class LampSpec(Spec):
    bright: int = 0


class LampStatus(Status):
    shines: int | None = None


class Lamp(Resource[LampSpec, LampStatus]):
    spec: LampSpec = Field(default_factory=LampSpec)
    status: LampStatus = Field(default_factory=LampStatus)


LAMP = Kind(name="Lamp", plural="lamps", group="test", model=Lamp)
BULB = Kind(name="Bulb", plural="bulbs", group="test", model=Lamp)
Answer = Callable[[Lamp, World], Any]


class Scripted:
    """Gives the next answer of the script, the last one for ever: an outcome, an error or a function."""

    kind: Kind[Lamp] = LAMP

    def __init__(self, *script: Any, finalizer: str | None = None, last: Any = None, also: Any = ()) -> None:
        self.script = list(script) or [done()]
        self.farewells = [done()] if last is None else list(last)
        self.finalizer = finalizer
        self.also_watch: tuple[AlsoWatch[Any], ...] = tuple(also)
        self.at: list[float] = []
        self.named: list[str] = []
        self.finalized_at: list[float] = []

    async def reconcile(self, resource: Lamp, world: World) -> Outcome:
        self.at.append(world.clock.elapsed)  # type: ignore[attr-defined]
        self.named.append(resource.metadata.name)
        return await _answered(self.script, resource, world)

    async def finalize(self, resource: Lamp, world: World) -> Outcome:
        self.finalized_at.append(world.clock.elapsed)  # type: ignore[attr-defined]
        return await _answered(self.farewells, resource, world)


async def _answered(script: list[Any], resource: Lamp, world: World) -> Outcome:
    answer = script.pop(0) if len(script) > 1 else script[0]
    if isinstance(answer, Exception):
        raise answer
    return answer if isinstance(answer, Outcome) else await answer(resource, world)


class House:
    """What a test holds in its hands."""

    def __init__(self) -> None:
        self.resources = FakeResources()
        self.clock = LoopClock()
        self.loop: Loop = None  # type: ignore[assignment]

    @asynccontextmanager
    async def running(self, *reconcilers: Any, **options: Any) -> AsyncIterator[anyio.abc.TaskGroup]:
        options = {"backoff": Backoff(jitter=0), "resync": 1e9, **options}
        self.loop = Loop(self.resources, self.clock, reconcilers, random.Random(7), **options)
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._run)
            yield tasks
            tasks.cancel_scope.cancel()

    async def _run(self, *, task_status: Any) -> None:
        await self.loop.run(task_status=task_status)

    async def lamp(self, name: str = "desk", kind: Kind[Any] = LAMP, **spec: Any) -> Lamp:
        made: Lamp = await self.resources.create(kind, kind.new(name, namespace="home", spec=LampSpec(**spec)))
        return made

    async def seen(self, name: str = "desk") -> Lamp:
        lamp: Lamp = await self.resources.get(LAMP, name, "home")
        return lamp

    async def reconciled(self, name: str = "desk") -> Condition:
        found = condition((await self.seen(name)).status.conditions, "Reconciled")
        assert found is not None
        return found


@pytest.fixture
def anyio_backend() -> Any:
    return ("asyncio", {"loop_factory": VirtualLoop})


@pytest.fixture
async def house() -> House:
    return House()


@pytest.fixture
def broken() -> Unavailable:
    return Unavailable("the cable is out")
