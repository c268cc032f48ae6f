"""A schedule that somebody has called now: beside its times, once for each request, by whom may write its times."""

from __future__ import annotations

from typing import Any

from services.schedule_manager.delivery import DeliveryFault
from services.schedule_manager.tests.in_memory import Schedules, schedules_in_memory
from services.sdk.testing import User, virtual_time

YEARLY = "cron(0 12 1 1 ? *)"


async def run(schedules: Schedules, name: str = "s", user: User | None = None) -> tuple[int, Any]:
    async with schedules.service.client(user) as client:
        answer = await client.post(f"/schedules/default/{name}/run")
    await schedules.service.advance(1)
    return answer.status_code, answer.json()


@virtual_time
async def test_it_is_called_now_and_at_its_times_as_before() -> None:
    async with schedules_in_memory() as schedules:
        await schedules.make(YEARLY, target={"input": "hello"})
        status, told = await run(schedules)
        assert (status, [each.id for each in schedules.calls]) == (202, [told["id"]])
        assert schedules.calls[0].request["MessageBody"] == "hello"
        await run(schedules)
        assert len({each.id for each in schedules.calls}) == 2
        async with schedules.service.client() as client:
            ended = (await client.get("/schedules/default/s/firings")).json()["ended"]
            due = (await client.get("/schedules/default/s/upcoming?count=1")).json()["times"][0]["due"]
        assert [(each["id"], each["fault"]) for each in ended] == [(each.id, "") for each in schedules.calls[::-1]]
        assert due.endswith("-01-01T12:00:00Z")


@virtual_time
async def test_one_that_is_disabled_is_called_by_hand_and_stays() -> None:
    async with schedules_in_memory() as schedules:
        await schedules.make(YEARLY, enabled=False, actionAfterCompletion="Delete")
        assert (await run(schedules))[0] == 202
        assert len(schedules.calls) == 1
        assert (await run(schedules))[0] == 202  # it is still there


@virtual_time
async def test_one_that_may_not_overlap_waits_for_its_earlier_call() -> None:
    async with schedules_in_memory() as schedules:
        schedules.outside.refuses = lambda call: DeliveryFault("Throttled", "slowly")
        await schedules.make(YEARLY, concurrency="Forbid")
        assert (await run(schedules))[0] == 202
        status, told = await run(schedules)
        assert (status, "Forbid" in told["message"]) == (409, True)


@virtual_time
async def test_it_takes_the_right_to_change_it_and_to_pass_its_role() -> None:
    async with schedules_in_memory() as schedules:
        await schedules.make(YEARLY)
        for name, verb in (("viewer", "update"), ("nobody-s-role", "use")):
            user = schedules.service.conductor.add(User(name, access_key=f"AKIA{len(name):016}"))
            schedules.service.conductor.refuse(name, verb)
            assert (await run(schedules, user=user))[0] == 403
        assert schedules.calls == []
        assert (await run(schedules, "none"))[0] == 404
