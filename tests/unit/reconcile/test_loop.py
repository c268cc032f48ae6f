"""The loop as a whole: order and parallelism, broken watches, lost history, news for people, stopping."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from controller.kit.backoff import Backoff
from controller.reconcile.outcome import Temporary, done
from controller.reconcile.reconciler import AlsoWatch
from crds.errors import Unavailable
from crds.kinds.event import EVENT
from tests.unit.reconcile.conftest import BULB, LAMP, House, Scripted

pytestmark = pytest.mark.anyio


class Busy:
    """An answer that takes `seconds` and counts who works at the same time."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now, self.most, self.ended = seconds, [], 0, 0

    async def __call__(self, lamp: Any, world: Any) -> Any:
        assert lamp.metadata.name not in self.now, "one key twice at once"
        self.now.append(lamp.metadata.name)
        self.most = max(self.most, len(self.now))
        try:
            await anyio.sleep(self.seconds)
            self.ended += 1
        finally:
            self.now.remove(lamp.metadata.name)
        return done()


async def test_one_key_is_never_worked_on_twice_at_once(house: House) -> None:
    busy = Busy(10)
    scripted = Scripted(busy)
    async with house.running(scripted):
        await house.lamp()
        for bright in range(1, 4):
            await anyio.sleep(1)
            await house.resources.patch(LAMP, "desk", {"spec": {"bright": bright}}, "home")
        await anyio.sleep(100)
    assert scripted.at[0] == 0
    # The status of the first pass loses against the newer spec, and the second pass sees all three changes.
    assert scripted.at[1:] == [10]
    assert (await house.seen()).status.observed_generation == 4


async def test_different_keys_are_worked_on_in_parallel(house: House) -> None:
    busy = Busy(10)
    async with house.running(Scripted(busy), workers=3):
        for name in "abcdef":
            await house.lamp(name)
        await anyio.sleep(21)
        assert busy.ended == 6
    assert busy.most == 3


async def test_every_lamp_is_looked_at_again_slowly(house: House) -> None:
    scripted = Scripted()
    async with house.running(scripted, resync=300):
        for name in "abc":
            await house.lamp(name)
        await anyio.sleep(1000)
    assert all(3 <= scripted.named.count(name) <= 4 for name in "abc")


async def test_a_broken_watch_is_taken_up_where_it_broke(house: House) -> None:
    scripted = Scripted()
    async with house.running(scripted):
        house.resources.fail_next("stream", Unavailable("cut"))
        house.resources.fail_next("watch", Unavailable("still cut"), OSError("and again"))
        await house.lamp("one")
        await house.lamp("two")
        await anyio.sleep(60)
    assert sorted(scripted.named) == ["one", "two"]
    assert house.resources.listings == 1


async def test_lost_history_loses_no_deletion(house: House) -> None:
    told: list[tuple[str, str]] = []
    async with house.running(Scripted()):
        house.loop.seen.of(LAMP).listen(lambda change, item, _: told.append((change, item.metadata.name)))
        await house.lamp("stays")
        await house.lamp("goes")
        await anyio.sleep(1)
        house.resources.watching = False
        house.resources.hang_up()
        await anyio.sleep(1)
        told.clear()
        await house.resources.delete(LAMP, "goes", "home")
        await house.lamp("comes")
        house.resources.compact()
        house.resources.watching = True
        house.resources.hang_up()
        await anyio.sleep(60)
        assert told[:2] == [("DELETED", "goes"), ("ADDED", "comes")]
        assert sorted(each.metadata.name for each in house.loop.seen.list(LAMP, "home")) == ["comes", "stays"]
    assert house.resources.listings == 2


async def test_the_start_waits_for_a_server_that_is_not_there_yet(house: House) -> None:
    await house.lamp()
    house.resources.fail_next("list", *[Unavailable("starting")] * 5)
    scripted = Scripted()
    async with house.running(scripted):
        await anyio.sleep(1)
    assert scripted.named == ["desk"]


async def test_a_change_elsewhere_wakes_those_it_affects(house: House) -> None:
    also = AlsoWatch(BULB, lambda bulb, seen: [LAMP.key(bulb.metadata.name, "home")])
    scripted = Scripted(also=[also])
    async with house.running(scripted):
        await house.lamp("a")
        await house.lamp("b")
        await anyio.sleep(5)
        await house.lamp("b", kind=BULB)
        await anyio.sleep(5)
        house.loop.enqueue(LAMP.key("a", "home"))
        await anyio.sleep(5)
    assert list(zip(scripted.at, scripted.named, strict=True)) == [(0, "a"), (0, "b"), (5, "b"), (10, "a")]


async def test_a_faulty_affects_harms_nobody(house: House) -> None:
    scripted = Scripted(also=[AlsoWatch(BULB, lambda bulb, seen: [1 / 0])])  # type: ignore[list-item]
    async with house.running(scripted):
        await house.lamp("x", kind=BULB)
        await anyio.sleep(1)
        await house.lamp("a")
        await anyio.sleep(1)
    assert scripted.named == ["a"]


async def test_two_writers_of_one_status_are_refused(house: House) -> None:
    with pytest.raises(ValueError, match="one status has one writer"):
        async with house.running(Scripted(), Scripted()):
            pass


async def test_the_same_trouble_is_one_event_with_a_count(house: House) -> None:
    no = Temporary("no power", reason="Dark")
    async with house.running(Scripted(no), backoff=Backoff(first=1, factor=1, jitter=0)):
        lamp = await house.lamp()
        await anyio.sleep(3.5)
        for _ in range(4):
            house.loop.events.record(lamp, "Flicker", "it flickers")
            await anyio.sleep(1)
    events = {each.reason: each for each in (await house.resources.list(EVENT)).items}
    # Four passes failed alike, but only the first one changed the condition.
    assert events["Dark"].count == 1
    assert (events["Dark"].type, events["Dark"].involved_object.uid) == ("Warning", lamp.metadata.uid)
    assert events["Flicker"].count == 4
    assert events["Flicker"].metadata.namespace == "home"
    assert events["Flicker"].metadata.name.startswith("desk.")
    assert events["Flicker"].last_timestamp > events["Flicker"].first_timestamp


async def test_stopping_lets_a_pass_end(house: House) -> None:
    busy = Busy(4)
    async with house.running(Scripted(busy)):
        await house.lamp()
        await anyio.sleep(1)
    assert (house.clock.elapsed, busy.ended) == (4, 1)
    assert (await house.reconciled()).status == "True"


async def test_stopping_does_not_wait_for_ever(house: House) -> None:
    busy = Busy(50)
    async with house.running(Scripted(busy), grace=5):
        await house.lamp("a")
        await house.lamp("b")
        await anyio.sleep(1)
    assert (house.clock.elapsed, busy.ended, busy.now) == (6, 0, [])
