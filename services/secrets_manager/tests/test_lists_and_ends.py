"""Lists with filters and pages, deletion and restoration, random passwords, limits."""

from __future__ import annotations

import string
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from services.sdk.aws.resource_names import resource_name
from services.secrets_manager.filters import words_of
from services.secrets_manager.kinds import MANAGED_SECRET, SECRET_VERSION
from services.secrets_manager.secret_store import MOST_VERSIONS
from services.secrets_manager.tests.conftest import Account, refusal


@pytest.fixture
def many(secrets: Any) -> Any:
    secrets.create_secret(
        Name="prod/db", SecretString="1", Description="Orders Database", Tags=[{"Key": "team", "Value": "red"}]
    )
    secrets.create_secret(
        Name="prod/mail", SecretString="1", Description="mail relay", Tags=[{"Key": "team", "Value": "blue"}]
    )
    secrets.create_secret(Name="test/db", SecretString="1", Tags=[{"Key": "tea", "Value": "red"}])
    return secrets


def names(secrets: Any, *filters: tuple[str, list[str]], **more: Any) -> list[str]:
    wanted = [{"Key": key, "Values": values} for key, values in filters]
    found = secrets.list_secrets(Filters=wanted, SortBy="name", SortOrder="asc", **more)["SecretList"]
    return [each["Name"] for each in found]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([("name", ["prod/"])], ["prod/db", "prod/mail"]),
        ([("name", ["Prod/"])], []),
        ([("name", ["!prod/"])], ["test/db"]),
        ([("name", ["prod/db", "test/"])], ["prod/db", "test/db"]),
        ([("tag-key", ["team"])], ["prod/db", "prod/mail"]),
        ([("tag-value", ["red"])], ["prod/db", "test/db"]),
        ([("description", ["data"])], ["prod/db"]),
        ([("description", ["base"])], []),
        ([("all", ["RELAY"])], ["prod/mail"]),
        ([("all", ["elay"])], []),
        ([("all", ["prod ord"])], ["prod/db"]),
        ([("description", ["mail", "!mail"])], ["prod/db", "prod/mail", "test/db"]),
        ([("name", ["prod/"]), ("tag-value", ["red"])], ["prod/db"]),
        ([("owning-service", ["rds"])], []),
        ([("primary-region", ["us-east-1"])], ["prod/db", "prod/mail", "test/db"]),
    ],
)
def test_filters(many: Any, filters: list[tuple[str, list[str]]], found: list[str]) -> None:
    assert names(many, *filters) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prod/AppBeta/1f", ["prod", "app", "beta", "1f"]),
        ("COMPANYthings", ["compan", "ythings"]),
        ("uat/COMPANY", ["uat", "company"]),
        ("SecretFTag9", ["secret", "f", "tag9"]),
        ("+ .", []),
        ("", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_without_an_order_they_come_as_they_were_made(secrets: Any) -> None:
    for name in ("foo", "bar", "baz"):
        secrets.create_secret(Name=name, SecretString="1")
    assert [each["Name"] for each in secrets.list_secrets()["SecretList"]] == ["foo", "bar", "baz"]


def test_filters_that_say_nothing_are_refused(secrets: Any) -> None:
    assert refusal(secrets.list_secrets, Filters=[{"Values": ["a"]}])[0] == "InvalidParameterException"
    assert refusal(secrets.list_secrets, Filters=[{"Key": "name"}])[0] == "InvalidParameterException"


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("by", ["name", "created-date", "last-changed-date", "last-accessed-date"])
def test_pages_have_each_secret_once(many: Any, by: str, order: str) -> None:
    pages = many.get_paginator("list_secrets").paginate(SortBy=by, SortOrder=order, PaginationConfig={"PageSize": 1})
    found = [each["Name"] for page in pages for each in page["SecretList"]]
    assert sorted(found) == ["prod/db", "prod/mail", "test/db"]
    assert by != "name" or found == sorted(found, reverse=order == "desc")
    token = many.list_secrets(MaxResults=1)["NextToken"]
    assert (
        refusal(many.list_secrets, MaxResults=1, NextToken=token, SortOrder="desc")[0] == "InvalidNextTokenException"
    )


def test_a_deleted_secret_waits_and_can_be_restored(secrets: Any) -> None:
    made = secrets.create_secret(Name="s", SecretString="1")
    gone = secrets.delete_secret(SecretId="s", RecoveryWindowInDays=7)
    told = secrets.describe_secret(SecretId="s")
    assert told["DeletedDate"] - told["CreatedDate"] >= timedelta(days=6, hours=23) and gone["ARN"] == made["ARN"]
    marked = "You can't perform this operation on the secret because it was marked for deletion."
    for call, more in (
        (secrets.get_secret_value, {}),
        (secrets.put_secret_value, {"SecretString": "2"}),
        (secrets.update_secret, {"Description": "x"}),
        (secrets.tag_resource, {"Tags": [{"Key": "a", "Value": "b"}]}),
    ):
        assert refusal(call, SecretId="s", **more) == ("InvalidRequestException", marked)
    assert refusal(secrets.create_secret, Name="s", SecretString="1")[1].endswith("already scheduled for deletion.")
    assert refusal(secrets.delete_secret, SecretId="s")[0] == "InvalidRequestException"
    assert names(secrets) == [] and names(secrets, IncludePlannedDeletion=True) == ["s"]
    secrets.restore_secret(SecretId="s")
    assert secrets.get_secret_value(SecretId="s")["SecretString"] == "1"
    assert "DeletedDate" not in secrets.describe_secret(SecretId="s")


def test_what_is_deleted_by_force_is_gone_with_its_values(secrets: Any, account: Account) -> None:
    first = secrets.create_secret(Name="s", SecretString="1")["ARN"]
    secrets.delete_secret(SecretId="s")
    secrets.delete_secret(SecretId="s", ForceDeleteWithoutRecovery=True)
    where = account.owner.namespace
    assert account.harness.run(account.harness.resources.list(SECRET_VERSION, where)).items == []
    assert secrets.create_secret(Name="s", SecretString="2")["ARN"] != first
    assert refusal(secrets.get_secret_value, SecretId=first)[0] == "ResourceNotFoundException"
    assert secrets.delete_secret(SecretId="none", ForceDeleteWithoutRecovery=True)["Name"] == "none"
    both = {"RecoveryWindowInDays": 7, "ForceDeleteWithoutRecovery": True}
    assert refusal(secrets.delete_secret, SecretId="s", **both)[0] == "InvalidParameterException"
    assert refusal(secrets.delete_secret, SecretId="s", RecoveryWindowInDays=6)[0] == "InvalidParameterException"


def test_a_secret_that_cannot_be_sealed_is_not_made(secrets: Any) -> None:
    refusal(secrets.create_secret, Name="s", SecretString="1", KmsKeyId="alias/none")
    assert refusal(secrets.describe_secret, SecretId="s")[0] == "ResourceNotFoundException"


def test_versions_are_limited_and_a_day_later_make_room(secrets: Any, account: Account) -> None:
    secrets.create_secret(Name="s", SecretString="0")
    for each in range(1, MOST_VERSIONS):
        secrets.put_secret_value(SecretId="s", SecretString=str(each))
    assert refusal(secrets.put_secret_value, SecretId="s", SecretString="more")[0] == "LimitExceededException"
    where, name = account.owner.namespace, resource_name("s")
    run, resources = account.harness.run, account.harness.resources
    versions = run(resources.get(MANAGED_SECRET, name, where)).status.versions
    old = [each.model_copy(update={"created_at": each.created_at - timedelta(days=2)}).wire() for each in versions]
    run(resources.patch(MANAGED_SECRET, name, {"status": {"versions": old}}, where, subresource="status"))
    secrets.put_secret_value(SecretId="s", SecretString="more")
    left = secrets.list_secret_version_ids(SecretId="s", IncludeDeprecated=True, MaxResults=100)["Versions"]
    assert len(left) == MOST_VERSIONS and versions[0].version_id not in {each["VersionId"] for each in left}
    assert refusal(secrets.get_secret_value, SecretId="s", VersionId=versions[0].version_id)[0] == (
        "ResourceNotFoundException"
    )


def test_random_passwords(secrets: Any) -> None:
    made = secrets.get_random_password()["RandomPassword"]
    assert len(made) == 32
    for signs in (string.ascii_lowercase, string.ascii_uppercase, string.digits, string.punctuation):
        assert set(made) & set(signs)
    plain = secrets.get_random_password(PasswordLength=4096, ExcludePunctuation=True, ExcludeCharacters="abc")
    assert set(plain["RandomPassword"]) == set(string.ascii_letters + string.digits) - set("abc")
    assert secrets.get_random_password(PasswordLength=3, RequireEachIncludedType=False)
    assert refusal(secrets.get_random_password, PasswordLength=3)[0] == "InvalidParameterException"
    assert " " in secrets.get_random_password(IncludeSpace=True)["RandomPassword"]


def test_what_was_left_behind_by_a_crash_is_found_by_the_same_request(secrets: Any, account: Account) -> None:
    """The secret and its value were stored, but the value is no version yet."""
    token, where, run = str(uuid4()), account.owner.namespace, account.harness.run
    secrets.create_secret(Name="s", SecretString="1", ClientRequestToken=token)
    empty = {"versions": [], "currentVersion": ""}
    resources = account.harness.resources
    run(resources.patch(MANAGED_SECRET, "s", {"status": empty}, where, subresource="status"))
    assert refusal(secrets.get_secret_value, SecretId="s")[0] == "ResourceNotFoundException"
    assert secrets.create_secret(Name="s", SecretString="1", ClientRequestToken=token)["VersionId"] == token
    assert secrets.get_secret_value(SecretId="s")["SecretString"] == "1"
