"""Secrets and their values through an unmodified boto3, beside a real key_manager."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import boto3
import pytest

from services.sdk.aws.resource_names import resource_name
from services.secrets_manager.kinds import MANAGED_SECRET, SECRET_VERSION
from services.secrets_manager.names import record_name
from services.secrets_manager.tests.conftest import Account, refusal


def client_in(account: Account, region: str) -> Any:
    return boto3.client(
        "secretsmanager",
        endpoint_url=account.harness.url,
        region_name=region,
        aws_access_key_id=account.owner.access_key,
        aws_secret_access_key=account.owner.secret,
    )


def stages(secrets: Any, name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = secrets.describe_secret(SecretId=name).get("VersionIdsToStages", {})
    return found


def test_a_secret_is_made_and_read(secrets: Any, account: Account) -> None:
    made = secrets.create_secret(Name="prod/db", SecretString="hunter2", Description="the database")
    arn = rf"arn:aws:secretsmanager:us-east-1:{account.number}:secret:prod/db-[A-Za-z0-9]{{6}}"
    assert re.fullmatch(arn, made["ARN"]) and made["Name"] == "prod/db"
    read = secrets.get_secret_value(SecretId="prod/db")
    assert (read["SecretString"], read["VersionStages"]) == ("hunter2", ["AWSCURRENT"])
    assert (read["ARN"], read["VersionId"], "SecretBinary" in read) == (made["ARN"], made["VersionId"], False)
    told = secrets.describe_secret(SecretId="prod/db")
    assert told["Description"] == "the database" and told["VersionIdsToStages"] == {made["VersionId"]: ["AWSCURRENT"]}
    assert {"CreatedDate", "LastChangedDate", "LastAccessedDate"} <= told.keys()


def test_bytes_come_back_as_bytes(secrets: Any) -> None:
    secrets.create_secret(Name="raw", SecretBinary=bytes(range(256)))
    read = secrets.get_secret_value(SecretId="raw")
    assert read["SecretBinary"] == bytes(range(256)) and "SecretString" not in read


def test_a_secret_is_found_by_name_and_by_whole_or_partial_arn(secrets: Any) -> None:
    arn = secrets.create_secret(Name="app", SecretString="1")["ARN"]
    for each in ("app", arn, arn[:-7]):
        assert secrets.get_secret_value(SecretId=each)["ARN"] == arn
    wrong = arn[:-1] + ("x" if arn[-1] != "x" else "y")
    assert refusal(secrets.get_secret_value, SecretId=wrong)[0] == "ResourceNotFoundException"
    assert refusal(secrets.get_secret_value, SecretId=arn.replace("us-east-1", "eu-west-1"))[0] == (
        "ResourceNotFoundException"
    )


def test_a_name_that_ends_like_an_arn_is_found(secrets: Any) -> None:
    arn = secrets.create_secret(Name="app-abcdef", SecretString="1")["ARN"]
    for each in ("app-abcdef", arn, arn[:-7]):
        assert secrets.get_secret_value(SecretId=each)["ARN"] == arn


def test_names_are_told_apart_by_case(secrets: Any) -> None:
    secrets.create_secret(Name="Token", SecretString="upper")
    secrets.create_secret(Name="token", SecretString="lower")
    assert secrets.get_secret_value(SecretId="Token")["SecretString"] == "upper"
    assert secrets.get_secret_value(SecretId="token")["SecretString"] == "lower"


@pytest.mark.parametrize("name", ["a b", "a:b", "a?b", "ümlaut", "a*"])
def test_other_names_are_refused(secrets: Any, name: str) -> None:
    code, said = refusal(secrets.create_secret, Name=name, SecretString="1")
    assert code == "ValidationException" and "Invalid name" in said


def test_nothing_of_it_is_readable_in_the_store(secrets: Any, account: Account) -> None:
    version = secrets.create_secret(Name="prod/db", SecretString="hunter2hunter2")["VersionId"]
    secret = account.harness.run(
        account.harness.resources.get(MANAGED_SECRET, resource_name("prod/db"), account.owner.namespace)
    )
    name = record_name(secret.metadata.uid, version)
    record = account.harness.run(account.harness.resources.get(SECRET_VERSION, name, account.owner.namespace))
    assert "hunter2" not in str(secret.wire()) + str(record.wire())
    assert record.metadata.owner_references[0].uid == secret.metadata.uid
    assert record.spec.key.startswith(f"arn:aws:kms:us-east-1:{account.number}:key/")


def test_a_sealed_value_opens_for_its_own_version_alone(secrets: Any, account: Account) -> None:
    """Whoever could write the store could still not pass off one secret's value as another's."""
    first = secrets.create_secret(Name="a", SecretString="of a")["VersionId"]
    second = secrets.create_secret(Name="b", SecretString="of b")["VersionId"]
    run, resources, where = account.harness.run, account.harness.resources, account.owner.namespace
    uids = [run(resources.get(MANAGED_SECRET, name, where)).metadata.uid for name in ("a", "b")]
    stolen = run(resources.get(SECRET_VERSION, record_name(uids[0], first), where)).spec.wire()
    run(resources.patch(SECRET_VERSION, record_name(uids[1], second), {"spec": stolen}, where))
    assert refusal(secrets.get_secret_value, SecretId="b")[0] == "DecryptionFailure"


def test_put_moves_the_labels(secrets: Any) -> None:
    first = secrets.create_secret(Name="s", SecretString="1")["VersionId"]
    second = secrets.put_secret_value(SecretId="s", SecretString="2")
    assert second["VersionStages"] == ["AWSCURRENT"]
    assert stages(secrets, "s") == {first: ["AWSPREVIOUS"], second["VersionId"]: ["AWSCURRENT"]}
    assert secrets.get_secret_value(SecretId="s", VersionStage="AWSPREVIOUS")["SecretString"] == "1"
    third = secrets.update_secret(SecretId="s", SecretString="3")["VersionId"]
    assert stages(secrets, "s") == {second["VersionId"]: ["AWSPREVIOUS"], third: ["AWSCURRENT"]}
    assert secrets.get_secret_value(SecretId="s", VersionId=first)["SecretString"] == "1"
    every = secrets.list_secret_version_ids(SecretId="s", IncludeDeprecated=True)["Versions"]
    assert [each["VersionId"] for each in every] == [first, second["VersionId"], third]
    assert len(secrets.list_secret_version_ids(SecretId="s")["Versions"]) == 2


def test_the_same_token_makes_one_version(secrets: Any) -> None:
    token = str(uuid4())
    for _ in range(2):
        assert secrets.create_secret(Name="s", SecretString="1", ClientRequestToken=token)["VersionId"] == token
    assert refusal(secrets.create_secret, Name="s", SecretString="1") == (
        "ResourceExistsException",
        "The operation failed because the secret s already exists.",
    )
    assert refusal(secrets.create_secret, Name="s", SecretString="2", ClientRequestToken=token)[0] == (
        "ResourceExistsException"
    )
    other = str(uuid4())
    for _ in range(2):
        secrets.put_secret_value(SecretId="s", SecretString="2", ClientRequestToken=other)
    assert stages(secrets, "s") == {token: ["AWSPREVIOUS"], other: ["AWSCURRENT"]}
    code, said = refusal(secrets.put_secret_value, SecretId="s", SecretString="3", ClientRequestToken=other)
    assert code == "ResourceExistsException" and said.startswith(f"You can't use ClientRequestToken {other} because")


def test_pending_versions_wait_until_they_are_current(secrets: Any) -> None:
    first = secrets.create_secret(Name="s", SecretString="old")["VersionId"]
    second = secrets.put_secret_value(SecretId="s", SecretString="new", VersionStages=["AWSPENDING"])["VersionId"]
    assert secrets.get_secret_value(SecretId="s")["SecretString"] == "old"
    move = {"SecretId": "s", "VersionStage": "AWSCURRENT", "MoveToVersionId": second}
    code, said = refusal(secrets.update_secret_version_stage, **move)
    assert code == "InvalidParameterException" and f"currently attached to version {first}" in said
    secrets.update_secret_version_stage(**move, RemoveFromVersionId=first)
    assert stages(secrets, "s") == {first: ["AWSPREVIOUS"], second: ["AWSCURRENT", "AWSPENDING"]}
    code, _ = refusal(
        secrets.update_secret_version_stage, SecretId="s", VersionStage="AWSCURRENT", RemoveFromVersionId=second
    )
    assert code == "InvalidParameterException"


def test_the_first_version_is_current_whatever_its_labels_are(secrets: Any) -> None:
    secrets.create_secret(Name="s")
    code, said = refusal(secrets.get_secret_value, SecretId="s")
    assert (code, said) == (
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
    )
    version = secrets.put_secret_value(SecretId="s", SecretString="1", VersionStages=["MINE"])["VersionId"]
    assert stages(secrets, "s") == {version: ["AWSCURRENT", "MINE"]}


def test_a_name_that_no_secret_has_is_told_by_every_operation(secrets: Any) -> None:
    calls = (
        secrets.describe_secret,
        secrets.get_secret_value,
        secrets.list_secret_version_ids,
        secrets.delete_secret,
    )
    for call in calls:
        code, said = refusal(call, SecretId="Inv Name")
        assert code == "ValidationException" and said.startswith("Invalid name. Must be a valid name")
    assert refusal(secrets.delete_secret, SecretId="Inv Name", ForceDeleteWithoutRecovery=True)[0] == code


def test_what_is_no_longer_current_is_not_pending(secrets: Any) -> None:
    first = secrets.create_secret(Name="s", SecretString="1")["VersionId"]
    second = secrets.put_secret_value(SecretId="s", SecretString="2", VersionStages=["AWSPENDING"])["VersionId"]
    secrets.update_secret_version_stage(
        SecretId="s", VersionStage="AWSCURRENT", MoveToVersionId=second, RemoveFromVersionId=first
    )
    assert stages(secrets, "s")[second] == ["AWSCURRENT", "AWSPENDING"]
    third = secrets.put_secret_value(SecretId="s", SecretString="3")["VersionId"]
    assert stages(secrets, "s") == {second: ["AWSPREVIOUS"], third: ["AWSCURRENT"]}


def test_what_cannot_be_meant_is_refused(secrets: Any) -> None:
    assert refusal(secrets.get_secret_value, SecretId="none") == (
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret.",
    )
    both = {"SecretString": "1", "SecretBinary": b"1"}
    assert refusal(secrets.create_secret, Name="s", **both)[0] == "InvalidRequestException"
    version = secrets.create_secret(Name="s", SecretString="1")["VersionId"]
    assert refusal(secrets.put_secret_value, SecretId="s")[0] == "InvalidRequestException"
    wrong = {"VersionId": version, "VersionStage": "AWSPREVIOUS"}
    assert refusal(secrets.get_secret_value, SecretId="s", **wrong)[0] == "InvalidRequestException"
    assert refusal(secrets.create_secret, Name="t", AddReplicaRegions=[{"Region": "eu-west-1"}])[0] == (
        "UnsupportedOperationException"
    )


def test_many_are_read_at_once(secrets: Any) -> None:
    for name in ("a", "b", "c"):
        secrets.create_secret(Name=f"batch/{name}", SecretString=name)
    told = secrets.batch_get_secret_value(SecretIdList=["batch/a", "batch/none", "batch/c"])
    assert [each["SecretString"] for each in told["SecretValues"]] == ["a", "c"]
    assert [(each["SecretId"], each["ErrorCode"]) for each in told["Errors"]] == [
        ("batch/none", "ResourceNotFoundException")
    ]
    found = secrets.batch_get_secret_value(Filters=[{"Key": "name", "Values": ["batch/"]}], MaxResults=2)
    more = secrets.batch_get_secret_value(
        Filters=[{"Key": "name", "Values": ["batch/"]}], MaxResults=2, NextToken=found["NextToken"]
    )
    values = [each["SecretString"] for each in found["SecretValues"] + more["SecretValues"]]
    assert sorted(values) == ["a", "b", "c"]
    assert refusal(secrets.batch_get_secret_value)[0] == "InvalidParameterException"


def test_a_secret_of_another_account_is_not_there(secrets: Any, harness: Any, keys: Any, account: Account) -> None:
    arn = secrets.create_secret(Name="mine", SecretString="1")["ARN"]
    other = harness.conductor.add(
        type(account.owner)("stranger", namespace="elsewhere", access_key="AKIASTRANGER00000001")
    )
    for each in ("mine", arn):
        assert refusal(account.client(other).get_secret_value, SecretId=each)[0] == "ResourceNotFoundException"
    assert account.client(other).list_secrets()["SecretList"] == []


def test_a_secret_is_in_the_region_that_it_was_made_in(secrets: Any, account: Account) -> None:
    secrets.create_secret(Name="here", SecretString="1")
    made = client_in(account, "eu-west-1")
    assert refusal(made.get_secret_value, SecretId="here")[0] == "ResourceNotFoundException"
    arn = made.create_secret(Name="here", SecretString="2")["ARN"]
    assert ":eu-west-1:" in arn and made.get_secret_value(SecretId=arn)["SecretString"] == "2"
    assert refusal(made.create_secret, Name="here", SecretString="3")[0] == "ResourceExistsException"
    assert secrets.get_secret_value(SecretId="here")["SecretString"] == "1"
    assert [each["ARN"] for each in made.list_secrets()["SecretList"]] == [arn]
    assert refusal(secrets.get_secret_value, SecretId=arn)[0] == "ResourceNotFoundException"
    with account.harness.http(account.owner) as vault:
        assert vault.get("/v1/secret/data/here").json()["data"]["data"] == {"value": "1"}
        made.create_secret(Name="there", SecretString="4")
        assert vault.get("/v1/secret/data/there").json()["data"]["data"] == {"value": "4"}


def test_what_kubectl_made_is_in_every_region_and_its_name_is_taken(secrets: Any, account: Account) -> None:
    where = account.owner.namespace
    account.harness.run(
        account.harness.resources.create(MANAGED_SECRET, MANAGED_SECRET.new("everywhere", namespace=where))
    )
    made = client_in(account, "eu-west-1")
    assert made.describe_secret(SecretId="everywhere")["ARN"] == secrets.describe_secret(SecretId="everywhere")["ARN"]
    assert refusal(made.create_secret, Name="everywhere", SecretString="1")[0] == "ResourceExistsException"
