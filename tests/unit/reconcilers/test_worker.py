"""A worker is NotReady at the exact second its lease runs out, and Ready again when it is heard."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from controller.kit.clock import LoopClock
from controller.kit.leases import Leases, Usage
from controller.kit.peers import Peer
from controller.reconcilers.worker import WorkerReconciler
from crds.kinds.worker import WORKER, Amounts
from crds.meta import Condition, condition

from .houses import world

pytestmark = pytest.mark.anyio


async def until_phase(reconciler, worker, here, phase):
    while worker.status.phase != phase:
        outcome = await reconciler.reconcile(worker, here)
        if worker.status.phase != phase:
            await anyio.sleep(outcome.requeue_after)
    return here.clock.elapsed


async def until_lost(leases):
    """Sleeps until the first lease runs out, as the loop would be woken."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leases.watch, lambda _: tasks.cancel_scope.cancel())


async def test_silence_is_noticed_at_the_exact_second_and_told_once():
    here, worker = world(), WORKER.new("oak")
    leases = Leases(here.clock)
    reconciler = WorkerReconciler(leases)
    leases.beat("oak")
    await reconciler.reconcile(worker, here)
    assert worker.status.phase == "Ready"
    await until_lost(leases)
    assert here.clock.elapsed == pytest.approx(3.5)
    await reconciler.reconcile(worker, here)
    ready = condition(worker.status.conditions, "Ready")
    assert (worker.status.phase, ready.reason) == ("NotReady", "HeartbeatMissed")
    assert ready.message == "no heartbeat: 3 in a row were missed"
    before = worker.model_copy(deep=True)
    await anyio.sleep(60)
    await reconciler.reconcile(worker, here)
    assert worker == before
    leases.beat("oak")
    await reconciler.reconcile(worker, here)
    assert [reason for reason, _ in here.events.news] == ["WorkerReady", "WorkerNotReady", "WorkerReady"]
    assert here.events.news[-1][1] == "oak is Ready after 60 s of absence"


class JumpingClock(LoopClock):
    """A wall clock that somebody sets while the time goes on as ever."""

    ahead = timedelta(0)

    def now(self):
        return super().now() + self.ahead


@pytest.mark.parametrize("days", [-400, -1, 1, 400])
async def test_a_clock_that_is_set_silences_nobody_and_hides_no_silence(days):
    here, worker = replace(world(), clock=JumpingClock()), WORKER.new("oak")
    leases = Leases(here.clock)
    reconciler = WorkerReconciler(leases)
    leases.beat("oak")
    await reconciler.reconcile(worker, here)
    here.clock.ahead = timedelta(days=days)
    await anyio.sleep(1)
    leases.beat("oak")
    await reconciler.reconcile(worker, here)
    assert worker.status.phase == "Ready"
    await until_lost(leases)
    assert here.clock.elapsed == pytest.approx(4.5)
    await reconciler.reconcile(worker, here)
    assert worker.status.phase == "NotReady"


async def test_a_restarted_conductor_waits_before_it_judges():
    here, worker = world(), WORKER.new("oak")
    reconciler = WorkerReconciler(Leases(here.clock))
    worker.status.conditions = [Condition(type="Ready", status="True", reason="HeartbeatReceived")]
    await reconciler.reconcile(worker, here)
    assert worker.status.phase == "Ready"
    assert await until_phase(reconciler, worker, here, "NotReady") == pytest.approx(3.501)
    assert condition(worker.status.conditions, "Ready").reason == "HeartbeatMissed"


async def test_a_conductor_that_starts_slowly_counts_no_silence_before_it_listens():
    here, worker = world(), WORKER.new("oak")
    leases = Leases(here.clock)
    await anyio.sleep(30)
    leases.begin()
    assert await until_phase(WorkerReconciler(leases), worker, here, "NotReady") == pytest.approx(33.501)


async def test_one_that_never_spoke_is_told_apart():
    here, worker = world(), WORKER.new("oak")
    assert await until_phase(WorkerReconciler(Leases(here.clock)), worker, here, "NotReady") == pytest.approx(3.501)
    assert condition(worker.status.conditions, "Ready").reason == "NoHeartbeatYet"


async def test_a_cordoned_worker_says_so():
    here, worker = world(), WORKER.new("oak")
    leases = Leases(here.clock)
    leases.beat("oak")
    worker.spec.unschedulable = True
    await WorkerReconciler(leases).reconcile(worker, here)
    assert worker.status.phase == "Ready,Cordoned"


async def test_usage_is_written_only_when_it_moved_by_a_tenth():
    here, worker = world(), WORKER.new("oak")
    worker.status.capacity = Amounts(cpu="10", memory="10Gi", disk="10Gi")
    leases = Leases(here.clock)
    written = []
    for cores in (0.9, 1.0, 1.9, 2.0, 1.1):
        leases.beat("oak", Usage(cpu=cores))
        await WorkerReconciler(leases).reconcile(worker, here)
        written.append(worker.status.usage.cpu)
    assert written == ["0", "1000m", "1000m", "2000m", "2000m"]


async def test_a_new_address_is_written_and_told():
    here, worker = world(), WORKER.new("oak")
    leases = Leases(here.clock)
    for address in ("10.0.0.1", "10.0.0.1", "10.0.0.2"):
        leases.beat("oak", addresses=(address,))
        await WorkerReconciler(leases).reconcile(worker, here)
    assert worker.status.addresses[0].address == "10.0.0.2"
    assert here.events.news[1:] == [("AddressChanged", "oak moved from 10.0.0.1 to 10.0.0.2")]


async def test_a_node_of_a_swarm_tells_of_its_moves_itself():
    here, worker = world(), WORKER.new("oak")
    leases, oak = Leases(here.clock), Peer("oak", "n1", "10.0.0.1", "10.0.0.1", False, "key", 0)
    for address in ("10.0.0.1", "10.0.0.2"):
        leases.beat("oak", addresses=(address,), swarm=oak)
        await WorkerReconciler(leases).reconcile(worker, here)
    assert worker.status.addresses[0].address == "10.0.0.2" and len(here.events.news) == 1


async def test_one_that_has_just_joined_gets_the_time_of_a_lease_to_speak():
    here, worker = world(), WORKER.new("oak")
    reconciler = WorkerReconciler(Leases(here.clock))
    await anyio.sleep(100)
    worker.metadata.creation_timestamp = here.clock.now()
    assert await until_phase(reconciler, worker, here, "NotReady") == pytest.approx(103.501)


async def test_each_lease_is_lost_once_at_its_own_second_and_again_after_a_return():
    here, lost = world(), []
    leases = Leases(here.clock)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leases.watch, lambda name: lost.append((name, round(here.clock.elapsed, 3))))
        await anyio.sleep(10)  # nobody was heard: there is nothing to lose
        for _ in range(5):
            leases.beat("oak")
            await anyio.sleep(1)
        leases.beat("elm")
        await anyio.sleep(30)
        leases.beat("oak")
        await anyio.sleep(30)
        tasks.cancel_scope.cancel()
    assert lost == [("oak", 17.5), ("elm", 18.5), ("oak", 48.5)]
