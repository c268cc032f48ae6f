"""Events of buckets, by an unmodified boto3, to queues and topics of a whole queue_manager."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.sdk.testing import ServiceHarness, serving
from services.storage_manager.metadata import MetadataIndex
from services.storage_manager.notifications.outbox import Outbox
from services.storage_manager.tests.test_service import V4, code

Json = dict[str, Any]
_NUMBERS = count(1)
ACCOUNT = "000000000000"


@pytest.fixture(scope="module")
def queues() -> Iterator[ServiceHarness]:
    """Its cloud's roles give people everything, and other services nothing."""
    with serving("queue_manager") as house:
        house.conductor.judge = lambda user, _: user != "system:service:storage-manager"
        yield house


@pytest.fixture(scope="module")
def buses() -> Iterator[ServiceHarness]:
    with serving("schedule_manager") as house:
        yield house


@pytest.fixture(scope="module")
def house(queues: ServiceHarness, buses: ServiceHarness) -> Iterator[ServiceHarness]:
    with serving("key_manager", secrets={"root-key": bytes(32)}) as keys:
        peers = {"key-manager": keys, "queue-manager": queues, "schedule-manager": buses}
        with serving("storage_manager", peer=lambda name: peers[name].peer_client("storage-manager")) as house:
            yield house


@pytest.fixture(scope="module")
def s3(house: ServiceHarness) -> Any:
    return house.boto3_client("s3", **V4)


@pytest.fixture(scope="module")
def sqs(queues: ServiceHarness) -> Any:
    return queues.boto3_client("sqs")


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"box-{next(_NUMBERS)}"
    s3.create_bucket(Bucket=name)
    return name


def policy_for(arn: str, bucket: str, action: str = "sqs:SendMessage") -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": action,
        "Resource": arn,
        "Condition": {
            "ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{bucket}"},
            "StringEquals": {"aws:SourceAccount": ACCOUNT},
        },
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Queue:
    """A queue that a bucket may send to, if `allowed` names it."""

    def __init__(self, sqs: Any, allowed: str = "") -> None:
        self.sqs, name = sqs, f"events-{next(_NUMBERS)}"
        self.url = sqs.create_queue(QueueName=name)["QueueUrl"]
        self.arn = sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        if allowed:
            self.allow(allowed)

    def allow(self, bucket: str) -> None:
        self.sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": policy_for(self.arn, bucket)})

    def bodies(self, number: int) -> list[Json]:
        """The next ones, which are then gone."""
        found: list[Json] = []
        for _ in range(20):
            got = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=2)
            for each in got.get("Messages", []):
                found.append(json.loads(each["Body"]))
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=each["ReceiptHandle"])
            if len(found) >= number:
                break
        return found

    def records(self, number: int) -> list[Json]:
        """As many events, in order: one that came twice is one."""
        found: dict[str, Json] = {}
        for _ in range(5):
            told = [each["Records"][0] for each in self.bodies(number - len(found))]
            found |= {each["s3"]["object"]["sequencer"]: each for each in told}
            if len(found) >= number:
                break
        return [found[each] for each in sorted(found)]


def configure(s3: Any, bucket: str, arn: str, events: tuple[str, ...] = ("s3:ObjectCreated:*",), **more: Any) -> None:
    document = {"QueueConfigurations": [{"QueueArn": arn, "Events": list(events), **more}]}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=document)


def test_a_queue_is_asked_first_and_then_told_of_objects(s3: Any, sqs: Any, bucket: str) -> None:
    queue = Queue(sqs, bucket)
    rules = [{"Name": "prefix", "Value": "in/"}, {"Name": "suffix", "Value": ".jpg"}]
    configure(s3, bucket, queue.arn, Id="all", Filter={"Key": {"FilterRules": rules}})
    (test,) = queue.bodies(1)
    assert (test["Event"], test["Bucket"], test["Service"]) == ("s3:TestEvent", bucket, "Amazon S3")
    s3.put_object(Bucket=bucket, Key="out/a.jpg", Body=b"x")
    s3.put_object(Bucket=bucket, Key="in/a.txt", Body=b"x")
    put = s3.put_object(Bucket=bucket, Key="in/a b+ü.jpg", Body=b"hello")
    (record,) = queue.records(1)
    assert (record["eventName"], record["eventVersion"], record["eventSource"]) == (
        "ObjectCreated:Put",
        "2.1",
        "aws:s3",
    )
    told = record["s3"]["object"]
    assert (told["key"], told["size"], f'"{told["eTag"]}"') == ("in/a+b%2B%C3%BC.jpg", 5, put["ETag"])
    assert record["s3"]["configurationId"] == "all" and record["s3"]["bucket"]["name"] == bucket
    assert record["responseElements"]["x-amz-request-id"] == put["ResponseMetadata"]["RequestId"]
    kept = s3.get_bucket_notification_configuration(Bucket=bucket)["QueueConfigurations"]
    assert kept[0]["Filter"]["Key"]["FilterRules"][0] == {"Name": "Prefix", "Value": "in/"}


def test_each_way_an_object_comes_and_goes_has_its_event_in_order(s3: Any, sqs: Any, bucket: str) -> None:
    queue = Queue(sqs, bucket)
    every = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*")
    configure(s3, bucket, queue.arn, every)
    queue.bodies(1)
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    s3.copy_object(Bucket=bucket, Key="k", CopySource=f"{bucket}/k", MetadataDirective="REPLACE")
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_object(Bucket=bucket, Key="k")  # nothing is there: nothing is told
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"2")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    made = s3.complete_multipart_upload(Bucket=bucket, Key="k", UploadId=upload, MultipartUpload=parts)
    marker = s3.delete_object(Bucket=bucket, Key="k")
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "VersionId": made["VersionId"]}]})
    records = queue.records(8)
    assert [each["eventName"] for each in records] == [
        *("ObjectCreated:Put", "ObjectCreated:Copy", "ObjectTagging:Put", "ObjectTagging:Delete"),
        *("ObjectRemoved:Delete", "ObjectCreated:CompleteMultipartUpload"),
        *("ObjectRemoved:DeleteMarkerCreated", "ObjectRemoved:Delete"),
    ]
    versions = [each["s3"]["object"].get("versionId") for each in records]
    assert versions[:5] == [None] * 5 and versions[5:] == [made["VersionId"], marker["VersionId"], made["VersionId"]]
    assert "size" not in records[-1]["s3"]["object"]


def test_a_destination_that_does_not_allow_it_is_not_configured(s3: Any, sqs: Any, bucket: str) -> None:
    """Neither without a policy, nor for another bucket, nor where there is none."""
    queue = Queue(sqs)
    for arn, allowed in ((queue.arn, ""), (queue.arn, "another-box"), (f"{queue.arn}-not-there", "")):
        if allowed:
            queue.allow(allowed)
        with pytest.raises(ClientError, match="Unable to validate the following destination configurations") as told:
            configure(s3, bucket, arn)
        assert told.value.response["Error"]["Code"] == "InvalidArgument"
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)


def test_what_waits_for_a_queue_comes_once_it_is_allowed(s3: Any, sqs: Any, bucket: str) -> None:
    queue = Queue(sqs)
    document = {"QueueConfigurations": [{"QueueArn": queue.arn, "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=document, SkipDestinationValidation=True
    )
    s3.put_object(Bucket=bucket, Key="early", Body=b"x")
    queue.allow(bucket)
    assert [each["s3"]["object"]["key"] for each in queue.records(1)] == ["early"]
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket)


def test_a_topic_tells_its_queues(s3: Any, sqs: Any, queues: ServiceHarness, bucket: str) -> None:
    sns, queue = queues.boto3_client("sns"), Queue(sqs)
    arn = sns.create_topic(Name=f"topic-{bucket}")["TopicArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue.arn, Attributes={"RawMessageDelivery": "true"})
    document = {"TopicConfigurations": [{"TopicArn": arn, "Events": ["s3:ObjectCreated:Put"]}]}
    refused = code(s3.put_bucket_notification_configuration, Bucket=bucket, NotificationConfiguration=document)
    assert refused == "InvalidArgument"
    policy = policy_for(arn, bucket, "sns:Publish")
    sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=document)
    assert queue.bodies(1)[0]["Event"] == "s3:TestEvent"
    keys = [f"k{number:02}" for number in range(12)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert [each["s3"]["object"]["key"] for each in queue.records(12)] == keys


def test_what_a_queue_never_takes_holds_nothing_up(s3: Any, sqs: Any, bucket: str) -> None:
    """The test event is shorter than its bound, and an event of a long key is longer."""
    queue = Queue(sqs, bucket)
    sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"MaximumMessageSize": "1024"})
    configure(s3, bucket, queue.arn)
    queue.bodies(1)
    s3.put_object(Bucket=bucket, Key="long" * 200, Body=b"x")
    s3.put_object(Bucket=bucket, Key="short", Body=b"x")
    assert [each["s3"]["object"]["key"] for each in queue.records(1)] == ["short"]


def test_the_bus_of_the_account_is_told_of_everything(
    s3: Any, house: ServiceHarness, buses: ServiceHarness, bucket: str
) -> None:
    """Without a policy, as at AWS: by the right that the service has. What the bus has not taken, waits."""
    waiting = Outbox(MetadataIndex(house.context.data / "book.db"))
    asked: Json = {"EventBridgeConfiguration": {}}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=asked)
    told = s3.get_bucket_notification_configuration(Bucket=bucket)
    assert told["EventBridgeConfiguration"] == {} and "QueueConfigurations" not in told

    def wait_for(count: int) -> None:
        until = time.monotonic() + 60
        while sum(waiting.waiting().values()) != count:
            assert time.monotonic() < until, waiting.waiting()
            time.sleep(0.05)

    buses.conductor.judge = lambda user, asked: asked["resource"] != "eventbuses"
    s3.put_object(Bucket=bucket, Key="a b", Body=b"x")
    s3.delete_object(Bucket=bucket, Key="a b")
    wait_for(2)
    buses.conductor.judge = None
    wait_for(0)
    assert ("system:service:storage-manager", "use", "eventbuses") in buses.conductor.reviews
