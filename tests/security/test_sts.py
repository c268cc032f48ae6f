"""Temporary credentials on a real cloud: what a role opens and no more, for a while, and not two seconds longer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from clouds import Cloud, a_port, eventually

from controller.runtime.sandbox import landlock, seccomp

REVOKED_WITHIN = 2.0
ACCOUNT = "000000000000"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path_factory.mktemp("sts") / "home", a_port())
    said = cloud.command("up", "--timeout", "300", timeout=330)
    assert said.code == 0, said
    try:
        with cloud.http() as http:
            body = {"metadata": {"name": "boss"}, "spec": {"roles": ["admin"]}}
            http.post("/apis/aerekos.cloud/v1/users", json=body).raise_for_status()
        yield cloud
    finally:
        cloud.command("down")
        shutil.rmtree(cloud.home, ignore_errors=True)


def client(cloud: Cloud, service: str, keys: dict[str, str]) -> Any:
    """Of an AWS SDK, with a pair of keys or with temporary credentials."""
    said = keys["AccessKeyId"], keys["SecretAccessKey"], keys.get("SessionToken")
    return cloud.boto3(service, *said, signature_version="s3v4" if service == "s3" else "v4")


def keys_of(cloud: Cloud, name: str) -> dict[str, str]:
    with cloud.http() as http:
        key = http.get("/auth/access-key", headers={"impersonate-user": name}).json()
    return {"AccessKeyId": key["accessKeyId"], "SecretAccessKey": key["secretAccessKey"]}


def statement(effect: str, action: str | list[str], **more: Any) -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, "Resource": "*", **more}]}
    )


def trusting(principal: str, **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": principal}, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def code_of(call: Callable[[], Any]) -> str:
    """The error's code; empty for success."""
    try:
        call()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def new_user(iam: Any, name: str) -> dict[str, str]:
    iam.create_user(UserName=name)
    return dict(iam.create_access_key(UserName=name)["AccessKey"])


def test_a_role_opens_what_its_policies_say_until_it_is_taken_back(cloud: Cloud) -> None:
    boss = keys_of(cloud, "boss")
    iam, key = client(cloud, "iam", boss), client(cloud, "kms", boss).create_key()["KeyMetadata"]["Arn"]
    client(cloud, "s3", boss).create_bucket(Bucket="of-the-role")
    ann = new_user(iam, "ann")
    iam.create_role(RoleName="ops", AssumeRolePolicyDocument=trusting(f"arn:aws:iam::{ACCOUNT}:user/ann"))
    may = ["kms:Encrypt", "s3:PutObject", "s3:GetObject"]
    iam.put_role_policy(RoleName="ops", PolicyName="p", PolicyDocument=statement("Allow", may))
    sts, arn = client(cloud, "sts", ann), f"arn:aws:iam::{ACCOUNT}:role/ops"

    made = sts.assume_role(RoleArn=arn, RoleSessionName="monday")
    keys = made["Credentials"]
    assert made["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/ops/monday"
    said = client(cloud, "sts", keys).get_caller_identity()
    assert (said["Arn"], said["UserId"]) == (made["AssumedRoleUser"]["Arn"], made["AssumedRoleUser"]["AssumedRoleId"])
    kms, s3 = client(cloud, "kms", keys), client(cloud, "s3", keys)
    assert kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    s3.put_object(Bucket="of-the-role", Key="a", Body=b"a" * 70_000)
    assert s3.get_object(Bucket="of-the-role", Key="a")["Body"].read() == b"a" * 70_000
    for denied in (
        lambda: kms.list_keys(),
        lambda: kms.generate_data_key(KeyId=key, KeySpec="AES_256"),
        lambda: s3.delete_object(Bucket="of-the-role", Key="a"),
        lambda: s3.list_buckets(),
        lambda: client(cloud, "iam", keys).list_users(),
        lambda: client(cloud, "iam", keys).create_access_key(UserName="ann"),
        lambda: client(cloud, "kms", ann).encrypt(KeyId=key, Plaintext=b"x"),
    ):
        assert code_of(denied) in ("AccessDenied", "AccessDeniedException"), denied
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "of-the-role", "Key": "a"})
    with cloud.http(admin=False) as http:
        assert http.get(url).status_code == 200
        assert http.get(url.replace("X-Amz-Security-Token=", "X-Amz-Security-Token=x")).status_code == 400

    iam.delete_role_policy(RoleName="ops", PolicyName="p")
    iam.delete_role(RoleName="ops")
    gone = time.monotonic()
    eventually(
        lambda: code_of(lambda: kms.encrypt(KeyId=key, Plaintext=b"x")) == "UnrecognizedClientException",
        "a session of a role that is gone",
    )
    assert time.monotonic() - gone < REVOKED_WITHIN
    assert code_of(lambda: client(cloud, "sts", keys).get_caller_identity()) == "InvalidClientTokenId"


def configured(cloud: Cloud, folder: Path, text: str, **env: str) -> Callable[[str, str], Any]:
    """Asks with an AWS SDK that finds its credentials as its own configuration says: nothing is handed over."""
    (folder / "config").write_text(text)
    named = {
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
        "AWS_CA_BUNDLE": str(cloud.home / "tls" / "ca.crt"),
        "AWS_ENDPOINT_URL": f"https://127.0.0.1:{cloud.port}",
        "AWS_DEFAULT_REGION": "us-east-1",
        **env,
    }
    kept = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}

    def ask(service: str, call: str) -> Any:
        command = [sys.executable, "-c", ASK, service, call]
        told = subprocess.run(command, env=kept | named, capture_output=True, text=True, timeout=60, check=False)
        assert told.returncode == 0, told.stderr
        return json.loads(told.stdout)

    return ask


ASK = """
import json, sys
import boto3
service, call = sys.argv[1:]
answer = getattr(boto3.client(service), call)()
print(json.dumps({name: each for name, each in answer.items() if name != "ResponseMetadata"}, default=str))
"""


def test_an_sdk_becomes_the_role_of_its_profile(cloud: Cloud, tmp_path: Path) -> None:
    iam = client(cloud, "iam", keys_of(cloud, "boss"))
    pat = new_user(iam, "pat")
    iam.create_role(RoleName="of-profile", AssumeRolePolicyDocument=trusting(f"arn:aws:iam::{ACCOUNT}:user/pat"))
    iam.put_role_policy(RoleName="of-profile", PolicyName="p", PolicyDocument=statement("Allow", "kms:ListKeys"))
    text = f"""
[profile base]
aws_access_key_id = {pat["AccessKeyId"]}
aws_secret_access_key = {pat["SecretAccessKey"]}
[profile ops]
role_arn = arn:aws:iam::{ACCOUNT}:role/of-profile
role_session_name = work
source_profile = base
"""
    ask = configured(cloud, tmp_path, text, AWS_PROFILE="ops")
    assert ask("sts", "get_caller_identity")["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/of-profile/work"
    assert "Keys" in ask("kms", "list_keys")


def test_an_sdk_becomes_a_role_by_the_token_of_its_service_account(cloud: Cloud, tmp_path: Path) -> None:
    with cloud.http() as http:
        accounts = "/api/v1/namespaces/default/serviceaccounts"
        http.post(accounts, json={"metadata": {"name": "robot"}}).raise_for_status()
        body = {"spec": {"audiences": ["sts.amazonaws.com"]}}
        told = http.post(f"{accounts}/robot/token", json=body).raise_for_status().json()
    (tmp_path / "token").write_text(told["status"]["token"])
    provider = {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/aerekos"}
    robot = {"StringEquals": {"aerekos:sub": "system:serviceaccount:default:robot"}}
    trust = {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": provider, "Condition": robot}
    iam = client(cloud, "iam", keys_of(cloud, "boss"))
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName="of-robot", AssumeRolePolicyDocument=document)
    env = {
        "AWS_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/of-robot",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ROLE_SESSION_NAME": "job",
    }
    ask = configured(cloud, tmp_path, "", **env)
    assert ask("sts", "get_caller_identity")["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/of-robot/job"


FORMS = [
    "Action=GetCallerIdentity&Version=2011-06-15",
    "Action=ListUsers",
    "",
    "Action=%41ssumeRole",
    "Action=AssumeRoleWithWebIdentity&Action=ListUsers",
]


def test_forms_that_nobody_signed_do_nothing_else(cloud: Cloud) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    with cloud.http(admin=False) as http:
        for body in FORMS:
            answer = http.post("/", content=body, headers=form)
            assert (answer.status_code, "MissingAuthenticationToken" in answer.text) == (403, True), body
        body = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=me&WebIdentityToken=none"
        answer = http.post("/", content=f"{body}&RoleArn=arn%3Aaws%3Aiam%3A%3A{ACCOUNT}%3Arole%2Fx", headers=form)
        assert (answer.status_code, "InvalidIdentityToken" in answer.text) == (400, True), answer.text


PROGRAM = """
import json, os, time, urllib.request
names = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_CA_BUNDLE",
         "AWS_ENDPOINT_URL", "AWS_REGION")
told = {name: os.environ.get(name) for name in names}
token = open(told["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]).read()
asked = urllib.request.Request(told["AWS_CONTAINER_CREDENTIALS_FULL_URI"], headers={"Authorization": token})
with urllib.request.urlopen(asked, timeout=30) as answer:
    found = json.load(answer)
authority = "BEGIN CERTIFICATE" in open(told["AWS_CA_BUNDLE"]).read()
seen = {"env": told, "token": token, "key": found["AccessKeyId"], "authority": authority}
print("TOLD " + json.dumps(seen), flush=True)
time.sleep(3600)
"""


@pytest.mark.skipif(landlock.abi() < 6 or not seccomp.is_known(), reason="this machine has too few walls")
def test_a_program_with_a_role_finds_its_credentials_where_sdks_look(cloud: Cloud, tmp_path: Path) -> None:
    iam = client(cloud, "iam", keys_of(cloud, "boss"))
    tasks = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ecs-tasks.amazonaws.com"}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [tasks]})
    iam.create_role(RoleName="of-program", AssumeRolePolicyDocument=document)
    iam.put_role_policy(RoleName="of-program", PolicyName="p", PolicyDocument=statement("Allow", "kms:ListKeys"))
    with cloud.http() as http:
        place = "/apis/aerekos.cloud/v1/namespaces/default/services"
        spec = {"command": ["python3", "-c", PROGRAM], "role": "of-program"}
        http.post(place, json={"metadata": {"name": "job"}, "spec": spec}).raise_for_status()
        lines = eventually(
            lambda: [each for each in cloud.do("logs", "job").splitlines() if "TOLD " in each], "it asks"
        )
        told = json.loads(lines[-1].partition("TOLD ")[2])
        assert told["key"].startswith("ASIA") and told["authority"]
        assert told["env"]["AWS_ENDPOINT_URL"].startswith("https://")
        # What the program has, and nothing else, is enough for an SDK.
        (tmp_path / "token").write_text(told["token"])
        env = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": told["env"]["AWS_CONTAINER_CREDENTIALS_FULL_URI"],
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token"),
        }
        ask = configured(cloud, tmp_path, "", **env)
        said = ask("sts", "get_caller_identity")["Arn"]
        assert said == f"arn:aws:sts::{ACCOUNT}:assumed-role/of-program/default.job"
        assert "Keys" in ask("kms", "list_keys")
        http.delete(f"{place}/job").raise_for_status()
        address = told["env"]["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
        eventually(lambda: not cloud.instances().get("job-0"), "it is gone")
        ask_again = {"url": address, "headers": {"authorization": told["token"]}, "trust_env": False}
        eventually(lambda: httpx.get(**ask_again).status_code == 401, "nobody is there to have them")
