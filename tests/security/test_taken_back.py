"""What lets somebody in at the AWS door, on a real cloud: two seconds after it is taken back they are refused."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from clouds import Cloud
from security.test_iam_policies import client, cloud, of_user, policy  # noqa: F401 (a fixture)

from services.sdk.aws.accounts import account_of

pytestmark = pytest.mark.long
WITHIN_SECONDS = 2.0
OPENS = policy("Allow", "kms:Encrypt")
ACCOUNT = account_of("default")
Do = Callable[[], Any]


@dataclass
class Room:
    """`name`: of the user who is let in and thrown out again, with an access key `pair`; `key`: what they use."""

    cloud: Cloud
    iam: Any
    kms: Any
    name: str
    pair: dict[str, str]
    key: str

    def role(self) -> dict[str, str]:
        """Credentials of a role of the same name."""
        trusts = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": self.arn("user")}}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trusts]})
        self.iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=document)
        self.iam.put_role_policy(RoleName=self.name, PolicyName="p", PolicyDocument=OPENS)
        sts = self.cloud.boto3("sts", self.pair["AccessKeyId"], self.pair["SecretAccessKey"])
        return dict(sts.assume_role(RoleArn=self.arn("role"), RoleSessionName="monday")["Credentials"])

    def arn(self, kind: str) -> str:
        return f"arn:aws:iam::{ACCOUNT}:{kind}/{self.name}"

    def open(self) -> None:
        self.iam.put_user_policy(UserName=self.name, PolicyName="p", PolicyDocument=OPENS)


def an_inline_policy(room: Room) -> Do:
    room.open()
    return lambda: room.iam.delete_user_policy(UserName=room.name, PolicyName="p")


def an_attached_policy(room: Room) -> Do:
    arn = room.iam.create_policy(PolicyName=room.name, PolicyDocument=OPENS)["Policy"]["Arn"]
    room.iam.attach_user_policy(UserName=room.name, PolicyArn=arn)
    return lambda: room.iam.detach_user_policy(UserName=room.name, PolicyArn=arn)


def a_version_of_a_policy(room: Room) -> Do:
    arn = room.iam.create_policy(PolicyName=room.name, PolicyDocument=OPENS)["Policy"]["Arn"]
    room.iam.attach_user_policy(UserName=room.name, PolicyArn=arn)
    other = policy("Allow", "kms:ListKeys")
    return lambda: room.iam.create_policy_version(PolicyArn=arn, PolicyDocument=other, SetAsDefault=True)


def a_group(room: Room) -> Do:
    room.iam.create_group(GroupName=room.name)
    room.iam.put_group_policy(GroupName=room.name, PolicyName="p", PolicyDocument=OPENS)
    room.iam.add_user_to_group(GroupName=room.name, UserName=room.name)
    return lambda: room.iam.remove_user_from_group(GroupName=room.name, UserName=room.name)


def a_boundary(room: Room) -> Do:
    room.open()
    arn = room.iam.create_policy(PolicyName=room.name, PolicyDocument=policy("Allow", "s3:*"))["Policy"]["Arn"]
    return lambda: room.iam.put_user_permissions_boundary(UserName=room.name, PermissionsBoundary=arn)


def a_key_that_is_switched_off(room: Room) -> Do:
    room.open()
    key = room.pair["AccessKeyId"]
    return lambda: room.iam.update_access_key(UserName=room.name, AccessKeyId=key, Status="Inactive")


def a_key_that_is_deleted(room: Room) -> Do:
    room.open()
    return lambda: room.iam.delete_access_key(UserName=room.name, AccessKeyId=room.pair["AccessKeyId"])


def a_user(room: Room) -> Do:
    room.open()
    return lambda: room.cloud.look("user", "disable", room.name)


def a_grant(room: Room) -> Do:
    who = room.arn("user")
    made = room.kms.create_grant(KeyId=room.key, GranteePrincipal=who, Operations=["Encrypt"])
    return lambda: room.kms.revoke_grant(KeyId=room.key, GrantId=made["GrantId"])


def a_key_policy(room: Room) -> Do:
    before = room.kms.get_key_policy(KeyId=room.key, PolicyName="default")["Policy"]
    named = {"Effect": "Allow", "Principal": {"AWS": room.arn("user")}, "Action": "kms:Encrypt", "Resource": "*"}
    after = json.loads(before)
    after["Statement"].append(named)
    room.kms.put_key_policy(KeyId=room.key, PolicyName="default", Policy=json.dumps(after))
    return lambda: room.kms.put_key_policy(KeyId=room.key, PolicyName="default", Policy=before)


def a_policy_of_a_role(room: Room) -> Do:
    room.pair = room.role()
    return lambda: room.iam.delete_role_policy(RoleName=room.name, PolicyName="p")


def a_session(room: Room) -> Do:
    room.pair = room.role()

    def end() -> None:
        with room.cloud.http() as http:
            http.delete(f"/auth/sts/credentials/{room.pair['AccessKeyId']}").raise_for_status()

    return end


WAYS = (
    an_inline_policy,
    an_attached_policy,
    a_version_of_a_policy,
    a_group,
    a_boundary,
    a_key_that_is_switched_off,
    a_key_that_is_deleted,
    a_user,
    a_grant,
    a_key_policy,
    a_policy_of_a_role,
    a_session,
)


def seconds_until(kms: Any, key: str, lets: bool) -> float:
    """Until that is the answer; asked all the time, without a second try."""
    began, refusals = time.monotonic(), (kms.exceptions.ClientError,)
    while time.monotonic() - began < 60:
        asked = time.monotonic()
        try:
            kms.encrypt(KeyId=key, Plaintext=b"x")
            let = True
        except refusals as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403), error
            let = False
        if let is lets:
            return asked - began
    raise AssertionError(f"never {'let in' if lets else 'refused'}")


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_what_is_taken_back_is_gone_in_two_seconds(
    cloud: Cloud,  # noqa: F811
    way: Callable[[Room], Do],
    record_property: Callable[[str, object], None],
) -> None:
    iam, kms = of_user(cloud, "iam", "boss"), of_user(cloud, "kms", "boss")
    name = way.__name__.replace("_", "-")
    iam.create_user(UserName=name)
    pair = iam.create_access_key(UserName=name)["AccessKey"]
    room = Room(cloud, iam, kms, name, pair, kms.create_key()["KeyMetadata"]["Arn"])
    take_back = way(room)
    token = room.pair.get("SessionToken")
    theirs = cloud.boto3(
        "kms", room.pair["AccessKeyId"], room.pair["SecretAccessKey"], token, retries={"total_max_attempts": 1}
    )
    seconds_until(theirs, room.key, lets=True)
    take_back()
    took = seconds_until(theirs, room.key, lets=False)
    record_property("seconds", round(took, 2))
    print(f"{name}: {took:.2f} s")
    assert took < WITHIN_SECONDS
