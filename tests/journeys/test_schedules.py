"""Schedules on a real cloud: by boto3 through the gateway, calling other services under roles, killed on the way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from clouds import Cloud, a_port, eventually, kill

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


def a_role(cloud: Cloud, name: str, action: str) -> str:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "scheduler.amazonaws.com"}}
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
