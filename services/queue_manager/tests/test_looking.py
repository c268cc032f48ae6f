"""To look at messages changes nothing, takes the right to receive, and tells why dead letters are there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from services.queue_manager.tests.in_memory import OUTSIDE, Queues, queues_in_memory
from services.queue_manager.tests.test_http_subscriptions import ask, confirm, outside, publish, subscribe, topics
from services.queue_manager.tests.test_moving import with_dead_letters
from services.sdk.testing import User, virtual_time

__all__ = ["outside"]


async def look(queues: Queues, path: str, user: User | None = None, status: int = 200) -> Any:
    async with queues.service.client(user) as client:
        answer = await client.get(path)
    assert answer.status_code == status, answer.text
    if status == 200:  # also of reads, the gateway takes what is told here into the audit log
        action, place = (answer.headers[f"x-aerekos-audit-{each}"] for each in ("action", "resource"))
        assert action in ("queues:use", "topics:get") and "/".join(path.partition("?")[0].split("/")[2:4]) == place
    return answer.json()


@virtual_time
async def test_looking_hides_nothing_and_counts_as_no_receive() -> None:
    async with queues_in_memory() as queues:
        url = await queues.queue()
        kind = {"kind": {"DataType": "String", "StringValue": "a"}}
        for number in range(3):
            await queues.send(url, f"{number}" * 5_000, MessageAttributes=kind)
        (taken,) = await queues.receive(url)
        told = await look(queues, "/queues/default/orders/messages?limit=2")
        assert [told[each] for each in ("visible", "inFlight", "delayed")] == [2, 1, 0]
        first, second = told["messages"]
        assert (first["id"], first["state"], first["receives"]) == (taken["MessageId"], "InFlight", 1)
        assert (second["body"], second["bytes"], second["state"]) == ("1" * 4_096, 5_000, "Visible")
        assert second["attributes"] == {"kind": {"type": "String", "text": "a"}}
        assert "visibleAt" in first and "visibleAt" not in second
        (newest,) = (await look(queues, "/queues/default/orders/messages?from=newest&limit=1"))["messages"]
        assert newest["body"][0] == "2"
        got = await queues.receive(url, MaxNumberOfMessages=10, AttributeNames=["All"])
        assert {each["Attributes"]["ApproximateReceiveCount"] for each in got} == {"1"} and len(got) == 2
        for wrong in ("limit=0", "limit=101", "limit=x", "from=middle", "after=1"):
            await look(queues, f"/queues/default/orders/messages?{wrong}", status=400)
        await look(queues, "/queues/default/none/messages", status=404)


@virtual_time
async def test_dead_letters_are_told_by_where_and_why_they_failed() -> None:
    async with queues_in_memory() as queues:
        _, dead, _ = await with_dead_letters(queues, 3)
        said = {"ERROR_CODE": {"DataType": "String", "StringValue": "AccessDenied"}}
        await queues.send(dead, "of a schedule", MessageAttributes=said)
        told = await look(queues, "/queues/default/dead/failures")
        assert told["looked"] == 4
        assert [(each["source"][-6:], each["code"], each["messages"]) for each in told["failures"]] == [
            ("orders", "", 3),
            ("", "AccessDenied", 1),
        ]


@virtual_time
async def test_whoever_may_not_receive_may_not_look() -> None:
    async with queues_in_memory() as queues:
        url = await queues.queue()
        await queues.send(url, "secret")
        deny = {"Effect": "Deny", "Principal": "*", "Action": "sqs:ReceiveMessage", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
        viewer = queues.service.conductor.add(replace(queues.user, name="viewer", access_key="AKIAVIEWERVIEWER0000"))
        queues.service.conductor.refuse("viewer", "use")
        for path in ("messages", "failures"):
            await look(queues, f"/queues/default/orders/{path}", viewer, 403)
        await queues.call("SetQueueAttributes", QueueUrl=url, Attributes={"Policy": policy})
        for path in ("messages", "failures"):
            refused = await look(queues, f"/queues/default/orders/{path}", status=403)
            assert "sqs:ReceiveMessage" in refused["message"] and "secret" not in str(refused)


@virtual_time
async def test_a_subscription_is_pending_then_confirmed_and_failing_while_it_fails(tmp_path: Path) -> None:
    async with topics(tmp_path) as queues:
        url = await queues.queue()
        arn = (await queues.call("GetQueueAttributes", QueueUrl=url, AttributeNames=["QueueArn"]))["Attributes"]
        topic = "arn:aws:sns:us-east-1:000000000000:news"
        await ask(queues, "Subscribe", TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"])
        await subscribe(queues)

        async def states() -> dict[str, Any]:
            told = await look(queues, "/topics/default/news/subscriptions")
            return {each["protocol"]: each for each in told["subscriptions"]}

        found = await states()
        assert (found["sqs"]["state"], found["https"]["state"]) == ("Confirmed", "Pending")
        await confirm(queues)
        assert (await states())["https"]["state"] == "Confirmed"
        OUTSIDE.answer = lambda request: httpx.Response(503)
        await publish(queues)
        failing = (await states())["https"]
        assert (failing["state"], failing["waiting"], failing["fault"]) == ("Failing", 1, "it answered 503")
        OUTSIDE.answer = lambda request: httpx.Response(200)
        await queues.service.advance(30)
        assert ((await states())["https"]["state"], (await states())["https"]["waiting"]) == ("Confirmed", 0)
        await look(queues, "/topics/default/none/subscriptions", status=404)
