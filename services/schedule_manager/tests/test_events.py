"""Event buses and rules: events reach the targets of the rules that want them, in virtual time."""

from __future__ import annotations

import json
from typing import Any, cast

import httpx
import pytest

from services.schedule_manager.delivery import DeliveryFault
from services.schedule_manager.events.kinds import EVENT_RULE, EventRuleSpec
from services.schedule_manager.events.names import rule_resource
from services.schedule_manager.events.shaping import (
    InputTransformer,
    Rule,
    Shaping,
    ShapingFault,
    check_shaping,
    shaped,
)
from services.schedule_manager.tests.in_memory import DEAD, QUEUE, ROLE, Schedules, schedules_in_memory
from services.sdk.aws.role_calls import CallFault, OwnCalls
from services.sdk.clients.service_client import ServiceClient
from services.sdk.testing import User, virtual_time

DETAIL = {"order": 7, "who": {"name": 'A "B"'}, "tags": ["x", "y"]}


class Events:
    """EventBridge, by its JSON protocol."""

    def __init__(self, schedules: Schedules) -> None:
        self.schedules, self.user = schedules, User()

    async def ask(self, operation: str, **body: Any) -> tuple[int, dict[str, Any]]:
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"AWSEvents.{operation}"}
        async with self.schedules.service.client(self.user) as client:
            answer = await client.post("/events", headers=headers, json=body)
        return answer.status_code, answer.json() if answer.content else {}

    async def call(self, operation: str, **body: Any) -> dict[str, Any]:
        status, answer = await self.ask(operation, **body)
        assert status == 200, answer
        return answer

    async def refused(self, operation: str, **body: Any) -> tuple[str, str]:
        status, answer = await self.ask(operation, **body)
        assert status == 400, answer
        return answer["__type"].rpartition("#")[2], answer["message"]

    async def rule(self, name: str = "orders", **more: Any) -> None:
        await self.call("PutRule", Name=name, **({"EventPattern": '{"source": ["shop"]}'} | more))

    async def target(self, id: str = "t", rule: str = "orders", **more: Any) -> None:
        target = {"Id": id, "Arn": QUEUE, "RoleArn": ROLE, **more}
        await self.call("PutTargets", Rule=rule, Targets=[target])

    async def put(self, source: str = "shop", **more: Any) -> dict[str, Any]:
        entry = {"Source": source, "DetailType": "Order", "Detail": json.dumps(DETAIL), **more}
        (told,) = (await self.call("PutEvents", Entries=[entry]))["Entries"]
        return dict(told)

    async def sent(self) -> list[str]:
        """The bodies that the targets got, once all is quiet."""
        await self.schedules.service.advance(0.1)
        return [each.request["MessageBody"] for each in self.schedules.calls]


@virtual_time
async def test_an_event_reaches_those_who_want_it() -> None:
    async with schedules_in_memory() as s:
        events = Events(s)
        await events.rule()
        await events.rule("others", EventPattern='{"source": ["elsewhere"]}')
        await events.rule("off", State="DISABLED")
        for rule in ("orders", "others", "off"):
            await events.target(rule=rule)
        told = await events.put(Resources=["arn:a"])
        (body,) = await events.sent()
        event = json.loads(body)
        assert event.pop("time").endswith("Z") and event.pop("id") == told["EventId"]
        assert event == {
            "version": "0",
            "source": "shop",
            "detail-type": "Order",
            "account": "000000000000",
            "region": "us-east-1",
            "resources": ["arn:a"],
            "detail": DETAIL,
        }


@virtual_time
async def test_what_is_not_taken_is_tried_again_and_ends_as_a_dead_letter() -> None:
    async with schedules_in_memory() as s:
        events = Events(s)
        await events.rule()
        dead: dict[str, Any] = {"DeadLetterConfig": {"Arn": DEAD}, "RetryPolicy": {"MaximumRetryAttempts": 2}}
        await events.target(**dead, Input='"short"')
        s.outside.refuses = lambda call: (
            None if "dead" in call.request["QueueUrl"] else DeliveryFault("ServiceUnavailable", "busy")
        )
        told = await events.put()
        await s.service.advance(3600)
        *tries, buried = s.calls
        assert [each.request["MessageBody"] for each in tries] == ['"short"'] * 3
        assert json.loads(buried.request["MessageBody"])["id"] == told["EventId"]
        said = {name: each["StringValue"] for name, each in buried.request["MessageAttributes"].items()}
        assert said["RULE_ARN"] == "arn:aws:events:us-east-1:000000000000:rule/orders"
        assert said["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts" and "SCHEDULE_ARN" not in said


@virtual_time
async def test_a_dead_letter_fits_into_a_message() -> None:
    async with schedules_in_memory() as s:
        events = Events(s)
        await events.rule()
        await events.target(DeadLetterConfig={"Arn": DEAD}, Input="1")
        s.outside.refuses = lambda call: (
            None if "dead" in call.request["QueueUrl"] else DeliveryFault("No", "never", lasting=True)
        )
        await events.put(Detail=json.dumps({"a": "ä" * 110_000}, ensure_ascii=False))
        await s.service.advance(1)
        buried = s.calls[-1].request
        assert 199_990 < len(buried["MessageBody"].encode()) <= 200_000
        assert buried["MessageAttributes"]["IS_PAYLOAD_TRUNCATED"]["StringValue"] == "true"


@virtual_time
async def test_events_come_once_and_in_the_order_in_which_they_were_put() -> None:
    async with schedules_in_memory() as s:
        events = Events(s)
        await events.rule()
        await events.target(InputPath="$.detail.order")
        for number in range(20):
            await events.put(Detail=json.dumps({"order": number}))
        assert await events.sent() == [str(number) for number in range(20)]


@virtual_time
async def test_targets_that_went_get_nothing_any_more() -> None:
    async with schedules_in_memory() as s:
        events = Events(s)
        await events.rule()
        await events.target()
        s.outside.refuses = lambda call: DeliveryFault("ServiceUnavailable", "busy")
        await events.put()
        assert len(await events.sent()) == 1
        await events.call("RemoveTargets", Rule="orders", Ids=["t"])
        await s.service.advance(3600)
        assert len(s.calls) == 1
        await events.call("DeleteRule", Name="orders")
        await s.service.advance(3600)
        assert len(s.calls) == 1


@virtual_time
async def test_a_rule_makes_events_at_its_times() -> None:
    async with schedules_in_memory() as s:
        events = Events(s)
        await events.call("PutRule", Name="orders", ScheduleExpression="rate(5 minutes)")
        await events.target()
        await s.service.advance(630)
        assert len(s.calls) == 3
        event = json.loads(s.calls[0].request["MessageBody"])
        assert (event["source"], event["detail-type"], event["detail"]) == ("aws.events", "Scheduled Event", {})
        assert event["resources"] == ["arn:aws:events:us-east-1:000000000000:rule/orders"]
        await events.call("DisableRule", Name="orders")
        await s.service.advance(3600)
        assert len(s.calls) == 3


@virtual_time
async def test_buses_are_apart() -> None:
    async with schedules_in_memory() as s:
        events = Events(s)
        arn = (await events.call("CreateEventBus", Name="shop.one"))["EventBusArn"]
        assert arn == "arn:aws:events:us-east-1:000000000000:event-bus/shop.one"
        await events.call("PutRule", Name="r", EventPattern='{"source": ["shop"]}', EventBusName=arn)
        target = {"Id": "t", "Arn": QUEUE, "RoleArn": ROLE}
        await events.call("PutTargets", Rule="r", EventBusName="shop.one", Targets=[target])
        await events.put()
        assert await events.sent() == []
        await events.put(EventBusName="shop.one")
        assert len(await events.sent()) == 1
        assert "EventId" in await events.put(EventBusName="nowhere")
        assert (await events.refused("DeleteEventBus", Name="shop.one"))[0] == "ValidationException"
        names = [each["Name"] for each in (await events.call("ListEventBuses"))["EventBuses"]]
        assert names == ["default", "shop.one"]
        rule = await events.call("DescribeRule", Name="r", EventBusName="shop.one")
        assert rule["Arn"].endswith(":rule/shop.one/r") and rule["State"] == "ENABLED"


class Queues:
    """Answers as queue_manager does to `refused`."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.status, self.answer = 200, b"{}"

    async def request(self, method: str, path: str, **more: Any) -> Any:
        self.asked.append({"path": path, **more})
        return httpx.Response(self.status, content=self.answer)


@virtual_time
async def test_what_has_no_role_is_called_in_its_own_name() -> None:
    queues = Queues()
    own = OwnCalls(cast(ServiceClient, queues), {"sqs": "/", "sns": "/sns"})
    wanted = {"QueueUrl": "https://sqs.eu-central-1.amazonaws.com/1/orders", "MessageBody": "hello"}
    await own.call("arn:rule", "team-a", "sqs", "eu-central-1", "SendMessage", wanted)
    await own.call("arn:rule", "team-a", "sns", "eu-central-1", "Publish", {"TopicArn": "a", "Message": "hello"})
    sent, published = queues.asked
    assert (sent["path"], sent["namespace"], json.loads(sent["content"])) == ("/", "team-a", wanted)
    assert (sent["headers"]["X-Aerekos-Region"], sent["headers"]["X-Aerekos-Source-Arn"]) == (
        "eu-central-1",
        "arn:rule",
    )
    assert published["path"] == "/sns" and b"Action=Publish" in published["content"]
    queues.status, queues.answer = 403, b'{"__type": "AccessDeniedException", "message": "no"}'
    with pytest.raises(CallFault) as refused:
        await own.call("arn:rule", "team-a", "sqs", "eu-central-1", "SendMessage", wanted)
    assert (refused.value.code, refused.value.lasting) == ("AccessDeniedException", True)


@virtual_time
async def test_buses_and_rules_have_tags() -> None:
    async with schedules_in_memory() as s:
        events = Events(s)
        await events.call("CreateEventBus", Name="shop")
        await events.rule()
        for each in ("event-bus/shop", "rule/orders"):
            arn = f"arn:aws:events:us-east-1:000000000000:{each}"
            await events.call("TagResource", ResourceARN=arn, Tags=[{"Key": k, "Value": "1"} for k in "ab"])
            await events.call("UntagResource", ResourceARN=arn, TagKeys=["b"])
            told = await events.call("ListTagsForResource", ResourceARN=arn)
            assert told["Tags"] == [{"Key": "a", "Value": "1"}]


@virtual_time
async def test_entries_are_judged_one_by_one() -> None:
    async with schedules_in_memory() as s:
        events = Events(s)
        assert (await events.put(Detail="[]"))["ErrorCode"] == "MalformedDetail"
        assert (await events.put(source="aws.s3"))["ErrorCode"] == "NotAuthorizedForSourceException"
        other = "arn:aws:events:us-east-1:111122223333:event-bus/default"
        assert (await events.put(EventBusName=other))["ErrorCode"] == "AccessDeniedException"
        deep = "1"
        for _ in range(300):
            deep = f'{{"a":{deep}}}'
        assert (await events.put(Detail=deep))["ErrorMessage"].endswith("nested too deep.")
        told = await events.call("PutEvents", Entries=[{"Source": "s", "DetailType": "d"}, {}])
        assert told["FailedEntryCount"] == 2
        assert told["Entries"][0]["ErrorMessage"].endswith("Detail is a required argument.")
        too_much = {"Source": "s", "DetailType": "d", "Detail": json.dumps({"a": "x" * 262_144})}
        assert (await events.refused("PutEvents", Entries=[too_much]))[1].startswith("Total size")


@virtual_time
async def test_a_service_speaks_for_itself_alone() -> None:
    """S3 says what happens in buckets, and nobody else does."""
    async with schedules_in_memory() as s:
        events = Events(s)
        events.user = User("system:service:storage-manager", ("system:services",))
        assert "EventId" in await events.put(source="aws.s3") and "EventId" in await events.put(source="mine")
        assert (await events.put(source="aws.events"))["ErrorCode"] == "NotAuthorizedForSourceException"
        events.user = User("system:service:secrets-manager", ("system:services",))
        assert (await events.put(source="aws.s3"))["ErrorCode"] == "NotAuthorizedForSourceException"


@virtual_time
async def test_events_that_cost_too_much_to_compare_are_refused() -> None:
    async with schedules_in_memory() as s:
        events = Events(s)
        prefixes = [{"prefix": str(each)} for each in range(200)]
        await events.rule(EventPattern=json.dumps({"detail": {"a": prefixes}}))
        await events.target()
        long = {"detail": {"a": ["x"] * 2000}}
        refused = await events.put(Detail=json.dumps(long["detail"]))
        assert refused["ErrorCode"] == "InvalidArgument" and "compared" in refused["ErrorMessage"]
        assert "EventId" in await events.put(Detail=json.dumps({"a": ["7"]}))
        assert len(await events.sent()) == 1
        named = dict.fromkeys(("id", "account", "source", "time", "region", "detail-type"), "x")
        test = {"EventPattern": json.dumps({"detail": {"a": prefixes}}), "Event": json.dumps(named | long)}
        assert "compared" in (await events.refused("TestEventPattern", **test))[1]


@virtual_time
async def test_a_bus_has_so_many_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("operations.rules", "routing"):
        monkeypatch.setattr(f"services.schedule_manager.events.{module}.MOST_RULES", 2)
    async with schedules_in_memory() as s:
        events = Events(s)
        for name in ("a", "b", "b"):
            await events.rule(name)
        assert (await events.refused("PutRule", Name="c", EventPattern='{"source": ["x"]}'))[0] == (
            "LimitExceededException"
        )
        spec = EventRuleSpec(rule_name="c", region="us-east-1", event_pattern='{"source": ["x"]}')
        named = EVENT_RULE.new(rule_resource("c", "default", "us-east-1"), namespace="default", spec=spec)
        await s.service.resources.create(EVENT_RULE, named)
        await s.service.advance(0.1)
        assert "delete some" in (await events.put())["ErrorMessage"]


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ({"RoleArn": "", "Arn": "arn:aws:scheduler:::aws-sdk:kms:createKey", "Input": "{}"}, "roleArn"),
        ({"Input": "1", "InputPath": "$"}, "Only one of Input, InputPath, or InputTransformer"),
        (
            {"InputTransformer": {"InputTemplate": "<x>"}},
            "contains invalid placeholder x.",
        ),
        ({"InputPath": "detail"}, "begins with $"),
        ({"Arn": "arn:aws:lambda:us-east-1:000000000000:function:f"}, "there are no Lambda functions here"),
        ({"Arn": "arn:aws:scheduler:::aws-sdk:eventbridge:putEvents"}, "event buses are not targets here yet"),
        ({"Arn": "arn:aws:scheduler:::aws-sdk:EventBridge:putEvents"}, "event buses are not targets here yet"),
        ({"Arn": "arn:aws:scheduler:::aws-sdk:events:putEvents"}, "event buses are not targets here yet"),
        ({"KinesisParameters": {"PartitionKeyPath": "$.id"}}, "KinesisParameters of target t"),
    ],
)
@virtual_time
async def test_targets_that_cannot_be(target: dict[str, Any], why: str) -> None:
    async with schedules_in_memory() as s:
        events = Events(s)
        await events.rule()
        wanted = {"Id": "t", "Arn": QUEUE, "RoleArn": ROLE, **target}
        assert why in (await events.refused("PutTargets", Rule="orders", Targets=[wanted]))[1]
        assert (await events.call("ListTargetsByRule", Rule="orders"))["Targets"] == []


@pytest.mark.parametrize(
    ("how", "text"),
    [
        (Shaping(), '{"source":"s","time":"T","detail":{"n":{"a":1},"q":"x\\"y","l":["h"]}}'),
        (Shaping(text="as it is"), "as it is"),
        (Shaping(path="$.detail.n"), '{"a":1}'),
        (Shaping(path="$.detail['l'][0]"), '"h"'),
        (Shaping(path="$.detail.l[*]"), '["h"]'),
        (Shaping(path="$.nowhere"), '""'),
        (Shaping(transformer=InputTransformer(paths={"q": "$.detail.q"}, template='{"a": <q>, "b": "is <q>"}')),
         '{"a": "x\\"y", "b": "is x\\"y"}'),
        (Shaping(transformer=InputTransformer(paths={"n": "$.detail.n"}, template='"of <n>"')), '"of {a:1}"'),
        (Shaping(transformer=InputTransformer(paths={"n": "$.no"}, template='{"a": <n>, "b": "<n>"}')),
         '{"a": "", "b": ""}'),
        (Shaping(transformer=InputTransformer(template='"<aws.events.rule-name> <aws.events.rule-arn>"')), '"r arn"'),
        (Shaping(transformer=InputTransformer(template="<aws.events.event>")), '{"source":"s","time":"T"}'),
        (Shaping(transformer=InputTransformer(template='"a < b and \\" <c d>"')), '"a < b and \\" <c d>"'),
    ],
)  # fmt: skip
def test_what_is_sent(how: Shaping, text: str) -> None:
    event = {"source": "s", "time": "T", "detail": {"n": {"a": 1}, "q": 'x"y', "l": ["h"]}}
    check_shaping(how)
    assert shaped(event, how, Rule("arn", "r")) == text


@pytest.mark.parametrize(
    "how",
    [
        InputTransformer(paths={"a": "$"}, template="<a>" * 2730),
        InputTransformer(template="<aws.events.event.json>" * 350),
        InputTransformer(template='"' + "<aws.events.event.json>" * 350 + '"'),
        InputTransformer(
            paths={f"p{each}": f"$.detail.b[*].x{each}" for each in range(100)},
            template="".join(f"<p{each}>" for each in range(100)),
        ),
    ],
)
def test_what_a_template_makes_has_a_bound(how: InputTransformer) -> None:
    event = {"detail": {"a": "x" * 100_000, "b": [1] * 50_000}}
    with pytest.raises(ShapingFault, match="more than 262144"):
        shaped(event, Shaping(transformer=how), Rule("arn", "r"))
    assert shaped({"a": 1}, Shaping(transformer=InputTransformer(paths={"a": "$.a"}, template="<a>" * 2730)),
                  Rule("arn", "r")) == "1" * 2730  # fmt: skip


@virtual_time
async def test_what_a_template_makes_too_large_is_a_dead_letter_at_once() -> None:
    async with schedules_in_memory() as s:
        events = Events(s)
        await events.rule()
        transformer = {"InputPathsMap": {"a": "$"}, "InputTemplate": "<a>" * 2730}
        await events.target(InputTransformer=transformer, DeadLetterConfig={"Arn": DEAD})
        told = await events.put()
        await s.service.advance(1)
        (buried,) = s.calls
        said = {name: each["StringValue"] for name, each in buried.request["MessageAttributes"].items()}
        assert json.loads(buried.request["MessageBody"])["id"] == told["EventId"]
        assert said["EXHAUSTED_RETRY_CONDITION"] == "NotRetryable" and "262144 bytes" in said["ERROR_MESSAGE"]


def test_templates_that_cannot_be() -> None:
    for how in (
        Shaping(path="$.a..b"),
        Shaping(path="$[-1]"),
        Shaping(transformer=InputTransformer(template="<who>")),
        Shaping(transformer=InputTransformer(paths={"aws.x": "$.a"}, template="x")),
    ):
        with pytest.raises(ShapingFault):
            check_shaping(how)
