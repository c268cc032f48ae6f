"""One pass after the other over one lamp: outcomes, errors, finalizers, and exact times."""

from __future__ import annotations

from itertools import pairwise

import anyio
import pytest

from controller.reconcile.outcome import Permanent, Temporary, again, done, waiting
from crds.errors import Conflict, InternalError
from crds.kinds.event import EVENT
from tests.unit.reconcile.conftest import LAMP, House, Scripted

pytestmark = pytest.mark.anyio


async def test_a_failing_key_is_retried_with_growing_patience(house: House) -> None:
    busy = Temporary("HSM busy", reason="Busy")
    scripted = Scripted(busy, busy, busy, done())
    async with house.running(scripted):
        await house.lamp()
        await anyio.sleep(100)
    assert scripted.at == [0, 1, 1 + 2, 1 + 2 + 4]
    assert (await house.reconciled()).status == "True"


async def test_patience_starts_again_after_a_success(house: House) -> None:
    busy = Temporary("busy")
    scripted = Scripted(busy, busy, again(10, "warming up"), busy, done())
    async with house.running(scripted):
        await house.lamp()
        await anyio.sleep(100)
    assert scripted.at == [0, 1, 3, 13, 14]


async def test_a_temporary_error_may_say_when(house: House) -> None:
    scripted = Scripted(Temporary("busy", after=42), done())
    async with house.running(scripted):
        await house.lamp()
        await anyio.sleep(100)
    assert scripted.at == [0, 42]


async def test_a_new_event_interrupts_a_retry(house: House) -> None:
    scripted = Scripted(Temporary("no", after=1000), done())
    async with house.running(scripted):
        await house.lamp()
        await anyio.sleep(5)
        await house.resources.patch(LAMP, "desk", {"spec": {"bright": 3}}, "home")
        await anyio.sleep(2000)
    assert scripted.at == [0, 5]


async def test_waiting_says_for_what_and_looks_again(house: House) -> None:
    scripted = Scripted(waiting("power"), done())
    async with house.running(scripted):
        await house.lamp()
        await anyio.sleep(1)
        told = await house.reconciled()
        assert (told.status, told.reason, told.message) == ("False", "Waiting", "waiting for power")
        await anyio.sleep(100)
    assert scripted.at == [0, 15]


async def test_permanent_waits_for_the_spec_to_change(house: House) -> None:
    scripted = Scripted(Permanent("no such colour", reason="BadColour"), done())
    async with house.running(scripted, resync=50):
        await house.lamp()
        await anyio.sleep(500)
        assert scripted.at == [0]
        assert (await house.reconciled()).reason == "BadColour"
        await house.resources.patch(LAMP, "desk", {"metadata": {"labels": {"a": "b"}}}, "home")
        await anyio.sleep(1)
        assert scripted.at == [0]
        await house.resources.patch(LAMP, "desk", {"spec": {"bright": 1}}, "home")
        await anyio.sleep(1)
    assert scripted.at == [0, 501]


async def test_what_was_seen_is_saved_once_even_when_it_failed(house: House) -> None:
    async def half(lamp, world):  # type: ignore[no-untyped-def]
        lamp.status.shines = 7
        raise Temporary("then the fuse blew", reason="Fuse", after=500)

    async with house.running(Scripted(half)):
        await house.lamp()
        await anyio.sleep(10)
    assert (await house.seen()).status.shines == 7
    assert (await house.reconciled()).message == "then the fuse blew"
    assert house.resources.count("status") == 1


async def test_a_settled_lamp_is_written_once_and_left_alone(house: House) -> None:
    scripted = Scripted(done())
    async with house.running(scripted):
        await house.lamp()
        await anyio.sleep(1000)
    assert scripted.at == [0]
    assert house.resources.count("status") == 1
    assert (await house.seen()).status.observed_generation == 1


async def test_a_bug_is_an_error_like_any_other(house: House) -> None:
    scripted = Scripted(ZeroDivisionError("oh"), done(requeue_after=7))
    async with house.running(scripted):
        await house.lamp()
        await anyio.sleep(0.5)
        told = await house.reconciled()
        assert (told.reason, told.message) == ("UnexpectedError", "ZeroDivisionError: oh")
        await anyio.sleep(9)
    assert scripted.at == [0, 1, 8]


async def test_a_pass_has_a_deadline(house: House) -> None:
    async def forever(lamp, world):  # type: ignore[no-untyped-def]
        await anyio.sleep(10_000)

    scripted = Scripted(forever, done())
    async with house.running(scripted):
        await house.lamp()
        await anyio.sleep(60.5)
        assert (await house.reconciled()).reason == "TimedOut"
        await anyio.sleep(100)
    assert scripted.at == [0, 61]


async def test_a_lost_race_is_tried_again_quietly(house: House) -> None:
    scripted = Scripted(Conflict("faster"), done())
    async with house.running(scripted):
        await house.lamp()
        await anyio.sleep(10)
    assert len(scripted.at) == 2
    assert scripted.at[1] < 0.1
    assert house.resources.count("create", EVENT) == 0
    assert house.resources.count("status") == 1


async def test_losing_every_race_is_no_secret(house: House) -> None:
    async with house.running(Scripted(Conflict("faster"))):
        await house.lamp()
        await anyio.sleep(30)
    assert (await house.reconciled()).reason == "Conflict"


async def test_a_status_that_could_not_be_written_is_tried_again(house: House, broken: Exception) -> None:
    house.resources.fail_next("status", broken, broken)
    async with house.running(Scripted(done())):
        await house.lamp()
        await anyio.sleep(10)
    assert (await house.reconciled()).status == "True"


async def test_a_store_that_takes_nothing_is_asked_less_and_less(house: House) -> None:
    full = InternalError("cannot write records.db: database or disk is full. Free some disk space, then try again.")
    house.resources.fail_next("status", *[full] * 10)
    scripted = Scripted(done())
    async with house.running(scripted):
        await house.lamp()
        await anyio.sleep(300)
    waited = [later - sooner for sooner, later in pairwise(scripted.at)]
    assert len(waited) == 10
    assert waited[:4] == pytest.approx([0.5, 1, 2, 4], rel=0.1)
    assert waited[4:] == pytest.approx([5] * 6, rel=0.1)
    assert (await house.reconciled()).status == "True"


async def test_patience_with_the_store_starts_again_once_it_took_something(house: House) -> None:
    full = InternalError("database or disk is full")
    house.resources.fail_next("status", full, full, full)
    scripted = Scripted(done())
    async with house.running(scripted):
        await house.lamp()
        await anyio.sleep(50)
        house.resources.fail_next("status", full)
        await house.resources.patch(LAMP, "desk", {"spec": {"bright": 3}}, "home")
        await anyio.sleep(50)
    assert scripted.at[-1] - scripted.at[-2] == pytest.approx(0.5, rel=0.1)


async def test_the_finalizer_comes_before_the_first_reconcile(house: House) -> None:
    async def check(lamp, world):  # type: ignore[no-untyped-def]
        live = await world.resources.get(LAMP, "desk", "home")
        assert live.metadata.finalizers == ["test/off"]
        return done()

    scripted = Scripted(check, finalizer="test/off")
    async with house.running(scripted):
        await house.lamp()
        await anyio.sleep(10)
    assert (await house.reconciled()).status == "True"
    assert scripted.at == [0]


async def test_deletion_waits_for_finalize_to_be_done(house: House) -> None:
    scripted = Scripted(finalizer="test/off", last=[again(3, "cooling"), Temporary("hot"), done()])
    async with house.running(scripted):
        await house.lamp()
        await anyio.sleep(1)
        await house.resources.delete(LAMP, "desk", "home")
        await anyio.sleep(100)
    assert scripted.at == [0]
    assert scripted.finalized_at == [1, 4, 5]
    assert house.resources.bodies.keys() == {k for k in house.resources.bodies if k.plural == "events"}


async def test_what_others_still_hold_is_not_touched(house: House) -> None:
    scripted = Scripted(finalizer="test/off")
    async with house.running(scripted):
        lamp = await house.lamp()
        await anyio.sleep(1)
        patch = {"metadata": {"finalizers": ["test/off", "other/one"]}}
        await house.resources.patch(LAMP, lamp.metadata.name, patch, "home")
        await house.resources.delete(LAMP, "desk", "home")
        await anyio.sleep(100)
    assert len(scripted.finalized_at) == 1
    assert (await house.seen()).metadata.finalizers == ["other/one"]
