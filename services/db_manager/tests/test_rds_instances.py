"""DB instances, with an unmodified boto3."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from crds.errors import Unavailable
from crds.kinds.secret import SECRET
from crds.model import rfc3339
from services.db_manager.kinds import DATABASE
from services.db_manager.tests.rds_account import PASSWORD, RdsAccount, refusal
from services.sdk.testing.memory_resources import MemoryResources


def password_of(account: RdsAccount, name: str) -> str:
    secret = account.harness.run(
        account.harness.resources.get(SECRET, f"{name}-credentials", account.owner.namespace)
    )
    if secret.string_data:
        return str(secret.string_data["password"])
    return base64.b64decode(secret.data["password"]).decode()


def test_an_instance_is_a_database_of_its_name(rds: Any, account: RdsAccount) -> None:
    made = account.create("Orders", EngineVersion="15", DBName="shop", Tags=[{"Key": "stage", "Value": "test"}])
    assert made["DBInstanceIdentifier"] == "orders" and made["DBInstanceStatus"] == "creating"
    assert made["DBInstanceArn"] == f"arn:aws:rds:us-east-1:{account.number}:db:orders"
    assert made["DbiResourceId"].startswith("db-") and len(made["DbiResourceId"]) == 29
    assert "Endpoint" not in made and made["TagList"] == [{"Key": "stage", "Value": "test"}]
    spec = account.database("orders").spec
    assert (spec.engine, spec.version, spec.database, spec.username) == ("postgresql", "15", "shop", "app")
    assert (spec.storage, spec.resources.limits.memory, spec.resources.limits.cpu) == ("20Gi", "1024Mi", "2")
    assert password_of(account, "orders") == PASSWORD
    account.said("orders")
    shown = account.shown("ORDERS")
    assert (shown["DBInstanceStatus"], shown["EngineVersion"]) == ("available", "15.18")
    assert shown["Endpoint"] == {"Address": "127.0.0.1", "Port": 40001}
    assert shown["DBParameterGroups"] == [
        {"DBParameterGroupName": "default.postgres15", "ParameterApplyStatus": "in-sync"}
    ]
    rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier="orders")


def test_it_is_found_by_every_name_it_has(rds: Any, account: RdsAccount) -> None:
    """Terraform asks for the DbiResourceId in the place of the identifier, and by a filter."""
    made = account.create("orders")
    account.create("other")
    for name in ("orders", "ORDERS", made["DbiResourceId"], made["DBInstanceArn"]):
        assert account.shown(name)["DBInstanceIdentifier"] == "orders", name
    for filtered in ("db-instance-id", "dbi-resource-id"):
        value = made["DbiResourceId"] if filtered == "dbi-resource-id" else "orders"
        (found,) = rds.describe_db_instances(Filters=[{"Name": filtered, "Values": [value]}])["DBInstances"]
        assert found["DBInstanceIdentifier"] == "orders"
    elsewhere = made["DBInstanceArn"].replace("us-east-1", "eu-central-1")
    for name in (
        "nothing",
        "db-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        elsewhere,
        made["DBInstanceArn"].replace(":db:", ":pg:"),
    ):
        assert refusal(rds.describe_db_instances, DBInstanceIdentifier=name) == (
            "DBInstanceNotFound",
            f"DBInstance {name} not found.",
        )
    wrong = [{"Name": "colour", "Values": ["red"]}]
    assert refusal(rds.describe_db_instances, Filters=wrong) == (
        "InvalidParameterValue",
        "Unrecognized filter name: colour",
    )
    empty = [{"Name": "db-instance-id", "Values": []}]
    assert refusal(rds.describe_db_instances, Filters=empty)[0] == "InvalidParameterCombination"


def test_another_region_does_not_see_it_and_may_not_have_its_name(account: RdsAccount) -> None:
    account.create("orders")
    elsewhere = account.harness.boto3_client("rds", account.owner)
    elsewhere.meta.events.register("before-sign", lambda request, **_: request.context.update(region="eu-central-1"))
    signing = elsewhere._request_signer
    signing._region_name = "eu-central-1"
    assert elsewhere.describe_db_instances()["DBInstances"] == []
    assert refusal(elsewhere.describe_db_instances, DBInstanceIdentifier="orders")[0] == "DBInstanceNotFound"
    given = {"DBInstanceClass": "db.t3.micro", "Engine": "postgres", "AllocatedStorage": 20, "MasterUsername": "app"}
    taken = refusal(elsewhere.create_db_instance, DBInstanceIdentifier="orders", MasterUserPassword=PASSWORD, **given)
    assert taken[0] == "DBInstanceAlreadyExists"


def test_a_database_of_kubectl_is_an_instance_too(account: RdsAccount) -> None:
    run, resources = account.harness.run, account.harness.resources
    database = DATABASE.parse({"metadata": {"name": "by-hand"}, "spec": {"engine": "postgresql"}})
    database.metadata.namespace = account.owner.namespace
    run(resources.create(DATABASE, database))
    shown = account.shown("by-hand")
    assert (shown["DBInstanceClass"], shown["MasterUsername"], shown["DBName"]) == (
        "db.t3.micro",
        "by_hand",
        "by_hand",
    )
    account.client().add_tags_to_resource(ResourceName=shown["DBInstanceArn"], Tags=[{"Key": "a", "Value": "1"}])
    assert account.shown("by-hand")["TagList"] == [{"Key": "a", "Value": "1"}]


def test_pages(rds: Any, account: RdsAccount) -> None:
    for number in range(21):
        account.create(f"db{number:02}")
    first = rds.describe_db_instances(MaxRecords=20)
    rest = rds.describe_db_instances(MaxRecords=20, Marker=first["Marker"])
    names = [each["DBInstanceIdentifier"] for each in first["DBInstances"] + rest["DBInstances"]]
    assert names == [f"db{number:02}" for number in range(21)] and "Marker" not in rest
    assert refusal(rds.describe_db_instances, MaxRecords=19)[0] == "InvalidParameterValue"
    assert refusal(rds.describe_db_instances, Marker="x")[0] == "InvalidParameterValue"
    assert refusal(rds.describe_db_parameter_groups, Marker=first["Marker"])[0] == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"DBInstanceIdentifier": "1st"}, "InvalidParameterValue", "must begin with a letter"),
        ({"DBInstanceIdentifier": "a" * 62}, "InvalidParameterValue", "at most 61"),
        ({"DBInstanceIdentifier": "a--b"}, "InvalidParameterValue", "two consecutive hyphens"),
        ({"DBInstanceClass": "db.huge"}, "InvalidParameterValue", "Invalid DB Instance class: db.huge"),
        ({"Engine": "oracle-ee"}, "InvalidParameterValue", "engine oracle-ee not supported"),
        ({"EngineVersion": "9.6"}, "InvalidParameterCombination", "Cannot find version 9.6 for postgres"),
        ({"EngineVersion": "15.x"}, "InvalidParameterCombination", "Cannot find version 15.x"),
        ({"AllocatedStorage": 5}, "InvalidParameterValue", "Invalid storage size for engine name postgres"),
        ({"StorageType": "io1"}, "InvalidParameterValue", "Invalid storage type: io1"),
        ({"MasterUsername": "postgres"}, "InvalidParameterValue", "reserved word"),
        ({"MasterUsername": "a;drop"}, "InvalidParameterValue", "MasterUsername must begin with a letter"),
        ({"MasterUserPassword": "short"}, "InvalidParameterValue", "shorter than 8 characters"),
        ({"MasterUserPassword": "with a space"}, "InvalidParameterValue", "Only printable ASCII"),
        ({"DBName": "template1"}, "InvalidParameterValue", "reserved word"),
        ({"MultiAZ": True}, "InvalidParameterValue", "MultiAZ can only be false here"),
        ({"BackupRetentionPeriod": 36}, "InvalidParameterValue", "Must be between 0 and 35"),
        ({"AutoMinorVersionUpgrade": False}, "InvalidParameterValue", "AutoMinorVersionUpgrade can only be true"),
        ({"StorageEncrypted": True}, "UnsupportedOperationException", "does not understand StorageEncrypted"),
        ({"DBSubnetGroupName": "x"}, "UnsupportedOperationException", "does not understand DBSubnetGroupName"),
        ({"ManageMasterUserPassword": True}, "UnsupportedOperationException", "ManageMasterUserPassword"),
        ({"Port": 5432}, "InvalidParameterCombination", "PubliclyAccessible"),
        ({"Port": 80, "PubliclyAccessible": True}, "InvalidParameterValue", "Invalid port 80"),
        ({"AvailabilityZone": "us-east-1b"}, "InvalidParameterValue", "us-east-1a"),
        ({"DBParameterGroupName": "none"}, "DBParameterGroupNotFound", "none"),
        ({"Tags": [{"Key": "aws:x", "Value": ""}]}, "InvalidParameterValue", "reserved"),
    ],
)
def test_what_cannot_be_had_is_refused_and_nothing_is_left(
    account: RdsAccount, given: dict[str, Any], code: str, words: str
) -> None:
    name = str(given.pop("DBInstanceIdentifier", "orders"))
    told = refusal(account.create, name=name, **given)
    assert told[0] == code and words in told[1], told
    left = [key for key in account.harness.resources.items if account.owner.namespace in key]
    assert left == []


def test_members_that_have_to_be_there(rds: Any, account: RdsAccount) -> None:
    needed = {"DBInstanceIdentifier": "x", "DBInstanceClass": "db.t3.micro", "Engine": "postgres"}
    assert refusal(rds.create_db_instance, **needed)[0] == "MissingParameter"
    assert refusal(rds.create_db_instance, **needed, MasterUserPassword=PASSWORD)[0] == "MissingParameter"


def test_a_name_is_given_once(account: RdsAccount) -> None:
    account.create("orders")
    assert refusal(account.create, name="ORDERS", MasterUserPassword="another-password") == (
        "DBInstanceAlreadyExists",
        "DB instance already exists",
    )
    assert password_of(account, "orders") == PASSWORD


def test_somebody_elses_secret_is_no_password_of_an_instance(account: RdsAccount) -> None:
    run, resources = account.harness.run, account.harness.resources
    theirs = SECRET.new("orders-credentials", namespace=account.owner.namespace, string_data={"password": "theirs"})
    run(resources.create(SECRET, theirs))
    code, text = refusal(account.create, name="orders")
    assert code == "DBInstanceAlreadyExists" and "orders-credentials" in text
    assert password_of(account, "orders") == "theirs"


def test_what_a_request_left_behind_that_broke_off_is_no_obstacle(account: RdsAccount) -> None:
    run, resources = account.harness.run, account.harness.resources
    left = SECRET.new("orders-credentials", namespace=account.owner.namespace, string_data={"password": "of-before"})
    left.metadata.labels = {"rds.aerekos.cloud/made-for": "orders"}
    run(resources.create(SECRET, left))
    assert refusal(account.create, name="orders")[0] == "DBInstanceAlreadyExists", "it may go on still"
    assert password_of(account, "orders") == "of-before"
    made = resources.items[SECRET.plural, account.owner.namespace, "orders-credentials"]["metadata"]
    made["creationTimestamp"] = rfc3339(account.harness.conductor.clock.now() - timedelta(minutes=2))
    account.create("orders")
    assert password_of(account, "orders") == PASSWORD


def test_a_label_makes_nobodys_secret_one_of_rds(account: RdsAccount) -> None:
    run, resources, namespace = account.harness.run, account.harness.resources, account.owner.namespace
    theirs = SECRET.new("orders-credentials", namespace=namespace, string_data={"password": "x" * 9, "more": "y"})
    theirs.metadata.labels = {"rds.aerekos.cloud/made-for": "orders"}
    run(resources.create(SECRET, theirs))
    made = resources.items[SECRET.plural, namespace, "orders-credentials"]["metadata"]
    made["creationTimestamp"] = "2020-01-01T00:00:00Z"
    assert refusal(account.create, name="orders")[0] == "DBInstanceAlreadyExists"
    assert password_of(account, "orders") == "x" * 9


def test_of_two_that_make_one_at_once_the_winners_password_counts(account: RdsAccount) -> None:
    def made(number: int) -> str:
        try:
            account.create("orders", MasterUserPassword=f"{PASSWORD}-{number}")
        except ClientError as error:
            assert error.response["Error"]["Code"] == "DBInstanceAlreadyExists"
            return ""
        return f"{PASSWORD}-{number}"

    with ThreadPoolExecutor(8) as threads:
        (winner,) = filter(None, threads.map(made, range(8)))
    assert password_of(account, "orders") == winner


@pytest.mark.parametrize("is_made", [True, False])
def test_an_answer_that_does_not_come_takes_no_password_away(
    account: RdsAccount, monkeypatch: pytest.MonkeyPatch, is_made: bool
) -> None:
    """The conductor may have made it: without the Secret, its Database would think of a password of its own."""
    whole = MemoryResources.create

    async def create(self: MemoryResources, kind: Any, resource: Any) -> Any:
        if kind is not DATABASE or is_made:
            made = await whole(self, kind, resource)
        if kind is DATABASE:
            raise Unavailable("the conductor does not answer")
        return made

    monkeypatch.setattr(MemoryResources, "create", create)
    refusal(account.create, name="orders")
    assert password_of(account, "orders") == PASSWORD


def test_deletion_says_what_becomes_of_the_data(rds: Any, account: RdsAccount) -> None:
    account.create("orders", DeletionProtection=True)
    account.said("orders")
    skipped = {"DBInstanceIdentifier": "orders", "SkipFinalSnapshot": True}
    assert "disable deletion protection" in refusal(rds.delete_db_instance, **skipped)[1]
    rds.modify_db_instance(DBInstanceIdentifier="orders", DeletionProtection=False)
    assert refusal(rds.delete_db_instance, DBInstanceIdentifier="orders")[0] == "InvalidParameterCombination"
    arn = account.shown("orders")["DBInstanceArn"]
    assert refusal(rds.delete_db_instance, DBInstanceIdentifier=arn)[0] == "InvalidParameterValue"
    both = {**skipped, "FinalDBSnapshotIdentifier": "last"}
    assert refusal(rds.delete_db_instance, **both)[0] == "InvalidParameterCombination"
    assert rds.delete_db_instance(**skipped)["DBInstance"]["DBInstanceStatus"] == "deleting"
    assert refusal(rds.delete_db_instance, **skipped)[0] == "DBInstanceNotFound"
    rds.get_waiter("db_instance_deleted").wait(DBInstanceIdentifier="orders")
