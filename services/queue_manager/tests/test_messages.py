"""Messages through an unmodified boto3, which compares every MD5 itself."""

from __future__ import annotations

from typing import Any

import pytest

from services.queue_manager.tests.conftest import refusal

ATTRIBUTES = {
    "colour": {"DataType": "String", "StringValue": "grün"},
    "count": {"DataType": "Number.int", "StringValue": "12"},
    "raw": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
}


def receive(sqs: Any, url: str, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sqs.receive_message(QueueUrl=url, **more).get("Messages", [])
    return found


def test_a_message_is_sent_received_and_deleted(sqs: Any, queue: str) -> None:
    sent = sqs.send_message(QueueUrl=queue, MessageBody="hello <&> ünï", MessageAttributes=ATTRIBUTES)
    (got,) = receive(sqs, queue, AttributeNames=["All"], MessageAttributeNames=["All"])
    assert (got["MessageId"], got["Body"]) == (sent["MessageId"], "hello <&> ünï")
    assert got["MessageAttributes"] == ATTRIBUTES
    assert got["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert got["Attributes"]["ApproximateReceiveCount"] == "1"
    assert receive(sqs, queue) == []
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=got["ReceiptHandle"])
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=got["ReceiptHandle"])  # the same again is no fault
    told = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert told["ApproximateNumberOfMessages"] == told["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_only_attributes_that_were_asked_for_come(sqs: Any, queue: str) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes=ATTRIBUTES)
    (got,) = receive(sqs, queue, MessageAttributeNames=["co.*", "count"], VisibilityTimeout=0)
    assert set(got["MessageAttributes"]) == {"count"} and "Attributes" not in got
    (got,) = receive(sqs, queue, MessageSystemAttributeNames=["SentTimestamp"])
    assert set(got["Attributes"]) == {"SentTimestamp"} and "MessageAttributes" not in got


def test_a_batch_fails_in_parts(sqs: Any, queue: str) -> None:
    entries = [{"Id": "a", "MessageBody": "a"}, {"Id": "b", "MessageBody": "b\x00"}, {"Id": "c", "MessageBody": "c"}]
    told = sqs.send_message_batch(QueueUrl=queue, Entries=entries)
    assert [each["Id"] for each in told["Successful"]] == ["a", "c"]
    assert [(each["Id"], each["Code"], each["SenderFault"]) for each in told["Failed"]] == [
        ("b", "InvalidMessageContents", True)
    ]
    got = receive(sqs, queue, MaxNumberOfMessages=10)
    gone = [{"Id": str(at), "ReceiptHandle": each["ReceiptHandle"]} for at, each in enumerate(got)]
    told = sqs.delete_message_batch(QueueUrl=queue, Entries=[*gone, {"Id": "x", "ReceiptHandle": "nonsense"}])
    assert len(told["Successful"]) == 2 and told["Failed"][0]["Code"] == "ReceiptHandleIsInvalid"


def test_a_handle_of_an_earlier_receive_deletes_nothing(sqs: Any, queue: str) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    (first,) = receive(sqs, queue, VisibilityTimeout=0)
    (second,) = receive(sqs, queue, VisibilityTimeout=0)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=first["ReceiptHandle"])
    (third,) = receive(sqs, queue)
    assert third["MessageId"] == second["MessageId"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"MessageBody": "x" * (1 << 20) + "x"}, "InvalidParameterValue"),
        ({"MessageBody": "x", "DelaySeconds": 901}, "InvalidParameterValue"),
        ({"MessageBody": "\ufffe"}, "InvalidMessageContents"),
        (
            {
                "MessageBody": "x",
                "MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "String", "StringValue": "x" * 1025}},
            },
            "InvalidParameterValue",
        ),
        ({"MessageBody": "x", "MessageDeduplicationId": "1"}, "InvalidParameterValue"),
    ],
)
def test_what_is_no_message_is_refused(sqs: Any, queue: str, wrong: dict[str, Any], code: str) -> None:
    assert refusal(sqs.send_message, QueueUrl=queue, **wrong)[0] == code
    assert receive(sqs, queue) == []


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [("a", "Text", "b"), ("AWS.a", "String", "b"), ("a", "Number", "b"), ("a", "String", ""), (".a", "String", "b")],
)
def test_what_is_no_attribute_is_refused(sqs: Any, queue: str, name: str, kind: str, text: str) -> None:
    attributes = {name: {"DataType": kind, "StringValue": text}}
    told = refusal(sqs.send_message, QueueUrl=queue, MessageBody="x", MessageAttributes=attributes)
    assert told[0] == "InvalidParameterValue" and name in told[1]


def test_a_queue_that_is_not_there(sqs: Any, queue: str) -> None:
    url = queue.replace("orders", "nobody")
    code = "AWS.SimpleQueueService.NonExistentQueue"
    assert refusal(sqs.send_message, QueueUrl=url, MessageBody="x") == (code, "The specified queue does not exist.")
    sqs.delete_queue(QueueUrl=queue)
    assert refusal(sqs.receive_message, QueueUrl=queue)[0] == code
    again = sqs.create_queue(QueueName="orders")["QueueUrl"]
    assert receive(sqs, again) == []
