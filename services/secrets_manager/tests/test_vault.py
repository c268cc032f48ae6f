"""Vault's KV version 2 over the same secrets: what its clients read, and what they are refused."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from services.secrets_manager.tests.conftest import Account


@pytest.fixture
def vault(account: Account, secrets: Any) -> Any:
    secrets.create_secret(
        Name="prod/db", SecretString=json.dumps({"password": "1"}), Tags=[{"Key": "a", "Value": "b"}]
    )
    secrets.put_secret_value(SecretId="prod/db", SecretString=json.dumps({"password": "2"}))
    secrets.put_secret_value(SecretId="prod/db", SecretString="pending", VersionStages=["AWSPENDING"])
    secrets.create_secret(Name="prod/mail/out", SecretString="plain")
    secrets.create_secret(Name="raw", SecretBinary=b"\x00\xff")
    with account.harness.http(account.owner) as http:
        yield http


def data(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def test_the_current_value_and_its_versions_are_read(vault: httpx.Client) -> None:
    read = data(vault.get("/v1/secret/data/prod/db"))
    assert (read["data"], read["metadata"]["version"]) == ({"password": "2"}, 2)
    assert read["metadata"]["custom_metadata"] == {"a": "b"}
    assert data(vault.get("/v1/secret/data/prod/db?version=1"))["data"] == {"password": "1"}
    assert data(vault.get("/v1/secret/data/prod/db", params={"version": 3}))["data"] == {"value": "pending"}
    assert data(vault.get("/v1/secret/data/prod%2Fdb"))["data"] == {"password": "2"}
    told = data(vault.get("/v1/secret/metadata/prod/db"))
    assert (told["current_version"], sorted(told["versions"])) == (2, ["1", "2", "3"])
    assert data(vault.get("/v1/secret/data/prod/mail/out"))["data"] == {"value": "plain"}
    assert data(vault.get("/v1/secret/data/raw"))["data"] == {"binary": "AP8="}


def test_folders_are_listed(vault: httpx.Client) -> None:
    assert data(vault.get("/v1/secret/metadata/?list=true")) == {"keys": ["prod/", "raw"]}
    assert data(vault.get("/v1/secret/metadata/prod?list=true")) == {"keys": ["db", "mail/"]}
    assert data(vault.get("/v1/secret/metadata/prod/?list=true")) == {"keys": ["db", "mail/"]}
    assert vault.get("/v1/secret/metadata/none?list=true").status_code == 404


def test_a_token_is_looked_up_without_being_shown(vault: httpx.Client, account: Account) -> None:
    assert data(vault.get("/v1/auth/token/lookup-self"))["display_name"] == account.owner.name


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/secret/data/none", 404),
        ("GET", "/v1/secret/data/prod/db?version=9", 404),
        ("GET", "/v1/secret/data/prod/db?version=x", 400),
        ("GET", "/v1/secret/data/prod/db?versoin=1", 400),
        ("GET", "/v1/other/data/prod/db", 404),
        ("GET", "/v1/secret/data/", 404),
        ("GET", "/v1/secret/config", 404),
        ("GET", "/v1/sys/seal-status", 404),
        ("POST", "/v1/secret/data/prod/db", 405),
        ("PUT", "/v1/secret/data/prod/db", 405),
        ("DELETE", "/v1/secret/metadata/prod/db", 405),
        ("GET", "/v1/secret/data/prod?list=true", 400),
        ("GET", "/v1/secret/metadata/prod?list=yes", 400),
    ],
)
def test_all_else_is_refused_in_vault_s_form(vault: httpx.Client, method: str, path: str, status: int) -> None:
    answer = vault.request(method, path)
    assert answer.status_code == status and isinstance(answer.json()["errors"], list)


def test_rights_are_those_of_the_aws_api(vault: httpx.Client, account: Account, secrets: Any) -> None:
    eve = account.user("eve")
    for verb in ("get", "list", "use"):
        account.harness.conductor.refuse(eve.name, verb)
    with account.harness.http(eve) as hers:
        for path in ("data/prod/db", "data/none", "metadata/prod/db", "metadata/?list=true"):
            answer = hers.get(f"/v1/secret/{path}")
            assert (answer.status_code, answer.json()) == (403, {"errors": ["permission denied"]}), path
    deny = {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:GetSecretValue", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": deny})
    secrets.put_resource_policy(SecretId="prod/db", ResourcePolicy=policy)
    assert vault.get("/v1/secret/data/prod/db").status_code == 403


def test_a_deleted_secret_is_not_there(vault: httpx.Client, secrets: Any) -> None:
    secrets.delete_secret(SecretId="prod/db")
    assert vault.get("/v1/secret/data/prod/db").status_code == 400
    assert data(vault.get("/v1/secret/metadata/prod?list=true")) == {"keys": ["mail/"]}


def test_a_read_counts_as_one_and_is_noted_of_that_very_secret(vault: httpx.Client, secrets: Any) -> None:
    assert "LastAccessedDate" not in secrets.describe_secret(SecretId="prod/db")
    noted = vault.get("/v1/secret/data/prod/db?version=1").headers
    told = secrets.describe_secret(SecretId="prod/db")
    versions = secrets.list_secret_version_ids(SecretId="prod/db", IncludeDeprecated=True)["Versions"]
    assert "LastAccessedDate" in told
    assert [sorted(each["VersionStages"]) for each in versions if "LastAccessedDate" in each] == [["AWSPREVIOUS"]]
    assert noted["x-aerekos-audit-action"] == "secretsmanager:GetSecretValue"
    assert unquote(noted["x-aerekos-audit-resource"]) == told["ARN"]
