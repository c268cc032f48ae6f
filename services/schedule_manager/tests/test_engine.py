"""What is due is called: when, how often, in which order, and what becomes of calls that fail."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from prometheus_client import CollectorRegistry

from services.schedule_manager.delivery import Delivery, DeliveryFault
from services.schedule_manager.engine import MOST_OF_ONE, Engine
from services.schedule_manager.kinds import SCHEDULE, SCHEDULE_GROUP, ScheduleGroupSpec, ScheduleSpec
from services.schedule_manager.metrics import ScheduleMetrics
from services.schedule_manager.names import group_resource, schedule_resource
from services.schedule_manager.planning import fires_at, planned
from services.schedule_manager.reconciler import delete_completed
from services.schedule_manager.schedule_store import FILE, Planned, ScheduleStore
from services.schedule_manager.tests.in_memory import DEAD, QUEUE, ROLE, Call, Outside, Schedules, schedules_in_memory
from services.sdk.resources import Backoff
from services.sdk.testing import virtual_time
from services.sdk.testing.virtual import LoopClock

MINUTE = timedelta(minutes=1)


def away(call: Call) -> DeliveryFault | None:
    return DeliveryFault("ServiceUnavailable", "away")


@virtual_time
async def test_a_rate_begins_at_once_and_goes_on() -> None:
    async with schedules_in_memory() as s:
        made = await s.make("rate(5 minutes)")
        began = made.metadata.creation_timestamp
        await s.service.advance(900)
        assert began is not None
        assert [each.due for each in s.calls] == [began + number * 5 * MINUTE for number in range(4)]
        assert all(each.at - each.due < timedelta(seconds=1) for each in s.calls)
        assert len({each.id for each in s.calls}) == 4


@virtual_time
async def test_a_queue_gets_the_input_with_its_keywords() -> None:
    async with schedules_in_memory() as s:
        text = "<aws.scheduler.schedule-arn> <aws.scheduler.scheduled-time> <aws.scheduler.attempt-number>"
        await s.make("at(2026-01-01T00:10:00)", target={"input": text})
        await s.service.advance(700)
        (call,) = s.calls
        arn = "arn:aws:scheduler:us-east-1:000000000000:schedule/default/s"
        assert call.operation == "sqs:SendMessage"
        assert call.request == {
            "QueueUrl": "https://sqs.us-east-1.amazonaws.com/000000000000/orders",
            "MessageBody": f"{arn} 2026-01-01T00:10:00Z 1",
        }


@virtual_time
async def test_messages_to_a_fifo_queue_are_known_by_the_firing() -> None:
    async with schedules_in_memory() as s:
        await s.make("rate(1 hour)", target={"arn": f"{QUEUE}.fifo", "messageGroupId": "g"})
        (call,) = s.calls
        assert (call.request["MessageGroupId"], call.request["MessageDeduplicationId"]) == ("g", call.id)
        assert json.loads(call.request["MessageBody"])["detail-type"] == "Scheduled Event"


@virtual_time
async def test_a_call_that_fails_is_repeated_under_the_same_id() -> None:
    async with schedules_in_memory() as s:
        s.outside.refuses = lambda call: None if len(s.calls) > 3 else away(call)
        await s.make("at(2026-01-01T00:01:00)")
        await s.service.advance(300)
        assert len(s.calls) == 4 and len({each.id for each in s.calls}) == 1
        waits = [(b.at - a.at).total_seconds() for a, b in zip(s.calls, s.calls[1:], strict=False)]
        assert [round(each / 2**number) for number, each in enumerate(waits)] == [2, 2, 2]


@virtual_time
async def test_after_its_retries_it_is_a_dead_letter() -> None:
    async with schedules_in_memory() as s:
        s.outside.refuses = lambda call: away(call) if "orders" in call.request["QueueUrl"] else None
        policy = {"maximumRetryAttempts": 2}
        await s.make("at(2026-01-01T00:01:00)", target={"deadLetterArn": DEAD, "retryPolicy": policy})
        await s.service.advance(600)
        *tried, dead = s.calls
        assert len(tried) == 3 and dead.request["QueueUrl"].endswith("/000000000000/dead")
        told = {name: each["StringValue"] for name, each in dead.request["MessageAttributes"].items()}
        assert (told["ERROR_CODE"], told["RETRY_ATTEMPTS"]) == ("ServiceUnavailable", "2")
        assert (told["EXHAUSTED_RETRY_CONDITION"], told["TARGET_ARN"]) == ("MaximumRetryAttempts", QUEUE)


@virtual_time
async def test_what_cannot_be_helped_is_not_repeated() -> None:
    async with schedules_in_memory() as s:
        s.outside.refuses = lambda call: DeliveryFault("AccessDenied", "no", lasting=True)
        await s.make("at(2026-01-01T00:01:00)")
        await s.service.advance(7200)
        assert len(s.calls) == 1


@virtual_time
async def test_an_event_too_old_is_given_up() -> None:
    async with schedules_in_memory() as s:
        s.outside.refuses = away
        await s.make("at(2026-01-01T00:01:00)", target={"retryPolicy": {"maximumEventAgeSeconds": 60}})
        await s.service.advance(3600)
        assert s.calls[-1].at - s.calls[-1].due < timedelta(minutes=3)


@virtual_time
async def test_one_that_fails_holds_up_nobody_and_later_times_of_its_own_pass_it() -> None:
    async with schedules_in_memory() as s:
        first = None

        def refuses(call: Call) -> DeliveryFault | None:
            nonlocal first
            first = first or call.id
            return away(call) if call.id == first else None

        s.outside.refuses = refuses
        await s.make("rate(1 minute)")
        await s.make("rate(1 minute)", "other")
        await s.service.advance(185)
        delivered = {each.id for each in s.calls if each.id != first}
        assert len(delivered) == 7


@virtual_time
async def test_a_flexible_window_is_kept_and_always_the_same() -> None:
    async with schedules_in_memory() as s:
        made = await s.make("cron(0 0/2 * * ? *)", flexibleWindowMinutes=60)
        await s.service.advance(8 * 3600)
        uid = made.metadata.uid or ""
        assert [each.due.hour for each in s.calls] == [0, 2, 4, 6]
        assert [each.at - fires_at(uid, each.due, 60) < timedelta(seconds=1) for each in s.calls] == [True] * 4
        assert len({each.at - each.due for each in s.calls}) == 4
        assert all(timedelta() <= each.at - each.due <= timedelta(hours=1) for each in s.calls)


@virtual_time
async def test_what_is_over_goes_where_it_says_so() -> None:
    async with schedules_in_memory() as s:
        await s.make("at(2026-01-01T00:01:00)", "goes", actionAfterCompletion="Delete")
        await s.make("at(2026-01-01T00:01:00)", "stays")
        await s.make("at(2025-01-01T00:01:00)", "past", actionAfterCompletion="Delete")
        await s.service.advance(120)
        assert [each.metadata.name for each in (await s.service.resources.list(SCHEDULE)).items] == ["stays"]
        assert len(s.calls) == 2


@virtual_time
async def test_a_disabled_or_deleted_schedule_is_not_called() -> None:
    async with schedules_in_memory() as s:
        for name in ("disabled", "deleted", "flexible"):
            fields: dict[str, Any] = {"flexibleWindowMinutes": 600} if name == "flexible" else {}
            await s.make("cron(5 * * * ? *)", name, **fields)
        await s.change("disabled", enabled=False)
        await s.service.resources.delete(SCHEDULE, "deleted", "default")
        await s.service.advance(6 * 60)
        await s.change("flexible", enabled=False)
        await s.service.advance(11 * 3600)
        assert [each for each in s.calls if each.at > each.due + timedelta(minutes=2)] == []
        before = len(s.calls)
        await s.change("disabled", enabled=True)
        await s.service.advance(3600)
        assert len(s.calls) == before + 1


@virtual_time
async def test_forbid_skips_and_replace_gives_up_the_earlier_ones() -> None:
    async with schedules_in_memory() as s:
        s.outside.refuses = away
        await s.make("rate(1 hour)", "forbid", concurrency="Forbid")
        await s.make("rate(1 hour)", "replace", concurrency="Replace", target={"arn": f"{QUEUE}2"})
        await s.service.advance(3 * 3600 + 60)
        forbid = [each for each in s.calls if each.request["QueueUrl"].endswith("orders")]
        replace = [each for each in s.calls if each.request["QueueUrl"].endswith("orders2")]
        assert len({each.id for each in forbid}) == 1
        assert len({each.id for each in replace}) == 4
        assert [each.due for each in replace] == sorted(each.due for each in replace)


@virtual_time
async def test_a_change_of_its_message_does_not_change_its_times() -> None:
    async with schedules_in_memory() as s:
        await s.make("rate(10 minutes)")
        await s.service.advance(540)
        await s.change(target={"input": "new"})
        await s.service.advance(120)
        assert [each.due.minute for each in s.calls] == [0, 10]
        assert s.calls[1].request["MessageBody"] == "new"


@virtual_time
async def test_an_address_is_posted_to() -> None:
    async with schedules_in_memory() as s:
        await s.make("rate(1 day)", target={"arn": "https://example.com/hook", "roleArn": "", "input": "{}"})
        assert [(each.operation, each.request) for each in s.calls] == [
            ("POST https://example.com/hook", {"body": "{}"})
        ]


@virtual_time
async def test_whose_targets_are_slow_delays_nobody_else() -> None:
    async with schedules_in_memory() as s:
        s.outside.seconds = lambda call: 29.0 if call.operation == "POST https://slow.example.com/" else 0.0
        slow = {"arn": "https://slow.example.com/", "roleArn": ""}
        for number in range(MOST_OF_ONE * 5):
            await s.make("at(2026-01-01T00:05:00)", f"slow-{number}", "slow", target=slow)
        await s.make("at(2026-01-01T00:05:00)", "quick")
        await s.service.advance(400)
        (quick,) = [each for each in s.calls if each.operation == "sqs:SendMessage"]
        assert quick.at - quick.due < timedelta(seconds=1)
        assert len(s.calls) > MOST_OF_ONE


async def names(s: Schedules) -> list[str]:
    return [each.metadata.name for each in (await s.service.resources.list(SCHEDULE)).items]


@pytest.mark.parametrize("change", [{"enabled": False}, {"expression": "at(2026-01-01T00:10:00)"}])
def test_a_schedule_that_is_changed_while_it_is_called_stays(change: dict[str, Any]) -> None:
    @virtual_time
    async def run() -> None:
        async with schedules_in_memory() as s:
            s.outside.seconds = lambda call: 10.0
            await s.make("at(2026-01-01T00:01:00)", actionAfterCompletion="Delete")
            await s.service.advance(65)
            assert len(s.calls) == 1
            await s.change(**change)
            await s.service.advance(60)
            assert await names(s) == ["s"]
            await s.service.advance(3600)
            assert (await names(s), len(s.calls)) == ((["s"], 1) if "enabled" in change else ([], 2))

    run()


@virtual_time
async def test_what_was_changed_and_not_seen_yet_stays_too() -> None:
    async with schedules_in_memory() as s:
        seen = await s.make("at(2026-01-01T01:00:00)", actionAfterCompletion="Delete")
        over = planned(seen, s.now(), None)._replace(due=None)
        await s.change(enabled=False)
        await delete_completed(seen, over, s.service.resources)
        assert await names(s) == ["s"]
        await s.service.resources.patch(SCHEDULE, "s", {"spec": {"enabled": True}}, "default")
        again = await s.service.resources.get(SCHEDULE, "s", "default")
        stale = again.model_copy(deep=True)
        await s.service.resources.patch(SCHEDULE, "s", {"metadata": {"labels": {"a": "b"}}}, "default")
        await delete_completed(stale, planned(again, s.now(), None)._replace(due=None), s.service.resources)
        assert await names(s) == []


@virtual_time
async def test_another_message_leaves_what_waits_in_its_window() -> None:
    async with schedules_in_memory() as s:
        await s.make("at(2026-01-01T00:01:00)", flexibleWindowMinutes=600)
        await s.service.advance(62)
        assert s.calls == []
        await s.change(target={"input": "new"})
        await s.service.advance(11 * 3600)
        assert [each.request["MessageBody"] for each in s.calls] == ["new"]


@virtual_time
async def test_what_nobody_thought_of_waits_as_other_faults_do_and_holds_up_nobody() -> None:
    async with schedules_in_memory() as s:

        def breaks(call: Call) -> DeliveryFault | None:
            if call.operation.startswith("POST"):
                raise UnicodeEncodeError("ascii", "ü", 0, 1, "not in a header")
            return None

        s.outside.refuses = breaks
        broken = {"arn": "https://broken.example.com/", "roleArn": ""}
        for number in range(MOST_OF_ONE + 6):
            await s.make("at(2026-01-01T00:05:00)", f"broken-{number}", target=broken)
        await s.make("at(2026-01-01T00:05:30)", "fine")
        await s.service.advance(600)
        (fine,) = [each for each in s.calls if each.operation == "sqs:SendMessage"]
        assert fine.at - fine.due < timedelta(seconds=1)
        tried = Counter(each.id for each in s.calls if each is not fine)
        assert len(tried) == MOST_OF_ONE + 6 and max(tried.values()) < 10


@virtual_time
async def test_one_whose_dead_letter_is_refused_is_not_called_again() -> None:
    async with schedules_in_memory() as s:
        s.outside.refuses = away
        policy = {"maximumRetryAttempts": 0}
        made = await s.make("at(2026-01-01T00:01:00)", target={"deadLetterArn": DEAD, "retryPolicy": policy})
        await s.service.advance(6 * 3600)
        with closing(ScheduleStore(s.service.context.data / FILE)) as store:
            (firing,) = store.firings(made.metadata.uid or "")
        assert (firing.exhausted, firing.attempts) == ("MaximumRetryAttempts", 1)
        s.outside.refuses = lambda call: None
        await s.service.advance(3600)
        called = [each for each in s.calls if "orders" in each.request["QueueUrl"]]
        assert len(called) == 1 and 5 < len(s.calls) < 50
        told = s.calls[-1].request["MessageAttributes"]
        assert (told["ERROR_CODE"]["StringValue"], told["RETRY_ATTEMPTS"]["StringValue"]) == (
            "ServiceUnavailable",
            "0",
        )


@virtual_time
async def test_who_asks_to_be_left_alone_is() -> None:
    async with schedules_in_memory() as s:
        s.outside.refuses = lambda call: DeliveryFault("HTTP429", "busy", retry_after=300.0)
        await s.make("at(2026-01-01T00:01:00)")
        await s.service.advance(900)
        assert [each.at.minute for each in s.calls] == [1, 6, 11]


@virtual_time
async def test_nothing_is_called_while_it_cannot_be_noted_how_calls_went() -> None:
    async with schedules_in_memory() as s:
        await s.make("rate(1 minute)", "a", startDate="2026-01-01T00:01:00Z")
        await s.make("rate(1 minute)", "b", startDate="2026-01-01T00:01:00Z")
        with closing(sqlite3.connect(s.service.context.data / FILE)) as db:
            db.execute("CREATE TRIGGER full BEFORE DELETE ON firings BEGIN SELECT RAISE(ABORT, 'full'); END")
            await s.service.advance(600)
            assert len(s.calls) == 2
            db.execute("DROP TRIGGER full")
            await s.service.advance(2)
        assert len(s.calls) == len({each.id for each in s.calls}) == 20


@virtual_time
async def test_one_that_cannot_be_reckoned_is_set_aside_until_it_changes() -> None:
    async with schedules_in_memory() as s:
        made = await s.make("rate(1 minute)", "bad", startDate="2026-01-01T00:01:00Z")
        await s.make("rate(1 minute)", "good", startDate="2026-01-01T00:01:00Z")
        with closing(ScheduleStore(s.service.context.data / FILE)) as store:
            plan = store.planned(made.metadata.uid or "")
            assert plan is not None
            store.plan(plan._replace(spec="{}"))
        await s.service.advance(210)
        assert len(s.calls) == 3
        await s.change("bad", target={"input": "new"}, expression="rate(2 minutes)")
        await s.service.advance(120)
        assert len(s.calls) == 6 and s.calls[-1].request["MessageBody"] != s.calls[-2].request["MessageBody"]


@virtual_time
async def test_what_is_no_more_is_forgotten() -> None:
    async with schedules_in_memory() as s:
        await s.make("rate(1 day)", "stays")
        await s.make("rate(1 day)", "goes")
        with closing(ScheduleStore(s.service.context.data / FILE)) as store:
            store.plan(Planned("unseen", 1, "default", "{}", 0.0, None))
            await s.service.resources.delete(SCHEDULE, "goes", "default")
            await s.service.advance(1)
            assert len(store.uids()) == 2
            await s.service.advance(3601)
            assert len(store.uids()) == 1


class Interrupted:
    """As an executor: between two works of one caller, another one's comes."""

    def __init__(self, between: Callable[[], None]) -> None:
        self._between = between

    async def run(self, work: Callable[[], Any], *, deadline: float | None = None) -> Any:
        found = work()
        self._between()
        return found


@virtual_time
async def test_what_was_planned_anew_is_not_written_over(tmp_path: Path) -> None:
    clock, store = LoopClock(), ScheduleStore(tmp_path / FILE)
    spec = ScheduleSpec.model_validate({"expression": "rate(1 minute)", "target": {"arn": QUEUE, "roleArn": ROLE}})
    made = SCHEDULE.new("s", namespace="default", spec=spec)
    made.metadata.uid, made.metadata.generation, made.metadata.creation_timestamp = "u", 1, clock.now()
    first = planned(made, clock.now(), None)
    disabled = first._replace(generation=2, due=None)
    store.plan(first)

    async def completed(plan: Planned) -> None:
        return None

    engine = Engine(
        store, Delivery(Outside(clock.now)), clock, Interrupted(lambda: store.plan(disabled)),
        ScheduleMetrics(CollectorRegistry()), lambda plan: plan.uid, completed, Backoff(),
    )  # fmt: skip
    with anyio.move_on_after(200):
        await engine.run()
    assert store.planned("u") == disabled  # not the generation before, moved on
    store.close()


@pytest.mark.parametrize(
    ("region", "go"),
    [("", {"", "us-east-1", "eu-west-1"}), ("us-east-1", {"", "us-east-1"}), ("eu-central-1", {"eu-central-1"})],
)
def test_a_group_takes_those_along_that_see_it(region: str, go: set[str]) -> None:
    """A group of no region is that of every region which has none of this name of its own."""

    @virtual_time
    async def run() -> None:
        async with schedules_in_memory() as s:
            for each in dict.fromkeys((region, "eu-central-1")):
                spec = ScheduleGroupSpec(group_name="g", region=each)
                made = SCHEDULE_GROUP.new(group_resource("g", each), namespace="default", spec=spec)
                await s.service.resources.create(SCHEDULE_GROUP, made)
            regions = ("", "us-east-1", "eu-west-1", "eu-central-1")
            for number, each in enumerate(regions):
                name = schedule_resource(f"s{number}", "g", each)
                await s.make("rate(1 day)", name, scheduleName=f"s{number}", group="g", region=each)
            await s.service.resources.delete(SCHEDULE_GROUP, group_resource("g", region), "default")
            await s.service.advance(5)
            left = (await s.service.resources.list(SCHEDULE)).items
            assert {each.spec.region for each in left} == set(regions) - go
            groups = (await s.service.resources.list(SCHEDULE_GROUP)).items
            assert group_resource("g", region) not in [each.metadata.name for each in groups]

    run()
