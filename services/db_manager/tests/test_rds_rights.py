"""Who may what over the RDS API: roles of the cloud, policies of IAM by ARN and by tag, other accounts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crds.kinds.event import EVENT
from crds.kinds.secret import SECRET
from services.db_manager.kinds import DATABASE
from services.db_manager.rds.parameter_group import DATABASE_PARAMETER_GROUP, DatabaseParameterGroupSpec
from services.db_manager.tests.rds_account import PASSWORD, SMALL, RdsAccount, refusal
from services.sdk.testing import ServiceHarness, User

_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "use")


def person(account: RdsAccount, name: str, *statements: dict[str, Any], powerless: bool = True) -> Any:
    """A client of somebody of this account with these statements as their policy; without a role, if powerless."""
    number = account.owner.name.partition("-")[2]
    key = f"AKIA{name.upper()[:4]:X<4}{number:0>12}"
    user = account.harness.conductor.add(User(f"{name}-{account.owner.name}", (), account.owner.namespace, key))
    for verb in _VERBS if powerless else ():
        account.harness.conductor.refuse(user.name, verb)
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        arn = f"arn:aws:iam::{account.number}:user/{user.name}"
        account.harness.conductor.identities.policies[user.name] = {
            "user": {"name": user.name, "arn": arn, "account": account.number, "id": "AIDA", "tags": {}},
            "identity": [{"name": "p", "document": document}],
            "boundary": None,
        }
    return account.client(user)


def allow(*actions: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


def test_who_may_nothing_learns_nothing(account: RdsAccount) -> None:
    account.create("orders")
    eve = person(account, "eve")
    for name in ("orders", "nothing"):
        given = {"DBInstanceIdentifier": name}
        for call, more in (
            (eve.describe_db_instances, {}),
            (eve.modify_db_instance, {"DeletionProtection": False}),
            (eve.reboot_db_instance, {}),
            (eve.delete_db_instance, {"SkipFinalSnapshot": True}),
            (eve.create_db_instance, {**SMALL, "MasterUserPassword": PASSWORD}),
        ):
            code, text = refusal(call, **given, **more)
            assert code == "AccessDenied" and f":db:{name}" in text, (call, text)
    assert refusal(eve.describe_db_instances)[0] == "AccessDenied"
    assert refusal(eve.describe_db_parameter_groups)[0] == "AccessDenied"
    secrets = [
        key
        for key in account.harness.resources.items
        if key[0] == SECRET.plural and key[1] == account.owner.namespace
    ]
    assert [name for _, _, name in secrets] == ["orders-credentials"]


def test_a_policy_is_about_the_arn_of_an_instance(account: RdsAccount) -> None:
    account.create("orders")
    account.create("payroll")
    arn = f"arn:aws:rds:us-east-1:{account.number}:db:orders"
    ann = person(account, "ann", allow("rds:DescribeDBInstances", "rds:ModifyDBInstance", resource=arn))
    (found,) = ann.describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"]
    for other in (found["DbiResourceId"], found["DBInstanceArn"], "ORDERS"):
        assert ann.describe_db_instances(DBInstanceIdentifier=other)["DBInstances"] == [found]
    account.said("orders")
    ann.modify_db_instance(DBInstanceIdentifier="orders", CopyTagsToSnapshot=True)
    for call, more in (
        (ann.describe_db_instances, {"DBInstanceIdentifier": "payroll"}),
        (ann.describe_db_instances, {}),
        (ann.delete_db_instance, {"DBInstanceIdentifier": "orders", "SkipFinalSnapshot": True}),
        (ann.modify_db_instance, {"DBInstanceIdentifier": "payroll", "MasterUserPassword": "stolen-password"}),
    ):
        assert refusal(call, **more)[0] == "AccessDenied"


def test_a_policy_of_tags(account: RdsAccount) -> None:
    account.create("orders", Tags=[{"Key": "team", "Value": "shop"}])
    account.create("payroll", Tags=[{"Key": "team", "Value": "pay"}])
    tagged = {"StringEquals": {"aws:ResourceTag/team": "shop"}}
    ann = person(account, "ann", allow("rds:*", Condition=tagged))
    assert ann.describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"]
    assert refusal(ann.describe_db_instances, DBInstanceIdentifier="payroll")[0] == "AccessDenied"
    sized = {"NumericLessThanEquals": {"rds:StorageSize": "50"}, "StringEquals": {"rds:DatabaseClass": "db.t3.micro"}}
    bob = person(account, "bob", allow("rds:CreateDBInstance", Condition=sized))
    given = {**SMALL, "MasterUserPassword": PASSWORD}
    bob.create_db_instance(DBInstanceIdentifier="small", **given)
    large = {**given, "AllocatedStorage": 51}
    assert refusal(bob.create_db_instance, DBInstanceIdentifier="large", **large)[0] == "AccessDenied"


def test_a_deny_wins_over_a_role(account: RdsAccount) -> None:
    account.create("orders")
    account.said("orders")
    arn = f"arn:aws:rds:*:{account.number}:db:orders"
    deny = {"Effect": "Deny", "Action": "rds:DeleteDBInstance", "Resource": arn}
    ann = person(account, "ann", deny, powerless=False)
    assert ann.describe_db_instances()["DBInstances"]
    gone = {"DBInstanceIdentifier": "orders", "SkipFinalSnapshot": True}
    assert refusal(ann.delete_db_instance, **gone)[0] == "AccessDenied"


def in_region(client: Any, region: str) -> Any:
    """The same client, which signs for another region."""
    client.meta.events.register("before-sign", lambda request, **_: request.context.update(region=region))
    client._request_signer._region_name = region
    return client


def test_signing_for_another_region_does_not_make_it_another_group(account: RdsAccount) -> None:
    """One that `kubectl` made is seen in every region; it has one ARN, which policies are about."""
    group = DATABASE_PARAMETER_GROUP.new(
        "tuned", namespace=account.owner.namespace, spec=DatabaseParameterGroupSpec(family="postgres15")
    )
    account.harness.run(account.harness.resources.create(DATABASE_PARAMETER_GROUP, group))
    arn = f"arn:aws:rds:us-east-1:{account.number}:pg:tuned"
    elsewhere = arn.replace("us-east-1", "eu-central-1")
    given = {"DBParameterGroupName": "tuned"}
    parameters = [{"ParameterName": "work_mem", "ParameterValue": "64", "ApplyMethod": "immediate"}]
    ann = person(account, "ann", allow("rds:*"), {"Effect": "Deny", "Action": "rds:*", "Resource": arn})
    bob = person(account, "bob", allow("rds:*", resource="arn:aws:rds:eu-central-1:*"))
    for client in (in_region(ann, "eu-central-1"), in_region(bob, "eu-central-1")):
        for call, more in (
            (client.describe_db_parameters, given),
            (client.modify_db_parameter_group, {**given, "Parameters": parameters}),
            (client.reset_db_parameter_group, {**given, "ResetAllParameters": True}),
            (client.delete_db_parameter_group, given),
            (client.list_tags_for_resource, {"ResourceName": arn}),
        ):
            assert refusal(call, **more)[0] == "AccessDenied", call
    owner = in_region(account.client(), "eu-central-1")
    assert owner.list_tags_for_resource(ResourceName=arn)["TagList"] == []
    assert refusal(owner.list_tags_for_resource, ResourceName=elsewhere)[0] == "DBParameterGroupNotFound"


def test_an_instance_is_given_a_group_by_who_may_use_it(account: RdsAccount) -> None:
    """Its parameters could be read off the instance."""
    account.client().create_db_parameter_group(
        DBParameterGroupName="tuned", DBParameterGroupFamily="postgres15", Description="ours"
    )
    account.create("orders", EngineVersion="15")
    account.said("orders")
    deny = {"Effect": "Deny", "Action": "rds:*", "Resource": "arn:aws:rds:*:*:pg:tuned"}
    instances = allow("rds:*", resource="arn:aws:rds:*:*:db:*")
    given = {**SMALL, "MasterUserPassword": PASSWORD, "EngineVersion": "15"}
    for client in (person(account, "ann", allow("rds:*"), deny), person(account, "bob", instances)):
        group = {"DBParameterGroupName": "tuned"}
        assert refusal(client.create_db_instance, DBInstanceIdentifier="x", **given, **group)[0] == "AccessDenied"
        assert refusal(client.modify_db_instance, DBInstanceIdentifier="orders", **group)[0] == "AccessDenied"
    both = allow("rds:*", resource="arn:aws:rds:*:*:pg:tuned")
    eve = person(account, "eve", instances, both)
    eve.modify_db_instance(DBInstanceIdentifier="orders", DBParameterGroupName="tuned")


def test_another_account_has_instances_of_its_own(account: RdsAccount, harness: ServiceHarness) -> None:
    made = account.create("orders")
    account.client().create_db_parameter_group(
        DBParameterGroupName="tuned", DBParameterGroupFamily="postgres15", Description="ours"
    )
    other = RdsAccount.new(harness)
    client = other.client()
    assert client.describe_db_instances()["DBInstances"] == []
    for name in ("orders", made["DBInstanceArn"], made["DbiResourceId"]):
        assert refusal(client.describe_db_instances, DBInstanceIdentifier=name)[0] == "DBInstanceNotFound"
        code, _ = refusal(client.modify_db_instance, DBInstanceIdentifier=name)
        assert code == ("InvalidParameterValue" if name.startswith("arn:") else "DBInstanceNotFound")
    tags = refusal(client.add_tags_to_resource, ResourceName=made["DBInstanceArn"], Tags=[{"Key": "a"}])
    assert tags[0] == "DBInstanceNotFound"
    assert refusal(client.describe_db_parameters, DBParameterGroupName="tuned")[0] == "DBParameterGroupNotFound"
    assert refusal(other.create, name="mine", DBParameterGroupName="tuned")[0] == "DBParameterGroupNotFound"
    assert other.create("orders")["DbiResourceId"] != made["DbiResourceId"]


@pytest.mark.parametrize("kind", ["Database", "Service"])
def test_events_are_those_of_the_account_s_own_instances(rds: Any, account: RdsAccount, kind: str) -> None:
    account.create("orders")
    members = {"status": {"members": [{"name": "orders-0"}]}}
    run, resources = account.harness.run, account.harness.resources
    run(resources.patch(DATABASE, "orders", members, account.owner.namespace, subresource="status"))
    now = account.harness.conductor.clock.now()
    for name in ("orders" if kind == "Database" else "orders-0", "stranger"):
        about = {"kind": kind, "name": name}
        event = EVENT.parse({"metadata": {"name": f"e-{name}"}, "involvedObject": about})
        event.metadata.namespace = account.owner.namespace
        event.reason, event.message, event.type, event.last_timestamp = "Reloaded", "read again", "Normal", now
        run(resources.create(EVENT, event))
    (told,) = rds.describe_events()["Events"]
    assert (told["SourceIdentifier"], told["Message"]) == ("orders", "Reloaded: read again")
    assert told["SourceArn"].endswith(":db:orders") and told["EventCategories"] == ["notification"]
    assert rds.describe_events(EventCategories=["failure"])["Events"] == []
    assert rds.describe_events(SourceType="db-parameter-group")["Events"] == []
    assert refusal(rds.describe_events, SourceIdentifier="orders")[0] == "InvalidParameterCombination"
