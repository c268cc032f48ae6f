"""Secrets on a real cloud: by boto3 through the gateway, by kubectl's API, on demand."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from typing import Any

import hvac
import pytest
from botocore.exceptions import ClientError
from clouds import Cloud, a_port, eventually

from controller.runtime.engines.finder import EngineFinder
from controller.runtime.sandbox import landlock, seccomp
from crds.engines import ENGINES

SECRETS = "/apis/aerekos.cloud/v1/namespaces/default/managedsecrets"
SOON_IDLE = {"spec": {"idleSeconds": 10}}
MERGE = {"content-type": "application/merge-patch+json"}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    made = Cloud(tmp_path_factory.mktemp("secrets") / "home", a_port())
    said = made.command("up", "--timeout", "300", timeout=330)
    assert said.code == 0, said
    try:
        yield made
    finally:
        made.command("down")
        shutil.rmtree(made.home, ignore_errors=True)


def client(cloud: Cloud, person: str) -> Any:
    with cloud.http() as http:
        key = http.get("/auth/access-key", headers={"impersonate-user": person}).json()
    keys, retries = (key["accessKeyId"], key["secretAccessKey"]), {"total_max_attempts": 6, "mode": "standard"}
    return cloud.boto3("secretsmanager", *keys, region="us-east-1", retries=retries)


@pytest.fixture(scope="module")
def secrets(cloud: Cloud) -> Any:
    with cloud.http() as http:
        for name, roles in (("boss", ["admin"]), ("editor", ["editor"]), ("viewer", ["viewer"])):
            spec = {"roles": roles, "namespace": "default"}
            http.post(
                "/apis/aerekos.cloud/v1/users", json={"metadata": {"name": name}, "spec": spec}
            ).raise_for_status()
    return client(cloud, "boss")


def sleeps(cloud: Cloud) -> bool:
    phase = cloud.get("services", "secrets-manager")["status"].get("phase")
    return phase == "ScaledToZero" and "secrets-manager-0" not in cloud.instances()


def test_it_costs_no_process_until_the_first_secret_and_is_awake_while_there_is_one(
    cloud: Cloud, secrets: Any
) -> None:
    eventually(lambda: sleeps(cloud), "nobody asked for a secret yet")
    with cloud.http() as http:
        assert http.get("/health/report").json()["verdict"] == "Well"
        http.patch(
            "/apis/aerekos.cloud/v1/namespaces/default/services/secrets-manager", json=SOON_IDLE, headers=MERGE
        ).raise_for_status()
        secrets.create_secret(Name="first", SecretString="1")
        assert "secrets-manager-0" in cloud.instances()
        secrets.delete_secret(SecretId="first", ForceDeleteWithoutRecovery=True)
        eventually(lambda: sleeps(cloud), "no secret is left, and nobody asks")
        # Rotations and deletions are due whether anybody asks or not: a secret wakes it, whoever makes it.
        http.post(SECRETS, json={"metadata": {"name": "made-by-kubectl"}}).raise_for_status()
        eventually(lambda: "arn" in cloud.get("managedsecrets", "made-by-kubectl").get("status", {}), "it is awake")
        http.delete(f"{SECRETS}/made-by-kubectl").raise_for_status()


def test_a_secret_lives_from_boto3_to_the_store(cloud: Cloud, secrets: Any) -> None:
    made = secrets.create_secret(Name="prod/db", SecretString="hunter2hunter2", Description="the database")
    secrets.put_secret_value(SecretId="prod/db", SecretString="swordfish-swordfish")
    assert secrets.get_secret_value(SecretId=made["ARN"])["SecretString"] == "swordfish-swordfish"
    assert (
        secrets.get_secret_value(SecretId="prod/db", VersionStage="AWSPREVIOUS")["SecretString"] == "hunter2hunter2"
    )
    with cloud.http() as http:
        (found,) = http.get(SECRETS).json()["items"]
        assert found["status"]["arn"] == made["ARN"] and len(found["status"]["versions"]) == 2
        assert "swordfish" not in json.dumps(found)
        refused = http.delete(f"{SECRETS}/{found['metadata']['name']}")
        assert refused.status_code == 409 and "aws secretsmanager delete-secret" in refused.json()["message"]
        values = "/apis/aerekos.cloud/v1/namespaces/default/secretversions"
        assert http.get(values, headers={"impersonate-user": "editor"}).status_code == 403
        assert "swordfish" not in http.get(values).text
    for file in (cloud.home).rglob("*"):
        if file.is_file():
            assert b"swordfish" not in file.read_bytes(), file


def test_a_viewer_sees_what_there_is_and_no_value(cloud: Cloud, secrets: Any) -> None:
    secrets.create_secret(Name="seen", SecretString="1")
    viewer = client(cloud, "viewer")
    assert viewer.describe_secret(SecretId="seen")["Name"] == "seen"
    with pytest.raises(ClientError, match="AccessDenied"):
        viewer.get_secret_value(SecretId="seen")


def test_a_secret_goes_with_its_values(cloud: Cloud, secrets: Any) -> None:
    secrets.create_secret(Name="gone", SecretString="1")
    secrets.delete_secret(SecretId="gone", ForceDeleteWithoutRecovery=True)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        secrets.get_secret_value(SecretId="gone")
    again = secrets.create_secret(Name="gone", SecretString="2")
    assert secrets.get_secret_value(SecretId=again["ARN"])["SecretString"] == "2"


def test_a_value_is_delivered_as_a_secret_of_kubernetes(cloud: Cloud, secrets: Any) -> None:
    secrets.create_secret(Name="web", SecretString=json.dumps({"password": "first"}))
    with cloud.http() as http:
        patch = {"spec": {"delivery": {"secret": "web-login"}}}
        http.patch(f"{SECRETS}/web", json=patch, headers=MERGE).raise_for_status()
        eventually(lambda: delivered(http, "web-login") == {"password": "first"}, "it is delivered")
        secrets.put_secret_value(SecretId="web", SecretString=json.dumps({"password": "second"}))
        eventually(lambda: delivered(http, "web-login") == {"password": "second"}, "it follows")
        secrets.delete_secret(SecretId="web", ForceDeleteWithoutRecovery=True)
        eventually(lambda: delivered(http, "web-login") is None, "it goes along")
        values = "/apis/aerekos.cloud/v1/secretversions"
        left = {each["spec"]["secretUid"] for each in http.get(values).json()["items"]}
        assert left == {each["metadata"]["uid"] for each in http.get(SECRETS).json()["items"]}


def test_hvac_reads_them_with_a_token_of_this_cloud(cloud: Cloud, secrets: Any) -> None:
    secrets.create_secret(Name="vault/app", SecretString=json.dumps({"password": "1"}))
    secrets.put_secret_value(SecretId="vault/app", SecretString=json.dumps({"password": "2"}))
    with cloud.http() as http:
        token = service_account(http, "app")
    url, verify = f"https://127.0.0.1:{cloud.port}/services/secrets-manager", str(cloud.home / "tls" / "ca.crt")
    vault = hvac.Client(url=url, token=token, verify=verify)
    assert vault.is_authenticated()
    kv = vault.secrets.kv.v2
    assert kv.read_secret_version(path="vault/app", raise_on_deleted_version=True)["data"]["data"] == {
        "password": "2"
    }
    assert kv.read_secret_version(path="vault/app", version=1, raise_on_deleted_version=True)["data"]["data"] == {
        "password": "1"
    }
    assert sorted(kv.read_secret_metadata(path="vault/app")["data"]["versions"]) == ["1", "2"]
    with pytest.raises(hvac.exceptions.InvalidPath):
        kv.read_secret_version(path="vault/none", raise_on_deleted_version=True)
    with pytest.raises(hvac.exceptions.Unauthorized):
        hvac.Client(url=url, token="none", verify=verify).secrets.kv.v2.read_secret_metadata(path="vault/app")


def service_account(http: Any, name: str) -> str:
    """A token of a new service account that may edit its namespace."""
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    http.post(accounts, json={"metadata": {"name": name}}).raise_for_status()
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": "default"}],
    }
    bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings"
    http.post(bindings, json=binding).raise_for_status()
    answer = http.post(f"{accounts}/{name}/token", json={"spec": {}})
    answer.raise_for_status()
    return str(answer.json()["status"]["token"])


def delivered(http: Any, name: str) -> dict[str, str] | None:
    answer = http.get(f"/api/v1/namespaces/default/secrets/{name}")
    if answer.status_code == 404:
        return None
    return {key: base64.b64decode(text).decode() for key, text in answer.json()["data"].items()}


@pytest.mark.skipif(landlock.abi() < 6 or not seccomp.is_known(), reason="this machine has too few walls")
@pytest.mark.skipif(EngineFinder().find(ENGINES["postgresql"]) is None, reason="no PostgreSQL")
def test_the_user_of_a_database_is_rotated(cloud: Cloud, secrets: Any) -> None:
    meta, spec = {"name": "db", "namespace": "default"}, {"engine": {"name": "postgresql"}}
    database = {"apiVersion": "aerekos.cloud/v1", "kind": "Service", "metadata": meta, "spec": spec}
    cloud.do("apply", "-f", "-", text=json.dumps(database))
    eventually(lambda: cloud.is_ready("db"), "the database is ready")
    with cloud.http() as http:
        superuser = delivered(http, "db-superuser")
    assert superuser is not None
    login = {"engine": "postgres", "host": "db", **superuser}
    first = secrets.create_secret(Name="db/login", SecretString=json.dumps(login))["VersionId"]
    function = "arn:aws:lambda:us-east-1:000000000000:function:SecretsManagerRDSPostgreSQLRotationSingleUser"
    for _ in range(2):  # the second opens the database with what the first has set
        begun = secrets.rotate_secret(SecretId="db/login", RotationLambdaARN=function)["VersionId"]
        eventually(lambda begun=begun: current(secrets, "db/login") == begun, "it is rotated")
        told = secrets.describe_secret(SecretId="db/login")
        assert first not in told["VersionIdsToStages"] or told["VersionIdsToStages"][first] == ["AWSPREVIOUS"]
        eventually(lambda: "LastRotatedDate" in secrets.describe_secret(SecretId="db/login"), "it has ended")


def current(secrets: Any, name: str) -> str:
    stages = secrets.describe_secret(SecretId=name)["VersionIdsToStages"]
    return next(str(version) for version, labels in stages.items() if "AWSCURRENT" in labels)
