"""The query protocol: as AWS's own older clients wrote and read it, with the same answers as json."""

from __future__ import annotations

from services.queue_manager.tests.in_memory import queues_in_memory
from services.sdk.testing import virtual_time


@virtual_time
async def test_a_message_goes_by_forms_and_comes_back() -> None:
    async with queues_in_memory() as queues:
        attributes = {
            "Attribute.1.Name": "VisibilityTimeout",
            "Attribute.1.Value": "7",
            "Tag.1.Key": "a",
            "Tag.1.Value": "b",
        }
        _, made = await queues.form("CreateQueue", QueueName="orders", **attributes)
        url = made.findtext("CreateQueueResult/QueueUrl") or ""
        assert url.endswith("/000000000000/orders")
        told = await queues.call("GetQueueAttributes", QueueUrl=url, AttributeNames=["VisibilityTimeout"])
        assert told == {"Attributes": {"VisibilityTimeout": "7"}}
        of_message = {
            f"MessageAttribute.1.{name}": value
            for name, value in (("Name", "colour"), ("Value.DataType", "String"), ("Value.StringValue", "red"))
        }
        _, sent = await queues.form("SendMessage", "/000000000000/orders", MessageBody="hi", **of_message)
        wanted = {"AttributeName.1": "All", "MessageAttributeName.1": "All", "MaxNumberOfMessages": "10"}
        _, got = await queues.form("ReceiveMessage", "/000000000000/orders", VisibilityTimeout="0", **wanted)
        (message,) = got.findall("ReceiveMessageResult/Message")
        (same,) = await queues.receive(url, AttributeNames=["All"], MessageAttributeNames=["All"])
        for name in ("MessageId", "MD5OfBody", "Body", "MD5OfMessageAttributes"):
            assert message.findtext(name) == same[name]
        assert message.findtext("MessageAttribute/Value/StringValue") == "red"
        found = {each.findtext("Name"): each.findtext("Value") for each in message.findall("Attribute")}
        assert found == {**same["Attributes"], "ApproximateReceiveCount": "1"}
        assert sent.findtext("SendMessageResult/MD5OfMessageBody") == same["MD5OfBody"]
        _, listed = await queues.form("ListQueueTags", QueueUrl=url)
        assert listed.findtext("ListQueueTagsResult/Tag/Key") == "a"


@virtual_time
async def test_batches_go_by_forms() -> None:
    async with queues_in_memory() as queues:
        await queues.queue()
        entry = "SendMessageBatchRequestEntry"
        fields = {
            f"{entry}.1.Id": "a",
            f"{entry}.1.MessageBody": "1",
            f"{entry}.2.Id": "b",
            f"{entry}.2.MessageBody": "\x01",
        }
        status, told = await queues.form("SendMessageBatch", "/000000000000/orders", **fields)
        assert status == 200
        assert told.findtext("SendMessageBatchResult/SendMessageBatchResultEntry/Id") == "a"
        failed = told.find("SendMessageBatchResult/BatchResultErrorEntry")
        assert failed is not None
        said = [failed.findtext(name) for name in ("Id", "Code", "SenderFault")]
        assert said == ["b", "InvalidMessageContents", "true"]


@virtual_time
async def test_refusals_have_their_old_names() -> None:
    async with queues_in_memory() as queues:
        status, told = await queues.form("SendMessage", "/000000000000/nobody", MessageBody="x")
        assert (status, told.findtext("Error/Code")) == (400, "AWS.SimpleQueueService.NonExistentQueue")
        status, told = await queues.form("GetQueueUrl", QueueName="nobody")
        assert told.findtext("Error/Type") == "Sender"
        status, told = await queues.form("PurgeQueue")
        assert (status, told.findtext("Error/Code")) == (400, "MissingParameter")
        status, told = await queues.form("Nonsense")
        assert told.findtext("Error/Code") == "InvalidAction"


@virtual_time
async def test_what_aws_takes_in_other_words_is_taken() -> None:
    async with queues_in_memory() as queues:
        attributes = {"FifoQueue": "True", "ContentBasedDeduplication": "False"}
        await queues.call("CreateQueue", QueueName="jobs.fifo", Attributes=attributes)
        told = await queues.call("GetQueueAttributes", QueueUrl="jobs.fifo", AttributeNames=["FifoQueue"])
        assert told == {"Attributes": {"FifoQueue": "true"}}
        more = {"MessageGroupId": "g", "MessageDeduplicationId": "d"}
        await queues.send("jobs.fifo", "by name", **more)
        assert await queues.bodies("jobs.fifo") == ["by name"]
        status, answer = await queues.ask("SendMessage", QueueUrl="no queue!", MessageBody="x")
        assert (status, answer["__type"].rpartition("#")[2]) == (404, "InvalidAddress")
