"""Schedules and webhooks on a real cloud: through the gateway, under roles of their own, killed on the way."""

from __future__ import annotations

import base64
import hmac
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from clouds import Cloud, a_port, eventually, kill
from standardwebhooks.webhooks import Webhook

OFF = {"Mode": "OFF"}
CREATE_KEY = "arn:aws:scheduler:::aws-sdk:kms:createKey"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    made = Cloud(tmp_path_factory.mktemp("schedules") / "home", a_port())
    said = made.command("up", "--timeout", "300", timeout=330)
    assert said.code == 0, said
    try:
        yield made
    finally:
        made.command("down")
        shutil.rmtree(made.home, ignore_errors=True)


def client(cloud: Cloud, service: str) -> Any:
    env = cloud.aws_env()
    keys = (env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])
    return cloud.boto3(service, *keys, region="us-east-1", retries={"total_max_attempts": 6, "mode": "standard"})


@pytest.fixture(scope="module")
def scheduler(cloud: Cloud) -> Any:
    return client(cloud, "scheduler")


def a_role(cloud: Cloud, name: str, action: str, service: str = "scheduler") -> str:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": f"{service}.amazonaws.com"}}
    iam = client(cloud, "iam")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    allow = policy({"Effect": "Allow", "Action": action, "Resource": "*"})
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=allow)
    return str(made)


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def keys_described(cloud: Cloud, text: str) -> int:
    kms = client(cloud, "kms")
    found = [each["KeyId"] for page in kms.get_paginator("list_keys").paginate() for each in page["Keys"]]
    told = [kms.describe_key(KeyId=each)["KeyMetadata"]["Description"] for each in found]
    return sum(text in each for each in told)


def target(role: str, described: str) -> dict[str, Any]:
    return {"Arn": CREATE_KEY, "RoleArn": role, "Input": json.dumps({"Description": described})}


def test_another_service_is_called_under_the_role(cloud: Cloud, scheduler: Any) -> None:
    role = a_role(cloud, "makes-keys", "kms:CreateKey")
    described = "made <aws.scheduler.execution-id>"
    scheduler.create_schedule(
        Name="keys", ScheduleExpression="rate(1 hour)", FlexibleTimeWindow=OFF, Target=target(role, described)
    )
    eventually(lambda: keys_described(cloud, "made ") == 1, "the key is made")
    with cloud.http() as http:
        ended = http.get("/services/schedule-manager/schedules/default/keys/firings").json()["ended"]
        times = http.get("/services/schedule-manager/schedules/default/keys/upcoming").json()["times"]
    assert [(each["fault"], each["attempts"]) for each in ended] == [("", 1)]
    assert keys_described(cloud, ended[0]["id"]) == 1 and len(times) == 10


def test_what_the_role_may_not_is_told(cloud: Cloud, scheduler: Any) -> None:
    role = a_role(cloud, "makes-nothing", "kms:ListKeys")
    wanted = {"ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": OFF, "Target": target(role, "forbidden")}
    scheduler.create_schedule(Name="forbidden", **wanted)

    def fault() -> str:
        with cloud.http() as http:
            ended = http.get("/services/schedule-manager/schedules/default/forbidden/firings").json()["ended"]
        return str(ended[0]["fault"]) if ended else ""

    eventually(lambda: "AccessDenied" in fault(), "the refusal is told")
    assert keys_described(cloud, "forbidden") == 0


def test_a_killed_service_goes_on(cloud: Cloud, scheduler: Any) -> None:
    role = a_role(cloud, "later", "kms:CreateKey")
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)
    scheduler.create_schedule(
        Name="soon",
        ScheduleExpression=f"at({soon:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow=OFF,
        ActionAfterCompletion="DELETE",
        Target=target(role, "after the kill"),
    )
    (pid,) = [each for name, each in cloud.instances().items() if name.startswith("schedule-manager")]
    kill(pid)
    eventually(lambda: keys_described(cloud, "after the kill") >= 1, "the key is made")

    def gone() -> bool:
        try:
            scheduler.get_schedule(Name="soon")
        except ClientError as error:
            return error.response["Error"]["Code"] == "ResourceNotFoundException"
        return False

    eventually(gone, "the schedule is deleted after it was called")


def test_queues_get_messages_and_dead_letters(cloud: Cloud, scheduler: Any) -> None:
    role, sqs = a_role(cloud, "sends", "sqs:SendMessage"), client(cloud, "sqs")
    urls = {
        name: sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"} if "." in name else {})["QueueUrl"]
        for name in ("jobs.fifo", "dead")
    }
    account = "arn:aws:sqs:us-east-1:000000000000"
    wanted = {"ScheduleExpression": "rate(1 hour)", "FlexibleTimeWindow": OFF}
    fifo = {"Arn": f"{account}:jobs.fifo", "SqsParameters": {"MessageGroupId": "g"}, "Input": "work"}
    scheduler.create_schedule(Name="fifo", Target={"RoleArn": role, **fifo}, **wanted)
    gone = {"Arn": f"{account}:gone", "DeadLetterConfig": {"Arn": f"{account}:dead"}, "Input": "lost"}
    scheduler.create_schedule(Name="lost", Target={"RoleArn": role, **gone}, **wanted)

    def received(name: str) -> dict[str, Any] | None:
        asked = {"WaitTimeSeconds": 5, "MessageAttributeNames": ["All"]}
        found = sqs.receive_message(QueueUrl=urls[name], **asked).get("Messages")
        return dict(found[0]) if found else None

    assert eventually(lambda: received("jobs.fifo"), "the message comes")["Body"] == "work"
    dead = eventually(lambda: received("dead"), "the dead letter comes")
    told = {name: each["StringValue"] for name, each in dead["MessageAttributes"].items()}
    assert (dead["Body"], told["ERROR_CODE"]) == ("lost", "QueueDoesNotExist")
    assert told["TARGET_ARN"] == gone["Arn"]


def test_the_aws_cli(cloud: Cloud) -> None:
    def ask(*words: str) -> dict[str, Any]:
        said = cloud.aws("scheduler", *words, "--region", "us-east-1", "--output", "json")
        assert said.code == 0, said
        return dict(json.loads(said.out or "{}"))

    assert {each["Name"] for each in ask("list-schedules")["Schedules"]} >= {"keys", "forbidden"}
    ask("delete-schedule", "--name", "keys")
    assert ask("create-schedule-group", "--name", "g")["ScheduleGroupArn"].endswith("schedule-group/g")
    ask("delete-schedule-group", "--name", "g")
    eventually(lambda: len(ask("list-schedule-groups")["ScheduleGroups"]) == 1, "it goes")


class Receiver(ThreadingHTTPServer):
    """Listens at an address of this machine that is not its loopback; refuses until `open` is set."""

    def __init__(self) -> None:
        self.address = own_address()
        self.open, self.got = threading.Event(), list[tuple[dict[str, str], bytes]]()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if receiver.open.is_set():
                    receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(204 if receiver.open.is_set() else 503)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return None

        super().__init__((self.address, 0), Handler)

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.server_address[1]}/hooks"


def own_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))  # nothing is sent
        except OSError:
            pytest.skip("this machine has no address but its loopback's, to which no webhook is sent")
        return str(probe.getsockname()[0])


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def make(cloud: Cloud, path: str, name: str, **body: Any) -> None:
    with cloud.http() as http:
        answer = http.post(path, json={"metadata": {"name": name}, **body})
    assert answer.status_code == 201, answer.text


def allow_private_addresses(cloud: Cloud) -> None:
    note = {"metadata": {"annotations": {"aerekos.cloud/webhooks-to-private-network": "true"}}}
    with cloud.http() as http:
        patch = {"content-type": "application/merge-patch+json"}
        assert http.patch("/api/v1/namespaces/default", json=note, headers=patch).status_code == 200


def test_an_address_that_confirmed_gets_what_a_topic_publishes(cloud: Cloud, receiver: Receiver) -> None:
    allow_private_addresses(cloud)
    receiver.open.set()
    sns = client(cloud, "sns")
    topic = sns.create_topic(Name="news")["TopicArn"]
    said = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=receiver.url)
    assert said["SubscriptionArn"] == "pending confirmation"
    _, asked = eventually(lambda: receiver.got and receiver.got[0], "it is asked")
    link = urlsplit(json.loads(asked)["SubscribeURL"])
    with cloud.http(admin=False) as nobody:
        answer = nobody.get(f"{link.path}?{link.query}")
        assert answer.status_code == 200 and "<SubscriptionArn>arn:aws:sns:" in answer.text
        sns.publish(TopicArn=topic, Message="hello")
        _, told = eventually(lambda: len(receiver.got) > 1 and receiver.got[1], "it is told")
        certificate = nobody.get(urlsplit(json.loads(told)["SigningCertURL"]).path)
    assert json.loads(told)["Message"] == "hello" and certificate.text.startswith("-----BEGIN CERTIFICATE")


def test_a_webhook_arrives_signed_also_when_its_service_is_killed(cloud: Cloud, receiver: Receiver) -> None:
    apis, service = "/apis/aerekos.cloud/v1/namespaces/default", "/services/webhook-manager"
    allow_private_addresses(cloud)
    with cloud.http() as http:
        spec = {"url": receiver.url, "retryDelaySeconds": [1] * 30}
        make(cloud, f"{apis}/webhookendpoints", "shop", spec=spec)
        answer = http.post(f"{service}/endpoints/default/shop/messages", json={"type": "paid", "data": 5})
        assert answer.status_code == 202, answer.text
        path = f"{service}/endpoints/default/shop/attempts"
        eventually(lambda: [each["status"] for each in http.get(path).json()["attempts"]], "it was refused once")
        (pid,) = [each for name, each in cloud.instances().items() if name.startswith("webhook-manager")]
        kill(pid)
        receiver.open.set()
        headers, body = eventually(lambda: receiver.got and receiver.got[0], "the message arrives")
        secret = http.get("/api/v1/namespaces/default/secrets/shop-webhook").json()["data"]["secret"]
    assert headers["webhook-id"] == answer.json()["id"]
    assert Webhook(base64.b64decode(secret).decode()).verify(body, headers)["data"] == 5


def test_what_github_posts_goes_into_a_queue(cloud: Cloud) -> None:
    apis, path = "/apis/aerekos.cloud/v1/namespaces/default", "/services/webhook-manager/inbound/default/github"
    sqs, role = client(cloud, "sqs"), a_role(cloud, "takes-in", "sqs:SendMessage", "events")
    queue = sqs.create_queue(QueueName="pushes")["QueueUrl"]
    secret = {"type": "aerekos.cloud/webhook", "stringData": {"secret": "word"}}
    make(cloud, "/api/v1/namespaces/default/secrets", "github", **secret)
    target = {"arn": "arn:aws:sqs:us-east-1:000000000000:pushes", "roleArn": role}
    make(
        cloud,
        f"{apis}/webhooksources",
        "github",
        spec={"provider": "GitHub", "secretName": "github", "queue": target},
    )
    body = b'{"ref": "refs/heads/main"}'
    headers = {"x-github-event": "push", "x-github-delivery": "d-1", "content-type": "application/json"}
    mark = hmac.digest(b"word", body, "sha256").hex()
    with cloud.http(admin=False) as nobody:

        def post(mark: str) -> int:
            signed = {**headers, "x-hub-signature-256": f"sha256={mark}"}
            return nobody.post(path, content=body, headers=signed).status_code

        eventually(lambda: post(mark) == 202, "it is taken in")
        assert post("00" * 32) == 401
        assert nobody.get("/services/webhook-manager/sources/default/github/messages").status_code == 401
    got = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20, MessageAttributeNames=["All"])["Messages"][0]
    assert got["Body"].encode() == body and got["MessageAttributes"]["webhook-type"]["StringValue"] == "push"


def test_events_go_to_those_who_want_them(cloud: Cloud) -> None:
    events, sqs = client(cloud, "events"), client(cloud, "sqs")
    role, queue = a_role(cloud, "tells", "sqs:SendMessage", "events"), sqs.create_queue(QueueName="large")["QueueUrl"]
    events.put_rule(Name="large", EventPattern=json.dumps({"detail": {"total": [{"numeric": [">", 100]}]}}))
    target = {"Id": "q", "Arn": "arn:aws:sqs:us-east-1:000000000000:large", "RoleArn": role, "InputPath": "$.detail"}
    events.put_targets(Rule="large", Targets=[target])
    entries = [{"Source": "shop", "DetailType": "Order", "Detail": json.dumps({"total": each})} for each in (7, 120)]
    assert events.put_events(Entries=entries)["FailedEntryCount"] == 0
    got = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20, MaxNumberOfMessages=10)["Messages"]
    assert [json.loads(each["Body"]) for each in got] == [{"total": 120}]


def test_when_an_object_arrives_a_rule_tells_who_wants_to_know(cloud: Cloud) -> None:
    events, sqs, s3 = client(cloud, "events"), client(cloud, "sqs"), client(cloud, "s3")
    role, queue = a_role(cloud, "arrives", "sqs:SendMessage", "events"), sqs.create_queue(QueueName="in")["QueueUrl"]
    s3.create_bucket(Bucket="inbox")
    s3.put_bucket_notification_configuration(
        Bucket="inbox", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    wanted = {"bucket": {"name": ["inbox"]}, "object": {"key": [{"suffix": ".jpg"}]}}
    pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": wanted}
    events.put_rule(Name="arrived", EventPattern=json.dumps(pattern))
    target = {"Id": "q", "Arn": "arn:aws:sqs:us-east-1:000000000000:in", "RoleArn": role}
    events.put_targets(Rule="arrived", Targets=[target])
    for key in ("notes.txt", "a cat.jpg"):
        s3.put_object(Bucket="inbox", Key=key, Body=b"meow")
    (got,) = eventually(lambda: sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20).get("Messages"), "it comes")
    event = json.loads(got["Body"])
    assert (event["source"], event["account"], event["region"]) == ("aws.s3", "000000000000", "us-east-1")
    assert event["resources"] == ["arn:aws:s3:::inbox"] and event["detail"]["reason"] == "PutObject"
    assert (event["detail"]["object"]["key"], event["detail"]["object"]["size"]) == ("a cat.jpg", 4)


def test_a_queue_s_own_policy_lets_a_rule_send(cloud: Cloud) -> None:
    """Which names the rule: what another one sends is refused, and without a role."""
    events, sqs = client(cloud, "events"), client(cloud, "sqs")
    pattern = json.dumps({"source": ["mine"]})
    rules = {name: events.put_rule(Name=name, EventPattern=pattern)["RuleArn"] for name in ("named", "other")}
    queues = {name: f"arn:aws:sqs:us-east-1:000000000000:{name}" for name in ("told", "untold")}
    send = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    condition = {"ArnEquals": {"aws:SourceArn": rules["named"]}}
    urls = {
        name: sqs.create_queue(
            QueueName=name, Attributes={"Policy": policy({**send, "Resource": arn, "Condition": condition})}
        )["QueueUrl"]
        for name, arn in queues.items()
    }
    events.put_targets(Rule="named", Targets=[{"Id": "q", "Arn": queues["told"]}])
    dead = {"Id": "q", "Arn": queues["untold"], "DeadLetterConfig": {"Arn": queues["told"]}}
    events.put_targets(Rule="other", Targets=[dead])
    events.put_events(Entries=[{"Source": "mine", "DetailType": "Order", "Detail": "{}"}])
    got = sqs.receive_message(QueueUrl=urls["told"], WaitTimeSeconds=20)["Messages"]
    assert [json.loads(each["Body"])["source"] for each in got] == ["mine"]
    assert "Messages" not in sqs.receive_message(QueueUrl=urls["untold"])
