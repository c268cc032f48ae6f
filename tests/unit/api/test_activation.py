"""Requests to a service that sleeps wait until it is ready: so many, and so long."""

from __future__ import annotations

from datetime import UTC, datetime

import anyio
import pytest

from api.gateway.activation import AGAIN_SECONDS, HOLD_SECONDS, MOST_HELD, Activation
from api.gateway.replica import ReplicaStore
from controller.kit.virtual import VirtualLoop
from controller.runtime.endpoints import Endpoint, Endpoints
from controller.store.records import Record
from crds.errors import Unavailable
from crds.kinds.service import SERVICE

pytestmark = pytest.mark.anyio
A = "127.0.0.1:1001"


@pytest.fixture
def anyio_backend():
    return ("asyncio", {"loop_factory": VirtualLoop})


class Gate:
    """An activation over a gateway's copies, what it told, and what became of requests."""

    def __init__(self) -> None:
        self.store, self.endpoints = ReplicaStore(), Endpoints()
        self.wanted: list[str] = []
        self.answered: list[float] = []
        self.refused: list[Unavailable] = []
        self.activation = Activation(self.store, self.endpoints, self.wanted.append)
        self.add("key-manager", b'{"spec": {"managed": "key_manager", "activation": "onDemand"}}')
        self.add("web", b'{"spec": {"image": "x:1"}}')

    def add(self, name: str, body: bytes) -> None:
        now = datetime(2026, 5, 1, tzinfo=UTC)
        self.store.apply(
            Record(len(self.wanted) + 1, SERVICE.key(name, "default"), name, "created", 1, body, 0, now, "")
        )

    def ready(self, name: str, *addresses: str) -> None:
        self.endpoints.put(SERVICE.key(name, "default"), name, [Endpoint(f"{name}-0", each) for each in addresses])

    async def ask(self, service: str = "key-manager") -> None:
        began = anyio.current_time()
        try:
            with self.activation.used(service):
                await self.activation.until_ready(service)
        except Unavailable as later:
            self.refused.append(later)
        else:
            self.answered.append(round(anyio.current_time() - began, 3))


@pytest.fixture
async def gate() -> Gate:
    return Gate()


async def test_only_a_service_on_demand_is_waited_for(gate: Gate) -> None:
    assert gate.activation.on_demand("key-manager")
    assert not gate.activation.on_demand("web") and not gate.activation.on_demand("nobody")


async def test_a_request_waits_until_it_is_ready_and_the_conductor_hears_at_once(gate: Gate) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(gate.ask)
        await anyio.sleep(0.01)
        assert gate.wanted == ["key-manager"] and not gate.answered
        gate.ready("web", A)
        gate.ready("key-manager")
        await anyio.sleep(0.5)
        assert not gate.answered, "news of others, or of one that is not ready"
        gate.ready("key-manager", A)
    assert gate.answered == [0.51]
    await gate.ask()
    assert gate.answered == [0.51, 0.0] and gate.wanted == ["key-manager"]


async def test_nobody_waits_for_ever(gate: Gate) -> None:
    began = anyio.current_time()
    await gate.ask()
    assert anyio.current_time() - began == pytest.approx(HOLD_SECONDS)
    (late,) = gate.refused
    assert late.retry_after and "aerekos describe service key-manager" in str(late)
    assert not gate.activation._held["key-manager"] and not gate.activation._in_use


async def test_no_more_than_so_many_wait(gate: Gate) -> None:
    async with anyio.create_task_group() as group:
        for _ in range(MOST_HELD):
            group.start_soon(gate.ask)
        await anyio.sleep(0.01)
        await gate.ask()
        (full,) = gate.refused
        assert full.retry_after and "many wait" in str(full)
        gate.ready("key-manager", A)
    assert len(gate.answered) == MOST_HELD


async def test_a_service_that_answers_somebody_is_told_of_again_and_again(gate: Gate) -> None:
    gate.ready("key-manager", A)
    async with anyio.create_task_group() as group:
        group.start_soon(gate.activation.run)
        with gate.activation.used("key-manager"), gate.activation.used("key-manager"):
            await anyio.sleep(3 * AGAIN_SECONDS + 0.1)
        assert gate.wanted == ["key-manager"] * 3
        await anyio.sleep(10 * AGAIN_SECONDS)
        assert gate.wanted == ["key-manager"] * 3
        group.cancel_scope.cancel()
