"""Terraform's AWS provider against a real cloud: what it made is as it wanted it, changes, and goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from clouds import Cloud, eventually
from terraform_workspace import Workspace

from controller.runtime.engines.finder import EngineFinder
from crds.engines import ENGINES

pytestmark = pytest.mark.terraform
POSTGRESQL = EngineFinder().find(ENGINES["postgresql"])


def listed(cloud: Cloud, service: str, operation: str, member: str) -> list[Any]:
    said = cloud.aws(service, operation, "--output", "json")
    assert said.code == 0, said
    return list(json.loads(said.out)[member])


def live(workspace: Workspace) -> dict[str, Any]:
    """Apply, plan, change, plan: the outputs of both."""
    workspace.apply()
    assert workspace.planned() == ""
    before = workspace.outputs()
    assert workspace.planned(changed=True)
    workspace.apply(changed=True)
    assert workspace.planned(changed=True) == ""
    return {"before": before, "after": workspace.outputs()}


def end(workspace: Workspace) -> None:
    workspace.do("destroy", "-auto-approve", "-input=false", "-no-color", changed=True)


def test_identities(workspace: Callable[[str], Workspace], cloud: Cloud) -> None:
    space = workspace("iam")
    told = live(space)
    assert told["before"]["account"] == "000000000000"
    assert told["before"]["first"] == "arn:aws:iam::000000000000:user/team/a/tf-first"
    assert told["after"]["first"] == "arn:aws:iam::000000000000:user/team/b/tf-first"
    assert (told["before"]["alias"], told["after"]["alias"]) == ("tf-cloud", "tf-other-cloud")
    end(space)
    assert [each["UserName"] for each in listed(cloud, "iam", "list-users", "Users")] == ["admin"]
    for noun, operation in (("Roles", "list-roles"), ("Groups", "list-groups")):
        assert listed(cloud, "iam", operation, noun) == []
    assert listed(cloud, "iam", "list-instance-profiles", "InstanceProfiles") == []
    assert listed(cloud, "iam", "list-account-aliases", "AccountAliases") == []


def test_keys(workspace: Callable[[str], Workspace], cloud: Cloud) -> None:
    space = workspace("kms")
    told = live(space)
    assert told["before"]["opened"] == told["after"]["opened"] == "my secret"
    assert told["before"]["alias_target"] != told["after"]["alias_target"]
    end(space)
    assert listed(cloud, "kms", "list-aliases", "Aliases") == []
    keys = [each["KeyId"] for each in listed(cloud, "kms", "list-keys", "Keys")]
    assert len(keys) >= 4
    states = {cloud.kms("describe-key", "--key-id", each)["KeyMetadata"]["KeyState"] for each in keys}
    assert states == {"PendingDeletion"}


def test_secrets(workspace: Callable[[str], Workspace], cloud: Cloud) -> None:
    space = workspace("secretsmanager")
    told = live(space)
    assert told["before"]["arn"].startswith("arn:aws:secretsmanager:eu-central-1:000000000000:secret:tf/first-")
    assert told["after"]["arn"] == told["before"]["arn"]
    assert (json.loads(told["before"]["value"]), json.loads(told["after"]["value"])) == (
        {"password": "first"},
        {"password": "second"},
    )
    end(space)
    assert listed(cloud, "secretsmanager", "list-secrets", "SecretList") == []


def test_buckets(workspace: Callable[[str], Workspace], cloud: Cloud) -> None:
    space = workspace("s3")
    told = live(space)
    assert (told["before"]["body"], told["after"]["body"]) == ("<p>old</p>", "<p>new</p>")
    end(space)
    assert listed(cloud, "s3api", "list-buckets", "Buckets") == []


@pytest.mark.skipif(POSTGRESQL is None, reason="no PostgreSQL: aerekos engine install postgresql")
def test_databases(workspace: Callable[[str], Workspace], cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    assert POSTGRESQL is not None
    major = POSTGRESQL.version.partition(".")[0]
    monkeypatch.setenv("TF_VAR_major", major)
    meta = {"name": "db-manager", "namespace": "default"}
    spec = {"managed": "db_manager"}
    service = {"apiVersion": "aerekos.cloud/v1", "kind": "Service", "metadata": meta, "spec": spec}
    cloud.do("apply", "-f", "-", text=json.dumps(service))
    space = workspace("rds")
    told = live(space)
    assert told["before"]["arn"] == "arn:aws:rds:eu-central-1:000000000000:db:tf-orders" == told["after"]["arn"]
    assert (told["before"]["seen"], told["after"]["seen"]) == ("db.t3.micro", "db.t3.small")
    assert told["before"]["family"] == f"postgres{major}"
    host, _, port = told["after"]["endpoint"].partition(":")
    server = {"host": host, "port": port, "user": "owner", "password": "second-password", "dbname": "shop"}

    def work_mem() -> str:
        with psycopg.connect(**server) as connection:
            return str(connection.execute("SHOW work_mem").fetchone()[0])

    eventually(lambda: work_mem() == "9MB", "the parameter that was changed is in force")
    end(space)
    assert listed(cloud, "rds", "describe-db-instances", "DBInstances") == []
    groups = listed(cloud, "rds", "describe-db-parameter-groups", "DBParameterGroups")
    assert all(each["DBParameterGroupName"].startswith("default.") for each in groups)


def test_what_happens(workspace: Callable[[str], Workspace], cloud: Cloud) -> None:
    """Queues with dead letters, a topic that delivers to one of them, a bus, rules and their targets."""
    space = workspace("events")
    told = live(space)
    assert told["before"] == told["after"]
    assert told["after"]["topic"] == "arn:aws:sns:eu-central-1:000000000000:tf-news"
    queue = told["after"]["queue"]
    colour = json.dumps({"colour": {"DataType": "String", "StringValue": "blue"}})
    said = ("--topic-arn", told["after"]["topic"], "--message", "hello", "--message-attributes", colour)
    # With this region, version 1 of the CLI asks the SQS of Amazon, whatever endpoint the environment says.
    here = ("--region", "eu-central-1", "--endpoint-url", cloud.aws_env()["AWS_ENDPOINT_URL"])
    published = cloud.aws("sns", "publish", *said, *here)
    assert published.code == 0, published
    asked = ("--queue-url", queue, "--wait-time-seconds", "10", "--query", "Messages[].Body", "--output", "text")
    received = cloud.aws("sqs", "receive-message", *asked, *here)
    assert received.out.strip() == "hello", received
    end(space)
    left = cloud.aws("sqs", "list-queues", "--output", "text", *here)
    assert (left.code, left.out.strip()) in ((0, ""), (0, "None")), left
