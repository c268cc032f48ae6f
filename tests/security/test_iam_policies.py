"""IAM's policies on a real cloud: they open what no role opens, close what roles open, and end in two seconds."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from clouds import Cloud, a_port, eventually

REVOKED_WITHIN = 2.0


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path_factory.mktemp("iam") / "home", a_port())
    said = cloud.command("up", "--timeout", "300", timeout=330)
    assert said.code == 0, said
    try:
        with cloud.http() as http:
            spec = {"roles": ["admin"]}
            http.post("/apis/aerekos.cloud/v1/users", json={"metadata": {"name": "boss"}, "spec": spec})
            spec = {"roles": ["editor"]}
            http.post("/apis/aerekos.cloud/v1/users", json={"metadata": {"name": "ed"}, "spec": spec})
        yield cloud
    finally:
        cloud.command("down")
        shutil.rmtree(cloud.home, ignore_errors=True)


def client(cloud: Cloud, service: str, key: str, secret: str) -> Any:
    return cloud.boto3(service, key, secret, retries={"total_max_attempts": 6, "mode": "standard"})


def of_user(cloud: Cloud, service: str, name: str) -> Any:
    with cloud.http() as http:
        key = http.get("/auth/access-key", headers={"impersonate-user": name}).json()
    return client(cloud, service, key["accessKeyId"], key["secretAccessKey"])


def policy(effect: str, action: str, resource: str = "*") -> str:
    statement = {"Effect": effect, "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def refused(call: Callable[[], Any]) -> str:
    """The message of a refusal; empty for success."""
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"), error
        return str(error.response["Error"]["Message"])
    return ""


def test_a_user_of_iam_may_what_policies_say_and_no_more(cloud: Cloud) -> None:
    iam = of_user(cloud, "iam", "boss")
    iam.create_user(UserName="ann")
    pair = iam.create_access_key(UserName="ann")["AccessKey"]
    kms = client(cloud, "kms", pair["AccessKeyId"], pair["SecretAccessKey"])
    key, other = (of_user(cloud, "kms", "boss").create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    eventually(lambda: bool(refused(lambda: kms.encrypt(KeyId=key, Plaintext=b"x"))), "nothing without a policy")
    iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=policy("Allow", "kms:Encrypt", key))
    eventually(lambda: not refused(lambda: kms.encrypt(KeyId=key, Plaintext=b"x")), "the policy counts")
    for call in (
        lambda: kms.encrypt(KeyId=other, Plaintext=b"x"),
        lambda: kms.generate_data_key(KeyId=key, KeySpec="AES_256"),
        kms.list_keys,
        lambda: client(cloud, "iam", pair["AccessKeyId"], pair["SecretAccessKey"]).create_access_key(UserName="boss"),
    ):
        assert refused(call), call
    iam.delete_user_policy(UserName="ann", PolicyName="p")
    gone = time.monotonic()
    eventually(lambda: bool(refused(lambda: kms.encrypt(KeyId=key, Plaintext=b"x"))), "the policy counts no more")
    assert time.monotonic() - gone < REVOKED_WITHIN
    said = client(cloud, "sts", pair["AccessKeyId"], pair["SecretAccessKey"]).get_caller_identity()
    assert said["Arn"] == "arn:aws:iam::000000000000:user/ann"
    assert said["UserId"] == iam.get_user(UserName="ann")["User"]["UserId"]


def test_a_deny_takes_from_an_editor_what_the_role_gives(cloud: Cloud) -> None:
    iam, kms = of_user(cloud, "iam", "boss"), of_user(cloud, "kms", "ed")
    assert not refused(kms.list_keys)
    iam.put_user_policy(UserName="ed", PolicyName="no", PolicyDocument=policy("Deny", "kms:ListKeys"))
    eventually(lambda: "explicit deny" in refused(kms.list_keys), "the Deny counts")
    iam.delete_user_policy(UserName="ed", PolicyName="no")
    eventually(lambda: not refused(kms.list_keys), "the role counts again")


def test_an_administrator_by_policy_is_none_of_the_cloud(cloud: Cloud) -> None:
    """They write what IAM is about, through iam-manager; keys for people of the cloud they do not get."""
    boss = of_user(cloud, "iam", "boss")
    boss.create_user(UserName="chief")
    boss.attach_user_policy(UserName="chief", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    pair = boss.create_access_key(UserName="chief")["AccessKey"]
    iam = client(cloud, "iam", pair["AccessKeyId"], pair["SecretAccessKey"])
    eventually(lambda: not refused(lambda: iam.list_users()), "the policy counts")
    assert iam.create_user(UserName="dora")["User"]["UserName"] == "dora"
    iam.put_user_policy(UserName="dora", PolicyName="p", PolicyDocument=policy("Allow", "s3:*"))
    for name in ("boss", "dora"):
        assert refused(lambda name=name: iam.create_access_key(UserName=name)), name
    iam.delete_user_policy(UserName="dora", PolicyName="p")
    iam.delete_user(UserName="dora")


def test_a_refusal_says_why_to_whom_it_met_and_to_nobody_else(cloud: Cloud) -> None:
    """By the request id an SDK shows: S3, KMS and IAM alike, with the statement that decided."""
    boss = of_user(cloud, "iam", "boss")
    boss.create_user(UserName="nora")
    of_user(cloud, "s3", "boss").create_bucket(Bucket="closed")
    pair = boss.create_access_key(UserName="nora")["AccessKey"]
    denied = {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "Closed", "Effect": "Deny", "Action": "*", "Resource": "*"}],
    }
    boss.put_user_policy(UserName="nora", PolicyName="shut", PolicyDocument=json.dumps(denied))
    kms, s3, iam = (
        client(cloud, each, pair["AccessKeyId"], pair["SecretAccessKey"]) for each in ("kms", "s3", "iam")
    )
    for action, call in {
        "kms:ListKeys": kms.list_keys,
        "iam:ListUsers": iam.list_users,
        "s3:GetObject": lambda: s3.get_object(Bucket="closed", Key="x"),
    }.items():
        eventually(lambda call=call: "explicit deny" in refused(call), "the Deny counts")
        with pytest.raises(ClientError) as caught:
            call()
        id = caught.value.response["ResponseMetadata"]["RequestId"]
        (found,) = eventually(lambda id=id: denials(cloud, "nora", id), f"{action} is told to whom it met")
        assert (found["principal"], found["action"]) == ("nora", action)
        statement = {
            "source": "identity-based policy",
            "policy": "shut",
            "index": 0,
            "effect": "Deny",
            "sid": "Closed",
        }
        assert found["policies"]["statement"] == statement == found["now"]["policies"]["statement"]
        assert not found["now"]["allowed"] and not found["now"]["roles"]["allowed"]
        assert denials(cloud, "ed", id) == [] and len(denials(cloud, "", id)) == 1
        said = cloud.command("why", id)
        assert said.code == 0 and 'statement 0 "Closed" of the policy shut' in said.out, said
        assert pair["SecretAccessKey"] not in json.dumps(found)
    said = cloud.command("can-i", "kms:ListKeys", "--as", "nora")
    assert said.code == 1 and "Closed" in said.out, said


def denials(cloud: Cloud, who: str, request_id: str) -> list[Any]:
    """What the cloud tells that user (nobody: its admin) of a refused request; nothing where it knows of none."""
    path = "/apis/authorization.aerekos.cloud/v1/denialreviews"
    with cloud.http() as http:
        answer = http.post(
            path, json={"spec": {"requestId": request_id}}, headers={"impersonate-user": who} if who else {}
        )
    assert answer.status_code in (201, 404), answer.text
    return list(answer.json()["status"]["denials"]) if answer.status_code == 201 else []
