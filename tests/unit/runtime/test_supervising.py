"""When an instance is asked, killed, restarted: to the exact second, on a virtual clock."""

import signal
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import anyio
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from bottles import KEY, Bottle, FakeChild

from controller.kit.virtual import VirtualLoop
from controller.runtime.driver import Workload
from controller.runtime.process.processes import Exit
from controller.runtime.process.state_files import InstanceRecord
from crds.probes import HttpGet, Probe, Probes

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return ("asyncio", {"loop_factory": VirtualLoop})


@pytest.fixture
async def bottle(tmp_path):
    return Bottle(tmp_path)


def probe(path, **changes):
    return Probe(http_get=HttpGet(path=path), period_seconds=2, **changes)


def workload(readiness=None, liveness=None, **changes):
    probes = Probes(readiness=readiness, liveness=liveness)
    return replace(Workload(KEY, "uid", "one", 1, command=("serve",), probes=probes), **changes)


async def test_patience_grows_to_a_minute_and_is_reset_by_a_healthy_one(bottle):
    async with bottle.running():
        await bottle.driver.apply(workload(probe("/ready")))
        bottle.prober.answers["/ready"] = "refused"
        for pause in (0, 1, 2, 4, 8, 16, 32, 60, 60):
            await anyio.sleep(0.5)
            bottle.machine.children["web-0"].end(Exit(code=3))
            await anyio.sleep(pause + 0.01)
        gaps = [round(b - a - 0.5, 1) for a, b in pairwise(bottle.machine.started_at)]
        assert gaps == [0, 1, 2, 4, 8, 16, 32, 60, 60]
        bottle.prober.answers["/ready"] = None
        await anyio.sleep(61)
        bottle.machine.children["web-0"].end(Exit(code=3))
        await anyio.sleep(0.01)
        assert bottle.machine.started_at[-1] == pytest.approx(bottle.clock.elapsed, abs=0.02)


async def test_a_start_is_noticed_quickly_then_asked_at_its_pace(bottle):
    bottle.prober.answers["/ready"] = "refused"
    async with bottle.running():
        await bottle.driver.apply(workload(probe("/ready")))
        await anyio.sleep(0.6)
        bottle.prober.answers["/ready"] = None
        await anyio.sleep(5)
    asked = bottle.prober.asked_at["/ready"]
    assert asked[:8] == pytest.approx([0, 0.05, 0.11, 0.182, 0.2684, 0.37208, 0.496496, 0.645795], abs=1e-4)
    assert asked[8:] == pytest.approx([2.645795, 4.645795], abs=1e-4)
    assert bottle.when("Ready") == [0.646]


async def test_liveness_kills_after_its_threshold_and_the_outage_is_measured(bottle):
    async with bottle.running():
        await bottle.driver.apply(workload(probe("/ready"), probe("/live", initial_delay_seconds=3)))
        await anyio.sleep(4)
        first = bottle.machine.children["web-0"]
        bottle.prober.answers["/live"] = "GET /live answered 500"
        await anyio.sleep(6)
        bottle.prober.answers["/live"] = None
        assert bottle.prober.asked_at["/live"] == [3, 5, 7, 9]
        assert bottle.when("LivenessFailed") == [9] and first.signals == [signal.SIGKILL]
        assert bottle.when("Recovered") == [9]
        assert "failed 3 times, killed: GET /live answered 500" in bottle.told[2][1].message


async def test_readiness_lost_is_told_and_nothing_is_restarted(bottle):
    async with bottle.running():
        await bottle.driver.apply(workload(probe("/ready", success_threshold=2)))
        await anyio.sleep(5)
        bottle.prober.answers["/ready"] = "busy"
        await anyio.sleep(6)
        (seen,) = await bottle.seen()
        assert (seen.phase, seen.ready, seen.message) == ("Running", False, "readiness failed 3 times: busy")
        bottle.prober.answers["/ready"] = None
        await anyio.sleep(4)
        assert (bottle.when("Ready"), bottle.when("Unhealthy"), bottle.when("Recovered")) == ([2], [10], [14])
        assert "after 4.00 s" in bottle.told[-1][1].message
        assert bottle.machine.started_at == [0]


async def test_liveness_is_not_asked_before_the_first_ready_and_the_start_has_a_deadline(bottle):
    bottle.prober.answers["/ready"] = "still loading"
    async with bottle.running():
        await bottle.driver.apply(workload(probe("/ready", initial_delay_seconds=5), probe("/live")))
        await anyio.sleep(36)
    assert bottle.when("StartDeadlineExceeded") == [35]
    assert "/live" not in bottle.prober.asked_at
    assert bottle.machine.started_at == [0, 35]


async def test_a_command_that_cannot_start_is_tried_with_patience(bottle):
    bottle.machine.fails = True
    async with bottle.running():
        await bottle.driver.apply(workload())
        await anyio.sleep(7.5)
        assert bottle.machine.started_at == [0, 0, 1, 3, 7]


async def test_stopping_asks_then_kills_and_does_not_wait_for_patience(bottle):
    bottle.machine.stubborn = True
    async with bottle.running():
        await bottle.driver.apply(workload(replicas=3, stop_grace_seconds=4))
        await anyio.sleep(1)
        await bottle.driver.stop_all()
        assert bottle.clock.elapsed == 5
        assert sorted(bottle.machine.discarded) == ["web-0", "web-1", "web-2"]
        signals = bottle.machine.children["web-0"].signals
        assert signals == [signal.SIGTERM, signal.SIGCONT, signal.SIGKILL]


async def test_what_is_wanted_while_it_is_told_to_stop_is_neither_started_nor_a_trouble(bottle):
    async with bottle.running():
        await bottle.driver.apply(workload())
        await anyio.sleep(1)
        await bottle.driver.stop_all()
        await bottle.driver.apply(workload(replicas=2))
        assert await bottle.driver.observe(workload().key) == []
        assert bottle.machine.started_at == [0]


async def test_a_new_conductor_does_not_take_the_unasked_for_broken(bottle):
    wish = workload(probe("/ready"), replicas=3)
    for number in range(3):
        started = bottle.clock.now().replace(year=2025)
        record = InstanceRecord(f"web-{number}", 100 + number, 1, "boot", 5000 + number, started, wish)
        bottle.machine.left.append((record, FakeChild(100 + number)))
    async with bottle.running():
        serving = []
        bottle.driver.on_event(lambda event: serving.append(sum(each.ready for each in bottle.driver._seen(KEY))))
        await bottle.driver.apply(replace(wish, revision="two"))
        await anyio.sleep(10)
        assert [each.revision for each in await bottle.seen()] == ["two"] * 3
        assert min(serving) == 2
        assert len(bottle.when("Adopted")) == 3


async def test_that_a_process_was_ended_for_its_record_is_told_of_its_service(bottle):
    bottle.machine.unreadable = ["home.web-1"]
    async with bottle.running():
        (_, news), *more = bottle.told
    assert not more and news.key == KEY._replace(namespace="home") and news.warning
    assert (news.reason, news.message) == (
        "InstanceRecordUnreadable",
        "home.web-1 was ended, for its record cannot be read; it is started again",
    )
