"""What the loop counts: exact under virtual time, and read while it is at work."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from controller.kit.distribution import Distribution
from controller.reconcile.metrics import ControllerState, InformerState
from controller.reconcile.outcome import Permanent, Temporary, again, done
from crds.errors import Unavailable
from tests.unit.reconcile.conftest import LAMP, House, Scripted

pytestmark = pytest.mark.anyio


def controller(house: House) -> ControllerState:
    (only,) = house.loop.controllers()
    return only


def informer(house: House) -> InformerState:
    (only,) = house.loop.informers()
    return only


class Slow:
    """An answer that takes that many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    async def __call__(self, lamp: Any, world: Any) -> Any:
        await anyio.sleep(self.seconds)
        return done()


async def test_every_way_a_pass_can_end_has_its_count(house: House) -> None:
    script = (again(1, "soon"), Temporary("not now"), ValueError("a bug"), Permanent("never"))
    async with house.running(Scripted(*script)):
        before = dict(controller(house).passes.results)
        await house.lamp()
        await anyio.sleep(100)
        state = controller(house)
    assert before == dict.fromkeys(("done", "again", "temporary", "permanent", "unexpected", "overtaken"), 0)
    assert state.kind == "lamps.test"
    assert {how: count for how, count in state.passes.results.items() if count} == {
        "again": 1, "temporary": 1, "unexpected": 1, "permanent": 1,
    }  # fmt: skip
    assert (state.passes.failed, state.passes.last) == (3, "permanent")
    assert state.passes.retries == 2  # after the temporary failure and after the bug; `again` named its own time


async def test_the_time_of_a_pass_and_of_the_last_one(house: House) -> None:
    async with house.running(Scripted(Slow(0.4), done())):
        assert controller(house).last_seconds_ago is None
        await house.lamp()
        await anyio.sleep(10.4)
        state = controller(house)
    assert state.passes.seconds.count == 1
    assert state.passes.seconds.sum == pytest.approx(0.4)
    assert state.passes.seconds.within(0.99) == 0.5
    assert state.last_seconds_ago == pytest.approx(10)


async def test_the_queue_tells_its_depth_and_the_age_of_its_oldest_key(house: House) -> None:
    async with house.running(Scripted(Slow(100)), workers=1):
        for name in "abc":
            await house.lamp(name)
            await anyio.sleep(10)
        queue = controller(house).queue
        assert (queue.depth, queue.delayed, queue.working) == (2, 0, 1)
        assert queue.oldest_seconds == pytest.approx(20)
        # What is added while in work waits too, and adding it again does not make it younger.
        for _ in range(2):
            house.loop.enqueue(LAMP.key("a", "home"))
            await anyio.sleep(5)
        queue = controller(house).queue
        assert (queue.depth, queue.working) == (3, 1)
        assert queue.oldest_seconds == pytest.approx(30)


async def test_a_key_that_waits_for_its_time_is_delayed_and_not_old(house: House) -> None:
    async with house.running(Scripted(done(requeue_after=500))):
        await house.lamp()
        await anyio.sleep(100)
        queue = controller(house).queue
    assert (queue.depth, queue.delayed, queue.working, queue.oldest_seconds) == (0, 1, 0, 0)


async def test_a_status_that_cannot_be_written_is_a_retry(house: House) -> None:
    async with house.running(Scripted(done())):
        house.resources.fail_next("status", Unavailable("the disk is full"))
        await house.lamp()
        await anyio.sleep(100)
        state = controller(house)
    assert (state.passes.results["done"], state.passes.retries) == (2, 1)


async def test_an_informer_tells_how_far_it_is_and_how_long_it_has_been_away(house: House) -> None:
    async with house.running(Scripted()):
        await house.lamp()
        await anyio.sleep(10)
        state = informer(house)
        assert (state.kind, state.resources, state.disconnected_seconds) == ("lamps.test", 1, 0)
        newest = int((await house.seen()).metadata.resource_version or 0)
        assert (state.lag(newest), state.lag(newest + 7)) == (0, 7)
        house.resources.fail_next("watch", *[Unavailable("cut")] * 30)
        house.resources.fail_next("stream", Unavailable("cut"))
        await house.lamp("another")
        await anyio.sleep(60)
        assert informer(house).disconnected_seconds == pytest.approx(60, abs=1)


def test_a_distribution_counts_what_lies_on_a_bound_below_it() -> None:
    counted = Distribution((1, 2, 4))
    assert (counted.mean, counted.within(0.99)) == (None, None)
    for value in (0.5, 1, 1.5, 3, 100):
        counted.add(value)
    assert counted.cumulative() == [2, 3, 4, 5]
    assert (counted.count, counted.sum, counted.mean) == (5, 106, 21.2)
    assert (counted.within(0.5), counted.within(0.8), counted.within(0.99)) == (2, 4, None)
