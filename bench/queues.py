"""Messages per second through the gateway, against an emulator that keeps everything in memory.

`python bench/queues.py [seconds]`. Both are asked in turn by the same client, 16 connections, signed requests. Our
side speaks TLS, verifies each signature, and has every send, receive and delete on the disk before it answers; the
peer does none of that. Then ours with 100,000 messages waiting, how long a send takes into a long poll, and a message
published to a hundred queues.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from statistics import median, quantiles
from urllib.parse import urlencode

import uvloop
from aws import PEERS, Side, an_emulator, exports
from botocore.credentials import Credentials
from cloud import Cloud, a_cloud
from load import Connection, driven
from verdicts import Verdict, limit, ratio, table

CLIENTS, ROUNDS, BACKLOG = 16, 3, 100_000
BODY = "x" * 1024
POLLS, QUEUES, PUBLISHED = 200, 100, 30


class Queue:
    """A queue of one side."""

    def __init__(self, side: Side, name: str) -> None:
        self.side, self.name, self.url = side, name, ""

    def call(self, operation: str, **content: object) -> bytes:
        """The bytes of one request."""
        if self.url:
            content["QueueUrl"] = self.url
        body = json.dumps(content).encode()
        headers = {"content_type": "application/x-amz-json-1.0", "x_amz_target": f"AmazonSQS.{operation}"}
        return self.side.signed("sqs", "POST", "/", body, **headers)

    async def made(self) -> Queue:
        connection = await self.side.connect()
        self.url = read(await connection.ask(self.call("CreateQueue", QueueName=self.name)))["QueueUrl"]
        connection.close()
        return self

    def batch(self) -> bytes:
        return self.call("SendMessageBatch", Entries=[{"Id": str(each), "MessageBody": BODY} for each in range(10)])


def read(answer: bytes) -> dict:  # type: ignore[type-arg]
    content = answer.partition(b"\r\n\r\n")[2]
    return dict(json.loads(content)) if content else {}


async def sends(queue: Queue, seconds: float) -> float:
    request = queue.call("SendMessage", MessageBody=BODY)
    return await driven([await queue.side.connect() for _ in range(CLIENTS)], [lambda: request] * CLIENTS, seconds)


async def batches(queue: Queue, seconds: float) -> float:
    request = queue.batch()
    connections = [await queue.side.connect() for _ in range(CLIENTS)]
    return 10 * await driven(connections, [lambda: request] * CLIENTS, seconds)


async def received_and_deleted(queue: Queue, seconds: float) -> float:
    """Messages that were received in tens and deleted in tens, by clients that find enough of them."""
    receive = queue.call("ReceiveMessage", MaxNumberOfMessages=10)
    connections = [await queue.side.connect() for _ in range(CLIENTS)]
    began = time.perf_counter()

    async def drain(connection: Connection) -> int:
        done = 0
        while time.perf_counter() < began + seconds:
            got = read(await connection.ask(receive)).get("Messages", [])
            if not got:
                break
            entries = [{"Id": str(at), "ReceiptHandle": each["ReceiptHandle"]} for at, each in enumerate(got)]
            await connection.ask(queue.call("DeleteMessageBatch", Entries=entries))
            done += len(got)
        return done

    counts = await asyncio.gather(*(drain(each) for each in connections))
    taken = time.perf_counter() - began
    for each in connections:
        each.close()
    return sum(counts) / taken


async def fill(queue: Queue, count: int) -> None:
    request = queue.batch()
    connections = [await queue.side.connect() for _ in range(CLIENTS)]

    async def send(connection: Connection) -> None:
        for _ in range(count // 10 // CLIENTS + 1):
            await connection.ask(request)
        connection.close()

    await asyncio.gather(*(send(each) for each in connections))


async def into_a_long_poll(queue: Queue) -> float:
    """Milliseconds from the beginning of a send until the poll that waits for it is answered; of a hundred, one is
    slower.
    """
    sender, poller = await queue.side.connect(), await queue.side.connect()
    send = queue.call("SendMessage", MessageBody="now")
    # Nothing of before comes again, however long a slow machine takes.
    poll = queue.call("ReceiveMessage", WaitTimeSeconds=20, VisibilityTimeout=43_200)
    taken = []
    for _ in range(POLLS):
        waiting = asyncio.ensure_future(poller.ask(poll))
        await asyncio.sleep(0.01)
        began = time.perf_counter()
        await sender.ask(send)
        await waiting
        taken.append((time.perf_counter() - began) * 1000)
    sender.close()
    poller.close()
    return quantiles(taken, n=100)[98]


async def to_many_queues(side: Side) -> float:
    """Milliseconds until `Publish` is answered: then a hundred queues have the message, signed, on the disk."""
    connection = await side.connect()

    async def sns(action: str, **fields: str) -> str:
        form = urlencode({"Action": action, "Version": "2010-03-31", **fields}).encode()
        request = side.signed("sns", "POST", "/", form, content_type="application/x-www-form-urlencoded")
        answer = (await connection.ask(request)).decode()
        assert answer.startswith("HTTP/1.1 200"), answer
        return answer

    topic = (await sns("CreateTopic", Name="many")).partition("<TopicArn>")[2].partition("<")[0]
    for number in range(QUEUES):
        queue = await Queue(side, f"of-many-{number}").made()
        asked = queue.call("GetQueueAttributes", AttributeNames=["QueueArn"])
        arn = read(await connection.ask(asked))["Attributes"]["QueueArn"]
        await sns("Subscribe", TopicArn=topic, Protocol="sqs", Endpoint=arn)
    taken = []
    for _ in range(PUBLISHED):
        began = time.perf_counter()
        await sns("Publish", TopicArn=topic, Message=BODY)
        taken.append((time.perf_counter() - began) * 1000)
    connection.close()
    return median(taken)


async def _compared(
    what: str, ours: Queue, theirs: Queue, measure: Callable[[Queue, float], Awaitable[float]], seconds: float
) -> Verdict:
    pairs = [(await measure(ours, seconds), await measure(theirs, seconds)) for _ in range(ROUNDS)]
    found = median(each for each, _ in pairs), median(each for _, each in pairs)
    return ratio(f"{what}, {CLIENTS} connections, against an emulator in memory", *found, target=1.2)


async def _measured(ours: Side, theirs: Side | None, seconds: float) -> list[Verdict]:
    verdicts, drains = [], []
    if theirs is not None:
        pair = await Queue(ours, "bench").made(), await Queue(theirs, "bench").made()
        verdicts.append(await _compared("SendMessage of 1 KiB", *pair, sends, seconds))
        verdicts.append(await _compared("SendMessageBatch of ten, messages", *pair, batches, seconds))
        fresh = await Queue(ours, "drained").made(), await Queue(theirs, "drained").made()
        for _ in range(ROUNDS):
            for queue in fresh:
                await fill(queue, int(600 * seconds))
            drains.append([await received_and_deleted(queue, seconds) for queue in fresh])
        mine, peer = median(each for each, _ in drains), median(each for _, each in drains)
        verdicts.append(ratio("Receive and delete in tens, messages, against an emulator in memory", mine, peer, 1.2))
    quiet, deep = await Queue(ours, "quiet").made(), await Queue(ours, "deep").made()
    await fill(deep, BACKLOG)
    depths = []
    for _ in range(ROUNDS):
        await fill(quiet, int(1500 * seconds))
        depths.append((await received_and_deleted(deep, seconds), await received_and_deleted(quiet, seconds)))
    beside = median(each for each, _ in depths), median(each for _, each in depths)
    verdicts.append(ratio(f"Receive and delete in tens with {BACKLOG:,} waiting, against few", *beside, target=0.8))
    poll = await into_a_long_poll(await Queue(ours, "polled").made())
    verdicts.append(limit("A send into a long poll, 99th percentile", poll, 10.0, " ms"))
    many = await to_many_queues(ours)
    verdicts.append(limit(f"SNS Publish to {QUEUES} queues, in one transaction, median", many, 100.0, " ms"))
    return verdicts


def measure(cloud: Cloud, seconds: float = 3.0) -> list[Verdict]:
    """SQS; beside the peer, where there is one."""
    wanted = {"metadata": {"name": "queue-manager"}, "spec": {"managed": "queue_manager"}}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"apiVersion": "aerekos.cloud/v1", "kind": "Service", **wanted}, file)
        file.flush()
        cloud.do("apply", "-f", file.name)
    cloud.do("wait", "service", "queue-manager", "--for", "condition=Ready")
    told = dict(line.removeprefix("export ").rstrip(";").split("=", 1) for line in exports(cloud.do("env")))
    keys = Credentials(told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"].strip("'\""))
    ours = Side(cloud.port, keys, cloud.ca)
    if not PEERS.exists():
        return uvloop.run(_measured(ours, None, seconds))
    with an_emulator() as theirs:
        return uvloop.run(_measured(ours, theirs, seconds))


def main() -> None:
    with a_cloud() as cloud:
        print(table(measure(cloud, float(sys.argv[1]) if len(sys.argv) > 1 else 3.0)))


if __name__ == "__main__":
    main()
