"""Topics through an unmodified boto3: what is published goes to the queues that want it, all or none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.queue_manager.tests.conftest import Account, refusal
from services.sdk.aws.accounts import account_of
from services.sdk.testing import User


@pytest.fixture
def sns(account: Account) -> Any:
    return account.harness.boto3_client("sns", account.owner)


@pytest.fixture
def topic(sns: Any) -> str:
    return str(sns.create_topic(Name="news")["TopicArn"])


def arn_of(sqs: Any, url: str) -> str:
    return str(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])


def subscribed(sns: Any, sqs: Any, topic: str, name: str, **attributes: str) -> str:
    """The URL of a new queue that gets what is published."""
    url: str = sqs.create_queue(QueueName=name)["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn_of(sqs, url), Attributes=attributes)
    return url


def received(sqs: Any, url: str) -> list[dict[str, Any]]:
    wanted = {"MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"]}
    found: list[dict[str, Any]] = sqs.receive_message(QueueUrl=url, **wanted).get("Messages", [])
    return found


def test_what_is_published_comes_to_all_who_subscribed(sns: Any, sqs: Any, topic: str) -> None:
    wrapped, raw = (
        subscribed(sns, sqs, topic, "wrapped"),
        subscribed(sns, sqs, topic, "raw", RawMessageDelivery="true"),
    )
    attributes = {"colour": {"DataType": "String", "StringValue": "red"}}
    sent = sns.publish(TopicArn=topic, Message="hello", Subject="greeting", MessageAttributes=attributes)
    (got,) = received(sqs, wrapped)
    told = json.loads(got["Body"])
    assert (told["Message"], told["Subject"], told["TopicArn"]) == ("hello", "greeting", topic)
    assert (told["MessageId"], told["MessageAttributes"]) == (
        sent["MessageId"],
        {"colour": {"Type": "String", "Value": "red"}},
    )
    (got,) = received(sqs, raw)
    assert (got["Body"], got["MessageAttributes"]) == ("hello", attributes)


def test_a_filter_decides(sns: Any, sqs: Any, topic: str) -> None:
    red = subscribed(sns, sqs, topic, "red", FilterPolicy='{"colour": ["red"]}', RawMessageDelivery="true")
    big = subscribed(
        sns,
        sqs,
        topic,
        "big",
        FilterPolicy='{"order": {"sum": [{"numeric": [">", 100]}]}}',
        FilterPolicyScope="MessageBody",
        RawMessageDelivery="true",
    )
    entries = [
        {"Id": "a", "Message": "1", "MessageAttributes": {"colour": {"DataType": "String", "StringValue": "red"}}},
        {"Id": "b", "Message": "2", "MessageAttributes": {"colour": {"DataType": "String", "StringValue": "blue"}}},
        {"Id": "c", "Message": '{"order": {"sum": 101}}'},
        {"Id": "d", "Message": '{"order": {"sum": 99}}'},
        {"Id": "e", "Message": "\x00"},
    ]
    told = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    assert [each["Id"] for each in told["Successful"]] == ["a", "b", "c", "d"]
    assert [(each["Id"], each["Code"]) for each in told["Failed"]] == [("e", "InvalidParameter")]
    assert [each["Body"] for each in received(sqs, red)] == ["1"]
    assert [each["Body"] for each in received(sqs, big)] == ['{"order": {"sum": 101}}']


def test_a_subscription_lives(sns: Any, sqs: Any, topic: str) -> None:
    url = subscribed(sns, sqs, topic, "orders")
    (known,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    arn = known["SubscriptionArn"]
    again = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=known["Endpoint"])
    assert again["SubscriptionArn"] == arn
    sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue='{"a": ["b"]}')
    attributes = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert (attributes["FilterPolicy"], attributes["FilterPolicyScope"]) == ('{"a": ["b"]}', "MessageAttributes")
    sns.unsubscribe(SubscriptionArn=arn)
    sns.publish(TopicArn=topic, Message="nobody hears it")
    assert received(sqs, url) == [] and sns.list_subscriptions()["Subscriptions"] == []


def test_a_fifo_topic_keeps_order_and_sends_nothing_twice(sns: Any, sqs: Any) -> None:
    topic = sns.create_topic(Name="news.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    url = sqs.create_queue(QueueName="orders.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn_of(sqs, url), Attributes={"RawMessageDelivery": "true"}
    )
    for number in (1, 2, 2):
        sns.publish(TopicArn=topic, Message=str(number), MessageGroupId="a", MessageDeduplicationId=str(number))
    assert [each["Body"] for each in received(sqs, url)] == ["1", "2"]
    assert refusal(sns.publish, TopicArn=topic, Message="x")[0] == "InvalidParameter"


def test_what_cannot_be_delivered_goes_to_the_dead_letters(sns: Any, sqs: Any, topic: str) -> None:
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    policy = json.dumps({"deadLetterTargetArn": arn_of(sqs, dead)})
    url = subscribed(sns, sqs, topic, "orders", RedrivePolicy=policy)
    sqs.delete_queue(QueueUrl=url)
    sns.publish(TopicArn=topic, Message="hello")
    (got,) = received(sqs, dead)
    assert json.loads(got["Body"])["Message"] == "hello"


@pytest.mark.parametrize(
    ("message", "count", "attributes"),
    [
        ("x" * 2000, 0, {}),
        ("x", 11, {"RawMessageDelivery": "true"}),
        (
            json.dumps({"a": ["x"] * 50_000}),
            0,
            {"FilterPolicy": '{"a": [{"prefix": "y"}, {"prefix": "z"}]}', "FilterPolicyScope": "MessageBody"},
        ),
    ],
    ids=["too long", "too many attributes", "too many values"],
)
def test_what_a_queue_cannot_take_goes_to_the_dead_letters(
    sns: Any, sqs: Any, topic: str, message: str, count: int, attributes: dict[str, str]
) -> None:
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    policy = json.dumps({"deadLetterTargetArn": arn_of(sqs, dead)})
    url = sqs.create_queue(QueueName="small", Attributes={"MaximumMessageSize": "1024"})["QueueUrl"]
    sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn_of(sqs, url), Attributes={"RedrivePolicy": policy, **attributes}
    )
    told = {f"a{each}": {"DataType": "String", "StringValue": "b"} for each in range(count)}
    sns.publish(TopicArn=topic, Message=message, MessageAttributes=told)
    (got,) = received(sqs, dead)
    assert json.loads(got["Body"])["Message"] == message
    assert received(sqs, url) == []


def test_another_account_delivers_only_where_it_is_let(account: Account, sns: Any, sqs: Any, topic: str) -> None:
    from services.sdk.testing import User

    other = User(
        f"{account.owner.name}-x", (), f"{account.owner.namespace}-x", f"AKIAX{account.owner.access_key[-15:]}"
    )
    theirs = account.client(account.harness.conductor.add(other))
    url = theirs.create_queue(QueueName="inbox")["QueueUrl"]
    endpoint = arn_of(theirs, url)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=endpoint)
    sns.publish(TopicArn=topic, Message="unasked")
    assert received(theirs, url) == []
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": endpoint,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    theirs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.publish(TopicArn=topic, Message="welcome")
    assert [json.loads(each["Body"])["Message"] for each in received(theirs, url)] == ["welcome"]


@pytest.mark.parametrize(
    ("protocol", "endpoint", "words"),
    [
        ("email", "a@example.com", "not delivered to here"),
        ("sms", "+4912345", "not delivered"),
        ("sqs", "x", "SQS endpoint"),
    ],
)
def test_what_is_not_done_is_refused_with_the_reason(
    sns: Any, topic: str, protocol: str, endpoint: str, words: str
) -> None:
    code, said = refusal(sns.subscribe, TopicArn=topic, Protocol=protocol, Endpoint=endpoint)
    assert code == "InvalidParameter" and words in said


def test_tags_and_attributes_of_a_topic(sns: Any) -> None:
    arn = sns.create_topic(Name="tagged", Tags=[{"Key": "a", "Value": "b"}], Attributes={"DisplayName": "News"})[
        "TopicArn"
    ]
    assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    sns.tag_resource(ResourceArn=arn, Tags=[{"Key": "c", "Value": "d"}])
    sns.untag_resource(ResourceArn=arn, TagKeys=["a"])
    assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "c", "Value": "d"}]
    sns.set_topic_attributes(TopicArn=arn, AttributeName="DisplayName", AttributeValue="Old news")
    told = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert told["DisplayName"] == "Old news"
    assert json.loads(told["EffectiveDeliveryPolicy"])["http"]["defaultHealthyRetryPolicy"]["numRetries"] == 3
    assert arn in [each["TopicArn"] for each in sns.list_topics()["Topics"]]
    sns.delete_topic(TopicArn=arn)
    sns.delete_topic(TopicArn=arn)
    assert refusal(sns.publish, TopicArn=arn, Message="x")[0] == "NotFound"


def test_what_asks_for_nothing_is_taken(sns: Any) -> None:
    """As Terraform's provider sets it on every topic."""
    off = {"SQSSuccessFeedbackSampleRate": "0", "HTTPFailureFeedbackRoleArn": "", "TracingConfig": "PassThrough"}
    arn = sns.create_topic(Name="plain", Attributes={"SignatureVersion": "1", **off})["TopicArn"]
    sns.set_topic_attributes(TopicArn=arn, AttributeName="SQSSuccessFeedbackSampleRate", AttributeValue="0")
    sampled = {"TopicArn": arn, "AttributeName": "SQSSuccessFeedbackSampleRate", "AttributeValue": "50"}
    assert "is not done here" in refusal(sns.set_topic_attributes, **sampled)[1]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"Message": json.dumps({"default": "a\u0000b"}), "MessageStructure": "json"}, "character #x0"),
        ({"Message": json.dumps({"default": "a", "sqs": "a\u001b"}), "MessageStructure": "json"}, "character #x1B"),
        ({"Message": json.dumps({"default": ""}), "MessageStructure": "json"}, "Empty message"),
        ({"Message": "a", "MessageGroupId": "a b"}, "punctuation"),
        ({"Message": "a", "MessageGroupId": "ü"}, "punctuation"),
    ],
)
def test_what_no_queue_could_take_is_refused(sns: Any, topic: str, wrong: dict[str, Any], words: str) -> None:
    code, said = refusal(sns.publish, TopicArn=topic, **wrong)
    assert code == "InvalidParameter" and words in said


def test_answers_have_no_characters_that_xml_has_not(sns: Any, topic: str) -> None:
    entry = {"Id": "a\x01", "Message": "a"}
    told = refusal(sns.publish_batch, TopicArn=topic, PublishBatchRequestEntries=[entry])
    assert told[0] == "InvalidBatchEntryId"
    wanted = {"TopicArn": topic, "AttributeName": "DisplayName", "AttributeValue": "a\x01"}
    assert refusal(sns.set_topic_attributes, **wanted)[0] == "InvalidParameter"
    endpoint = topic.replace("sns", "sqs").replace("news", "a\x01")
    assert refusal(sns.subscribe, TopicArn=topic, Protocol="sqs", Endpoint=endpoint)[0] == "InvalidParameter"
    told = refusal(sns.subscribe, TopicArn=topic, Protocol="a\x01", Endpoint="")
    assert "a\ufffd is not delivered" in told[1]


def test_permissions_are_statements_of_the_policy(account: Account, sns: Any, topic: str) -> None:
    def statements() -> list[dict[str, Any]]:
        policy = json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])
        return list(policy["Statement"])

    before = statements()
    given = {"TopicArn": topic, "AWSAccountId": ["111122223333"], "ActionName": ["Publish", "Subscribe"]}
    sns.add_permission(Label="partners", **given)
    (added,) = statements()[len(before) :]
    assert (added["Sid"], added["Principal"]) == ("partners", {"AWS": "arn:aws:iam::111122223333:root"})
    assert (added["Action"], added["Resource"]) == (["SNS:Publish", "SNS:Subscribe"], topic)
    assert refusal(sns.add_permission, Label="partners", **given)[0] == "InvalidParameter"
    others: list[dict[str, Any]] = [{"ActionName": ["TagResource"]}, {"AWSAccountId": ["12"]}, {"ActionName": []}]
    for wrong in others:
        assert refusal(sns.add_permission, Label="other", **{**given, **wrong})[0] == "InvalidParameter"
    assert refusal(sns.add_permission, Label="no label", **given)[0] == "InvalidParameter"
    sns.remove_permission(TopicArn=topic, Label="partners")
    assert statements() == before
    assert refusal(sns.remove_permission, TopicArn=topic, Label="partners")[0] == "NotFound"


def test_who_is_named_by_a_permission_may_and_nobody_else(account: Account, sns: Any, topic: str) -> None:
    conductor = account.harness.conductor
    friend = conductor.add(User("friend", (), f"friends-{account.number}", "AKIAFRIENDFRIEND0001"))
    stranger = account.user("stranger")
    conductor.judge = lambda user, wanted: user == account.owner.name or wanted["namespace"] == friend.namespace
    try:
        sns.add_permission(
            TopicArn=topic, Label="f", AWSAccountId=[account_of(friend.namespace)], ActionName=["Publish"]
        )
        publish = {who.name: account.harness.boto3_client("sns", who).publish for who in (friend, stranger)}
        assert publish["friend"](TopicArn=topic, Message="hello")["MessageId"]
        assert refusal(publish[stranger.name], TopicArn=topic, Message="hello")[0] == "AuthorizationError"
    finally:
        conductor.judge = None
