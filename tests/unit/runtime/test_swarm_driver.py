"""What the swarm driver asks, and when: a change costs what it changes, rest next to nothing. In virtual time."""

from __future__ import annotations

import re
from dataclasses import replace

import anyio
import pytest

from controller.kit.virtual import VirtualLoop
from controller.runtime.driver import DriverError, Workload
from controller.runtime.swarm import naming

from .swarm_in_a_bottle import House, bottled
from .swarms import KEY, workload

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return ("asyncio", {"loop_factory": VirtualLoop})


def one(number: int) -> Workload:
    return replace(workload(replicas=1), key=KEY._replace(name=f"web-{number}"), uid=f"uid-{number}")


async def all_applied(house: House, count: int) -> None:
    for number in range(count):
        await house.driver.apply(one(number))
    await anyio.sleep(5)


async def test_two_hundred_services_cost_few_calls_each_and_none_at_rest() -> None:
    async with bottled() as house:
        await all_applied(house, 200)
        seen = [await house.driver.observe(one(number).key) for number in range(200)]
        assert all(each.ready for instances in seen for each in instances)
        assert house.docker.calls.total() <= 2 * 200, house.docker.calls
        house.docker.calls.clear()
        for number in range(200):
            await house.driver.apply(one(number))
        assert house.docker.calls.total() == 0
        await anyio.sleep(100)
        assert house.docker.calls == {"services": 10, "tasks": 10, "nodes": 10}


@pytest.mark.parametrize("by_hand", ["scaled", "removed"])
async def test_what_is_done_by_hand_is_put_back_within_a_fifth_of_a_second(by_hand: str) -> None:
    async with bottled() as house:
        await all_applied(house, 50)
        api, key = house.docker.api, one(7).key
        (there,) = [each for each in api.by_id.values() if each["Spec"]["Name"] == "aerekos_default_web-7"]
        house.docker.calls.clear()
        if by_hand == "removed":
            api.remove_service(there["ID"])
        else:
            spec = {**there["Spec"], "Mode": {"Replicated": {"Replicas": 0}}}
            named = {re.sub("(?<!^)(?=[A-Z])", "_", name).lower(): value for name, value in spec.items()}
            api.update_service(there["ID"], there["Version"]["Index"], **named)
        await anyio.sleep(0.2)
        assert len(await house.driver.observe(key)) == 1
        assert "DriftCorrected" in house.reasons
        assert house.docker.calls.total() <= 8, house.docker.calls


async def test_a_daemon_that_restarts_is_no_outage_and_one_that_stays_away_is_told_once() -> None:
    async with bottled() as house:
        await all_applied(house, 2)
        house.docker.away = True
        house.driver.request_refresh(KEY)
        await anyio.sleep(8)
        assert len(await house.driver.observe(one(1).key)) == 1 and "RuntimeUnreachable" not in house.reasons
        await anyio.sleep(8)
        with pytest.raises(DriverError, match="cannot be reached"):
            await house.driver.observe(one(1).key)
        assert house.reasons.count("RuntimeUnreachable") == 2  # for each service
        house.docker.away = False
        await anyio.sleep(2)
        assert len(await house.driver.observe(one(1).key)) == 1
        assert house.reasons.count("RuntimeReachable") == 2


async def test_a_wish_that_changed_is_written_even_before_the_last_one_was_seen() -> None:
    async with bottled() as house:
        await house.driver.apply(workload(replicas=1))
        await house.driver.apply(workload(replicas=3))
        await anyio.sleep(1)
        assert len(await house.driver.observe(KEY)) == 3
        assert "DriftCorrected" not in house.reasons


async def test_one_that_is_on_its_way_is_followed_alone() -> None:
    async with bottled() as house:
        await all_applied(house, 50)
        house.docker.api.running[3]["Status"]["State"] = "starting"
        await anyio.sleep(11)  # nobody told of it: the slow look finds it
        house.docker.calls.clear()
        await anyio.sleep(9)
        assert house.docker.calls["nodes"] <= 1
        assert 10 <= house.docker.calls["tasks"] <= 20
        await anyio.sleep(40)
        house.docker.calls.clear()
        await anyio.sleep(9)
        assert house.docker.calls["tasks"] <= 5, "what does not change is looked at less and less"


async def test_what_is_forgotten_is_gone_and_asked_about_no_more() -> None:
    async with bottled() as house:
        await house.driver.apply(workload())
        await anyio.sleep(1)
        assert not await house.driver.remove(KEY)
        await anyio.sleep(1)
        assert await house.driver.remove(KEY)
        assert await house.driver.observe(KEY) == [] and await house.driver.list_workloads() == []
        house.docker.calls.clear()
        await anyio.sleep(30)
        assert house.docker.calls.total() <= 12


@pytest.mark.parametrize("pause", [0.1, 2.5])
@pytest.mark.parametrize("parts", [["conductor", "registry"], ["zulu", "zulu2"]], ids=["first", "last"])
async def test_what_goes_with_its_stack_is_not_put_back(pause: float, parts: list[str]) -> None:
    """Also when it goes slowly, in whatever order, and while reconcilers want everything back."""
    async with bottled(stack="aerekos") as house:
        api = house.docker.api
        own = {"task_template": {"ContainerSpec": {"Labels": {}}}, "labels": {naming.STACK: "aerekos"}}
        for name in parts:
            api.create_service(name=f"aerekos_{name}", mode={"Replicated": {"Replicas": 1}}, **own)
        await all_applied(house, 2)
        api.remove_service(next(each for each, it in api.by_id.items() if it["Spec"]["Name"].endswith("web-0")))
        await anyio.sleep(5)
        assert len(await house.driver.observe(one(0).key)) == 1  # by hand: the stack stands
        listed = sorted(api.by_id, key=lambda each: api.by_id[each]["Spec"]["Name"])
        for each in listed:
            api.remove_service(each)
            for number in range(2):
                await house.driver.apply(one(number))
            await anyio.sleep(pause)
            assert set(api.by_id) <= set(listed), "nothing is made anew"
        await anyio.sleep(5)
        assert api.by_id == {}
        await house.driver.leave()
        await house.driver.apply(one(0))
        assert api.by_id == {}, "who was told to stop makes nothing any more"


async def test_what_was_made_while_the_stack_went_goes_with_the_conductor() -> None:
    async with bottled(stack="aerekos") as house:
        await all_applied(house, 2)  # a stack of which nothing but ours is left
        await house.driver.leave()
        assert house.docker.api.by_id == {}


async def test_a_program_is_told_in_one_sentence_where_it_could_run() -> None:
    async with bottled() as house:
        program = replace(one(1), image=None, command=("python3", "/app/main.py"), program=True)
        with pytest.raises(
            DriverError, match=r"web-1 is a program, .* give it an image, or .* --runtime process"
        ) as no:
            await house.driver.apply(program)
        assert (no.value.reason, no.value.retryable) == ("NeedsImage", False)
        assert house.docker.api.by_id == {}
