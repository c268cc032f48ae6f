"""What strangers, and names that are none, learn and leave behind: nothing. In virtual time."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import pytest

from services.queue_manager.tests.conftest import Account, refusal
from services.queue_manager.tests.in_memory import Queues, queues_in_memory
from services.sdk.aws import resource_names
from services.sdk.aws.accounts import account_of
from services.sdk.identity import Caller
from services.sdk.resources import Resources
from services.sdk.testing import User, virtual_time

STRANGER = User("stranger", (), "elsewhere", "AKIASTRANGERSTRANGER")


def at_home(user: str, wanted: dict[str, str]) -> bool:
    return wanted["namespace"] == ("elsewhere" if "stranger" in user else "default")


@pytest.mark.parametrize("operation", ["GetQueueUrl", "CreateQueue"])
@virtual_time
async def test_a_long_name_is_refused_before_anything_is_asked(operation: str) -> None:
    async with queues_in_memory() as queues:
        queues.service.conductor.reviews.clear()
        _, told = await queues.ask(operation, QueueName="x" * 500_000)
        assert told["__type"] == "InvalidParameterValue" and not queues.service.conductor.reviews


def test_long_names_are_not_kept() -> None:
    before = resource_names._kept.cache_info().currsize
    names = {resource_names.resource_name("É" * 500_000 + str(each), "us-east-2") for each in range(3)}
    assert len(names) == 3 and max(map(len, names)) < 64
    assert resource_names._kept.cache_info().currsize == before


@virtual_time
async def test_nobody_learns_which_queues_another_account_has() -> None:
    async with queues_in_memory() as queues:
        await queues.queue("there", RedriveAllowPolicy='{"redrivePermission":"denyAll"}')
        queues.service.conductor.add(STRANGER)
        queues.service.conductor.judge = at_home
        stranger = Queues(queues.service, STRANGER)
        mine, other = account_of("elsewhere"), account_of("default")
        await stranger.queue("own")
        told = []
        for account, name in ((other, "there"), (other, "gone"), ("123456789012", "gone")):
            status, answer = await stranger.ask("GetQueueUrl", QueueName=name, QueueOwnerAWSAccountId=account)
            told.append((status, answer["__type"], answer["message"].replace(account, "A").replace(name, "N")))
        assert len(set(told)) == 1 and told[0][0] == 403
        status, answer = await stranger.ask("GetQueueUrl", QueueName="gone", QueueOwnerAWSAccountId=mine)
        assert (status, answer["message"]) == (400, "The specified queue does not exist.")


@virtual_time
async def test_dead_letters_do_not_tell_which_queues_another_account_has() -> None:
    async with queues_in_memory() as queues:
        await queues.queue("there")
        queues.service.conductor.add(STRANGER)
        stranger, told = Queues(queues.service, STRANGER), set()
        for name in ("there", "gone"):
            policy = f'{{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:{name}","maxReceiveCount":1}}'
            status, answer = await stranger.ask("CreateQueue", QueueName="own", Attributes={"RedrivePolicy": policy})
            told.add((status, answer.get("message", "").replace(name, "N")))
        assert len(told) == 1 and told.pop()[0] == 400


def denying(action: str, resource: str, **condition: Any) -> str:
    said = {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource, "Condition": condition}
    return json.dumps({"Version": "2012-10-17", "Statement": [said]})


ASKED = {"StringEquals": {"aws:RequestTag/stage": "live"}}
TAKEN = {"ForAnyValue:StringEquals": {"aws:TagKeys": ["stage"]}}


@pytest.mark.parametrize(
    ("operation", "condition", "refused", "allowed"),
    [
        ("TagQueue", ASKED, {"Tags": {"stage": "live"}}, {"Tags": {"stage": "test"}}),
        ("TagQueue", TAKEN, {"Tags": {"a": "b", "stage": ""}}, {"Tags": {"a": "b"}}),
        ("UntagQueue", TAKEN, {"TagKeys": ["stage"]}, {"TagKeys": ["a"]}),
    ],
)
@virtual_time
async def test_conditions_see_the_tags_of_the_request(
    operation: str, condition: Any, refused: Any, allowed: Any
) -> None:
    async with queues_in_memory() as queues:
        policy = denying(f"sqs:{operation}", "arn:aws:sqs:us-east-1:000000000000:orders", **condition)
        url = await queues.queue(Policy=policy)
        assert (await queues.ask(operation, QueueUrl=url, **refused))[0] == 403
        assert (await queues.ask(operation, QueueUrl=url, **allowed))[0] == 200


def test_conditions_of_a_topic_see_the_tags_of_the_request(account: Account) -> None:
    sns = account.harness.boto3_client("sns", account.owner)
    arn = sns.create_topic(Name="news")["TopicArn"]
    for action, condition, ask, refused, allowed in (
        ("Tag", ASKED, sns.tag_resource, {"Tags": [{"Key": "stage", "Value": "live"}]}, {"Tags": []}),
        ("Untag", TAKEN, sns.untag_resource, {"TagKeys": ["a", "stage"]}, {"TagKeys": ["a"]}),
    ):
        policy = denying(f"sns:{action}Resource", arn, **condition)
        sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
        assert refusal(ask, ResourceArn=arn, **refused)[0] == "AuthorizationError"
        ask(ResourceArn=arn, **allowed)


@virtual_time
async def test_permissions_that_are_given_at_once_are_all_given() -> None:
    async with queues_in_memory() as queues:
        url = await queues.queue()
        given = {"QueueUrl": url, "AWSAccountIds": ["123456789012"], "Actions": ["SendMessage"]}
        labels = [f"label{each}" for each in range(5)]
        await asyncio.gather(*(queues.call("AddPermission", Label=each, **given) for each in labels))
        told = await queues.call("GetQueueAttributes", QueueUrl=url, AttributeNames=["Policy"])
        assert sorted(each["Sid"] for each in json.loads(told["Attributes"]["Policy"])["Statement"]) == labels


@virtual_time
async def test_topics_are_changed_in_the_name_of_whom_a_role_lets() -> None:
    async with queues_in_memory() as queues:
        kept, named = queues.service.resources, []

        def resources(caller: Caller | None) -> Resources:
            named.append(caller.name if caller else "")
            return kept

        await queues.form("CreateTopic", "/sns", Version="2010-03-31", Name="news")
        arn = "arn:aws:sns:us-east-1:000000000000:news"
        queues.service.context.make_resources = resources
        for operation, more in (
            ("SetTopicAttributes", {"TopicArn": arn, "AttributeName": "DisplayName", "AttributeValue": "News"}),
            ("TagResource", {"ResourceArn": arn, "Tags.member.1.Key": "a", "Tags.member.1.Value": "b"}),
            ("UntagResource", {"ResourceArn": arn, "TagKeys.member.1": "a"}),
            ("DeleteTopic", {"TopicArn": arn}),
        ):
            named.clear()
            status, told = await queues.form(operation, "/sns", Version="2010-03-31", **more)
            assert (status, named) == (200, ["admin"]), (operation, "".join(told.itertext()))


@virtual_time
async def test_two_who_subscribe_at_once_make_one_subscription(monkeypatch: Any) -> None:
    async with queues_in_memory() as queues:
        await queues.queue()
        arn = "arn:aws:{}:us-east-1:000000000000:{}".format
        sns = partial(queues.form, path="/sns", Version="2010-03-31")
        await sns("CreateTopic", Name="news")
        create = queues.service.resources.create

        async def slowly(*args: Any) -> Any:
            for _ in range(1000):
                await asyncio.sleep(0)
            return await create(*args)

        monkeypatch.setattr(queues.service.resources, "create", slowly)
        wanted = {"TopicArn": arn("sns", "news"), "Protocol": "sqs", "Endpoint": arn("sqs", "orders")}
        told = await asyncio.gather(*(sns("Subscribe", **wanted) for _ in range(3)))
        assert [status for status, _ in told] == [200] * 3
        assert len({answer.findtext(".//SubscriptionArn") for _, answer in told}) == 1
        _, listed = await sns("ListSubscriptions")
        assert len(listed.findall(".//SubscriptionArn")) == 1


def test_nobody_learns_which_topics_another_account_has(account: Account, monkeypatch: Any) -> None:
    sns = account.harness.boto3_client("sns", account.owner)
    there = sns.create_topic(Name="there")["TopicArn"]
    stranger = account.harness.conductor.add(STRANGER)
    monkeypatch.setattr(account.harness.conductor, "judge", at_home)
    theirs = account.harness.boto3_client("sns", stranger)
    for ask, more in ((theirs.publish, {"Message": "x"}), (theirs.get_topic_attributes, {})):
        told = [refusal(ask, TopicArn=there.replace("there", name), **more) for name in ("there", "gone")]
        assert told[0][0] == "AuthorizationError"
        assert told[0] == (told[1][0], told[1][1].replace("gone", "there"))
    missing = there.replace(account.number, account_of("elsewhere"))
    assert refusal(theirs.get_topic_attributes, TopicArn=missing)[0] == "NotFound"
