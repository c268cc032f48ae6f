"""A worker leaves step by step: its agent first, then everything on it, then itself."""

from __future__ import annotations

import pytest
from unit.reconcilers.houses import world

from controller.kit.leases import Leases
from controller.kit.peers import Peer, Peers
from controller.reconcilers.worker import WorkerReconciler
from controller.reconcilers.worker_removal import WorkerRemoval
from controller.runtime.driver import DriverError
from crds.kinds.worker import WORKER

pytestmark = pytest.mark.anyio


class Swarm:
    def __init__(self):
        self.down, self.said, self.fails = False, [], False

    async def drain(self, node):
        if self.fails:
            raise DriverError("away", reason="RuntimeUnreachable")
        self.said.append(f"drain {node}")

    async def is_down(self, node):
        return self.down

    async def remove_node(self, node):
        self.said.append(f"dismiss {node}")


class House:
    def __init__(self):
        self.world = world()
        self.leases, self.peers, self.swarm = Leases(self.world.clock), Peers(), Swarm()
        self.reconciler = WorkerReconciler(self.leases, WorkerRemoval(self.swarm, self.leases, self.peers))
        self.worker = WORKER.new("oak")
        self.worker.metadata.deletion_timestamp = self.world.clock.now()

    def beat(self, **more):
        self.leases.beat("oak")
        self.peers.take(Peer("oak", "n1", "192.0.2.1", "192.0.2.1", False, "key", 0, **more))

    async def step(self):
        return await self.reconciler.finalize(self.worker, self.world)


@pytest.fixture
async def house():
    return House()


async def test_outside_a_swarm_a_worker_just_goes():
    assert WorkerReconciler(Leases(world().clock)).finalizer is None


async def test_it_is_drained_when_its_agent_is_prepared_and_forgotten_when_it_is_down(house):
    house.beat()
    assert "its agent is told" in (await house.step()).message
    assert house.swarm.said == []
    house.beat(leaving=True)
    await house.step()
    await house.step()
    assert house.swarm.said == ["drain oak"]
    house.swarm.down = True
    assert (await house.step()).settled
    assert house.swarm.said == ["drain oak", "dismiss oak"]


async def test_one_that_is_away_is_only_forgotten(house):
    house.swarm.down = True
    assert (await house.step()).settled
    assert house.swarm.said == ["dismiss oak"]


async def test_a_manager_must_be_demoted_first(house):
    house.leases.beat("oak")
    house.peers.take(Peer("oak", "n1", "192.0.2.1", "192.0.2.1", True, "key", 0))
    assert "docker node demote oak" in (await house.step()).message


async def test_a_swarm_that_does_not_answer_is_asked_again(house):
    house.beat(leaving=True)
    house.swarm.fails = True
    assert not (await house.step()).settled
    house.swarm.fails = False
    await house.step()
    assert house.swarm.said == ["drain oak"]
