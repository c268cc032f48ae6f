"""EventBridge Scheduler's twelve operations, asked by boto3."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from services.schedule_manager.tests.conftest import Account, refusal

OFF = {"Mode": "OFF"}
FAR = "at(2199-01-01T00:00:00)"


def made(account: Account, scheduler: Any, name: str = "nightly", **more: Any) -> str:
    wanted = {"ScheduleExpression": FAR, "FlexibleTimeWindow": OFF, "Target": account.target, **more}
    return str(scheduler.create_schedule(Name=name, **wanted)["ScheduleArn"])


def test_a_schedule_is_what_was_asked_for(account: Account, scheduler: Any) -> None:
    wanted = {
        "ScheduleExpression": "cron(0 9 ? * MON-FRI *)",
        "ScheduleExpressionTimezone": "Europe/Berlin",
        "StartDate": datetime(2190, 1, 1, tzinfo=UTC),
        "EndDate": datetime(2191, 1, 1, tzinfo=UTC),
        "Description": "for people",
        "State": "DISABLED",
        "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15},
        "ActionAfterCompletion": "DELETE",
        "Target": {
            **account.target,
            "Arn": f"{account.target['Arn']}.fifo",
            "Input": "hello",
            "SqsParameters": {"MessageGroupId": "g"},
            "DeadLetterConfig": {"Arn": f"arn:aws:sqs:us-east-1:{account.number}:dead"},
            "RetryPolicy": {"MaximumEventAgeInSeconds": 120, "MaximumRetryAttempts": 3},
        },
    }
    arn = made(account, scheduler, "My.Schedule_1", **wanted)
    assert arn == f"arn:aws:scheduler:us-east-1:{account.number}:schedule/default/My.Schedule_1"
    told = scheduler.get_schedule(Name="My.Schedule_1")
    assert {name: told[name] for name in wanted} == wanted
    assert (told["Arn"], told["GroupName"]) == (arn, "default")
    assert told["CreationDate"] == told["LastModificationDate"]


def test_an_update_replaces_everything(account: Account, scheduler: Any) -> None:
    made(account, scheduler, Description="old", State="DISABLED", StartDate=datetime(2190, 1, 1, tzinfo=UTC))
    scheduler.update_schedule(
        Name="nightly", ScheduleExpression="rate(5 days)", FlexibleTimeWindow=OFF, Target=account.target
    )
    told = scheduler.get_schedule(Name="nightly")
    assert (told["ScheduleExpression"], told["State"]) == ("rate(5 days)", "ENABLED")
    assert "Description" not in told and "StartDate" not in told
    assert told["LastModificationDate"] > told["CreationDate"]


def test_updates_at_once_are_no_conflict(account: Account, scheduler: Any) -> None:
    """As one that comes while what was planned is noted of the schedule."""
    made(account, scheduler)

    def update(days: int) -> None:
        wanted = {"ScheduleExpression": f"rate({days} days)", "FlexibleTimeWindow": OFF, "Target": account.target}
        scheduler.update_schedule(Name="nightly", **wanted)

    with ThreadPoolExecutor(3) as clients:
        list(clients.map(update, (2, 3, 4)))
    assert scheduler.get_schedule(Name="nightly")["ScheduleExpression"] in [f"rate({n} days)" for n in (2, 3, 4)]


def test_names_are_told_apart_by_case_and_group(account: Account, scheduler: Any) -> None:
    scheduler.create_schedule_group(Name="other")
    arns = {
        made(account, scheduler, "a"),
        made(account, scheduler, "A"),
        made(account, scheduler, "a", GroupName="other"),
    }
    assert len(arns) == 3
    assert scheduler.get_schedule(Name="a", GroupName="other")["GroupName"] == "other"
    scheduler.delete_schedule(Name="a")
    assert refusal(scheduler.get_schedule, Name="a")[::2] == ("ResourceNotFoundException", 404)
    assert scheduler.get_schedule(Name="A")["Name"] == "A"


def test_twice_the_same_is_a_conflict_but_for_one_token(account: Account, scheduler: Any) -> None:
    first = made(account, scheduler, ClientToken="t1")
    assert made(account, scheduler, ClientToken="t1") == first
    wanted = {"ScheduleExpression": FAR, "FlexibleTimeWindow": OFF, "Target": account.target}
    assert refusal(scheduler.create_schedule, Name="nightly", **wanted)[::2] == ("ConflictException", 409)
    scheduler.delete_schedule(Name="nightly")
    made(account, scheduler)


def test_lists_are_narrowed_and_paged(account: Account, scheduler: Any) -> None:
    scheduler.create_schedule_group(Name="g")
    for name in ("a1", "a2", "b1"):
        made(account, scheduler, name, GroupName="g", State="DISABLED" if name == "a2" else "ENABLED")
    made(account, scheduler, "a3")
    pages = scheduler.get_paginator("list_schedules").paginate(PaginationConfig={"PageSize": 1})
    assert [each["Name"] for page in pages for each in page["Schedules"]] == ["a3", "a1", "a2", "b1"]
    told = scheduler.list_schedules(GroupName="g", NamePrefix="a", State="ENABLED")["Schedules"]
    assert [(each["Name"], each["Target"]["Arn"]) for each in told] == [("a1", account.target["Arn"])]
    assert refusal(scheduler.list_schedules, GroupName="nowhere")[0] == "ResourceNotFoundException"
    assert refusal(scheduler.list_schedules, NextToken="eA")[0] == "ValidationException"


def test_a_group_takes_its_schedules_along(account: Account, scheduler: Any) -> None:
    arn = scheduler.create_schedule_group(Name="g", Tags=[{"Key": "team", "Value": "a"}])["ScheduleGroupArn"]
    assert arn == f"arn:aws:scheduler:us-east-1:{account.number}:schedule-group/g"
    assert scheduler.get_schedule_group(Name="g")["State"] == "ACTIVE"
    made(account, scheduler, GroupName="g")
    time.sleep(0.3)  # its finalizer is written by the reconciler of this in-memory cloud
    scheduler.delete_schedule_group(Name="g")
    for _ in range(100):
        found = [each["Name"] for each in scheduler.list_schedule_groups()["ScheduleGroups"]]
        if found == ["default"]:
            break
        time.sleep(0.05)
    assert found == ["default"]
    assert scheduler.list_schedules()["Schedules"] == []


def test_tags_of_a_group(account: Account, scheduler: Any) -> None:
    arn = scheduler.create_schedule_group(Name="g", Tags=[{"Key": "team", "Value": "a"}])["ScheduleGroupArn"]
    scheduler.tag_resource(ResourceArn=arn, Tags=[{"Key": "cost", "Value": "1"}, {"Key": "team", "Value": "b"}])
    assert scheduler.list_tags_for_resource(ResourceArn=arn)["Tags"] == [
        {"Key": "cost", "Value": "1"},
        {"Key": "team", "Value": "b"},
    ]
    scheduler.untag_resource(ResourceArn=arn, TagKeys=["team"])
    assert scheduler.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "cost", "Value": "1"}]
    elsewhere = arn.replace(account.number, "123456789012")
    assert refusal(scheduler.list_tags_for_resource, ResourceArn=elsewhere)[0] == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ScheduleExpression": "cron(0 25 * * ? *)"}, "Invalid Schedule Expression cron(0 25 * * ? *)."),
        ({"ScheduleExpression": "rate(0 minutes)"}, "Invalid Schedule"),
        ({"ScheduleExpression": "at(2026-13-01T00:00:00)"}, "Invalid Schedule"),
        ({"ScheduleExpression": "at(9999-12-31T23:59:59)", "ScheduleExpressionTimezone": "America/New_York"}, "9999"),
        ({"ScheduleExpression": "rate(999999 days)"}, "Invalid Schedule"),
        ({"StartDate": datetime(9999, 12, 31, tzinfo=UTC)}, "startDate"),
        ({"ScheduleExpressionTimezone": "Mars/Olympus"}, "time zone"),
        ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "MaximumWindowInMinutes"),
        ({"FlexibleTimeWindow": {"Mode": "OFF", "MaximumWindowInMinutes": 5}}, "MaximumWindowInMinutes"),
        ({"Target": {"Arn": "arn:aws:lambda:us-east-1:{account}:function:f"}}, "no Lambda"),
        ({"Target": {"Arn": "arn:aws:scheduler:::aws-sdk:sqs:receiveMessage"}}, "only reads"),
        ({"Target": {"Arn": "arn:aws:scheduler:::aws-sdk:sqs:purgeQueue", "Input": "no json"}}, "JSON"),
        ({"Target": {"Arn": "arn:aws:scheduler:::aws-sdk:kms:flyToTheMoon", "Input": "{{}}"}}, "no operation"),
        ({"Target": {"Arn": "arn:aws:scheduler:::aws-sdk:ec2:runInstances", "Input": "{{}}"}}, "does not speak"),
        ({"Target": {"KinesisParameters": {"PartitionKey": "k"}}}, "KinesisParameters"),
        ({"Target": {"DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:{account}:d.fifo"}}}, "deadLetterConfig"),
        ({"EndDate": datetime(2026, 1, 1, tzinfo=UTC), "StartDate": datetime(2026, 1, 2, tzinfo=UTC)}, "endDate"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(account: Account, scheduler: Any, change: dict[str, Any], words: str) -> None:
    target = {name: _filled(each, account) for name, each in change.pop("Target", {}).items()}
    wanted = {"ScheduleExpression": FAR, "FlexibleTimeWindow": OFF, **change}
    code, said, status = refusal(scheduler.create_schedule, Name="bad", Target={**account.target, **target}, **wanted)
    assert (code, status) == ("ValidationException", 400) and words in said, said
    assert scheduler.list_schedules()["Schedules"] == []


def test_what_is_not_understood_is_refused(account: Account, scheduler: Any) -> None:
    key = f"arn:aws:kms:us-east-1:{account.number}:key/1"
    wanted = {"ScheduleExpression": FAR, "FlexibleTimeWindow": OFF, "Target": account.target, "KmsKeyArn": key}
    assert refusal(scheduler.create_schedule, Name="bad", **wanted)[0] == "UnsupportedOperationException"


def test_the_default_group_is_always_there(scheduler: Any) -> None:
    assert scheduler.get_schedule_group(Name="default")["State"] == "ACTIVE"
    assert refusal(scheduler.create_schedule_group, Name="default")[0] == "ConflictException"
    assert refusal(scheduler.delete_schedule_group, Name="default")[0] == "ValidationException"


def test_a_role_is_passed_by_who_may(account: Account, scheduler: Any) -> None:
    eve = account.user("eve")
    account.harness.conductor.refuse(eve.name, "use")
    wanted = {"ScheduleExpression": FAR, "FlexibleTimeWindow": OFF, "Target": account.target}
    code, said, status = refusal(account.client(eve).create_schedule, Name="x", **wanted)
    assert (code, status) == ("AccessDeniedException", 403) and "iam:PassRole" in said
    made(account, scheduler)
    assert refusal(account.client(eve).update_schedule, Name="nightly", **wanted)[0] == "AccessDeniedException"


def test_accounts_see_nothing_of_each_other(account: Account, harness: Any, scheduler: Any) -> None:
    made(account, scheduler)
    from services.sdk.testing import User

    other = harness.conductor.add(User("mallory", namespace="elsewhere", access_key="AKIAELSEWHERE0000001"))
    client = harness.boto3_client("scheduler", other)
    assert client.list_schedules()["Schedules"] == []
    assert refusal(client.get_schedule, Name="nightly")[0] == "ResourceNotFoundException"
    assert refusal(client.delete_schedule, Name="nightly")[0] == "ResourceNotFoundException"


def test_what_is_due_next_and_how_calls_ended(account: Account, harness: Any, scheduler: Any) -> None:
    made(account, scheduler, ScheduleExpression="cron(0 12 1 1 ? 2190-2199)")
    with harness.http(account.owner) as http:
        told = http.get(f"/schedules/{account.owner.namespace}/nightly-x/upcoming")
        assert told.status_code == 404
        name = harness.run(harness.resources.list(_kind(), account.owner.namespace)).items[0].metadata.name
        told = http.get(f"/schedules/{account.owner.namespace}/{name}/upcoming", params={"count": "2"}).json()
        assert [each["due"] for each in told["times"]] == ["2190-01-01T12:00:00Z", "2191-01-01T12:00:00Z"]
        ended = http.get(f"/schedules/{account.owner.namespace}/{name}/firings").json()
        assert ended == {"underWay": [], "ended": []}
        assert http.get(f"/schedules/{account.owner.namespace}/{name}/upcoming?count=x").status_code == 400


def _filled(value: Any, account: Account) -> Any:
    if isinstance(value, dict):
        return {name: _filled(each, account) for name, each in value.items()}
    return value.format(account=account.number)


def _kind() -> Any:
    from services.schedule_manager.kinds import SCHEDULE

    return SCHEDULE
