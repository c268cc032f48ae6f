"""schedule_manager on the test's own loop, in virtual time, with what it calls written down."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

import anyio

from services.schedule_manager.app import assembled
from services.schedule_manager.delivery import DeliveryFault, Occasion
from services.schedule_manager.kinds import SCHEDULE, Schedule, ScheduleSpec
from services.schedule_manager.manifest import MANIFEST
from services.schedule_manager.planning import moment
from services.sdk.context import ServiceContext
from services.sdk.resources import Inline
from services.sdk.service import Service
from services.sdk.testing import MemoryService, in_memory

ROLE = "arn:aws:iam::000000000000:role/caller"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:orders"
DEAD = "arn:aws:sqs:us-east-1:000000000000:dead"


class Call(NamedTuple):
    """One call that left the service. `due`: of its firing; `at`: when."""

    at: datetime
    due: datetime
    id: str
    operation: str
    request: dict[str, Any]


@dataclass
class Outside:
    """As `delivery.Caller`. `refuses`: the fault of a call, or None; `seconds`: how long it takes."""

    now: Callable[[], datetime]
    calls: list[Call] = field(default_factory=list)
    refuses: Callable[[Call], DeliveryFault | None] = lambda call: None
    seconds: Callable[[Call], float] = lambda call: 0.0

    async def call(
        self, occasion: Occasion, service: str, region: str, operation: str, request: dict[str, Any]
    ) -> None:
        await self._note(occasion, f"{service}:{operation}", request)

    async def post(self, occasion: Occasion, url: str, body: bytes) -> None:
        await self._note(occasion, f"POST {url}", {"body": body.decode()})

    async def _note(self, occasion: Occasion, operation: str, request: dict[str, Any]) -> None:
        firing = occasion.firing
        call = Call(self.now(), moment(firing.due), firing.id, operation, request)
        self.calls.append(call)
        await anyio.sleep(self.seconds(call))
        if (fault := self.refuses(call)) is not None:
            raise fault


_OUTSIDES: dict[int, Outside] = {}


def create(context: ServiceContext) -> Service:
    outside = _OUTSIDES[id(context.clock)] = Outside(context.clock.now)
    return assembled(context, outside, Inline())


@dataclass
class Schedules:
    service: MemoryService
    outside: Outside

    @property
    def calls(self) -> list[Call]:
        return self.outside.calls

    def now(self) -> datetime:
        return self.service.context.clock.now()

    async def make(self, expression: str, name: str = "s", namespace: str = "default", **fields: Any) -> Schedule:
        target = {"arn": QUEUE, "roleArn": ROLE, **fields.pop("target", {})}
        spec = ScheduleSpec.model_validate({"expression": expression, "target": target, **fields})
        made = await self.service.resources.create(SCHEDULE, SCHEDULE.new(name, namespace=namespace, spec=spec))
        await self.service.advance(0.01)
        return made

    async def change(self, name: str = "s", **spec: Any) -> None:
        await self.service.resources.patch(SCHEDULE, name, {"spec": spec}, "default")


@asynccontextmanager
async def schedules_in_memory() -> AsyncIterator[Schedules]:
    manifest = replace(MANIFEST, create=f"{__name__}:create")
    async with in_memory(manifest) as service:
        yield Schedules(service, _OUTSIDES.pop(id(service.context.clock)))
