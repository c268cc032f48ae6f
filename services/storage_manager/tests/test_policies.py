"""What IAM's policies say of S3 requests, with an unmodified boto3: object by object, also where many are named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.sdk.aws.accounts import account_of
from services.sdk.testing import ServiceHarness, User, serving
from services.storage_manager.tests.test_service import V4

Json = dict[str, Any]
_NUMBERS = count(1)
ACCOUNT = account_of("default")


@pytest.fixture(scope="module")
def house() -> Iterator[ServiceHarness]:
    with (
        serving("key_manager", secrets={"root-key": bytes(32)}) as keys,
        serving("storage_manager", peer=lambda _: keys.peer_client("storage-manager")) as house,
    ):
        s3 = house.boto3_client("s3", **V4)
        for bucket in ("open", "closed"):
            s3.create_bucket(Bucket=bucket)
            for key in ("a", "b", "keep/c"):
                s3.put_object(Bucket=bucket, Key=key, Body=b"x")
        yield house


def allow(actions: str | list[str], *resources: str, effect: str = "Allow", **more: Any) -> Json:
    arns = [f"arn:aws:s3:::{each}" if each != "*" else each for each in resources]
    return {"Effect": effect, "Action": actions, "Resource": arns, **more}


def client(house: ServiceHarness, *statements: Json, role: bool = False) -> Any:
    """Somebody new with these policies; without `role` nothing else is allowed to them."""
    number = next(_NUMBERS)
    user = house.conductor.add(User(f"user-{number}", access_key=f"AKIAPOLICYPOLICY{number:04}"))
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    house.conductor.identities.policies[user.name] = {
        "user": {
            "name": user.name,
            "arn": f"arn:aws:iam::{ACCOUNT}:user/{user.name}",
            "account": ACCOUNT,
            "id": "A",
            "tags": {},
        },
        "identity": [{"name": "p", "document": document}],
        "boundary": None,
    }
    for verb in () if role else ("get", "list", "create", "update", "delete"):
        house.conductor.refuse(user.name, verb)
    return house.boto3_client("s3", user, **V4)


def refused(call: Any, **request: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**request)
    assert error.value.response["Error"]["Code"] in ("AccessDenied", "403"), error.value
    return str(error.value.response["Error"]["Message"])


def test_an_allow_opens_the_objects_it_names(house: ServiceHarness) -> None:
    s3 = client(house, allow(["s3:GetObject", "s3:PutObject"], "open/*"))
    assert s3.get_object(Bucket="open", Key="a")["Body"].read() == b"x"
    s3.put_object(Bucket="open", Key="new", Body=b"y")
    refused(s3.get_object, Bucket="closed", Key="a")
    refused(s3.delete_object, Bucket="open", Key="a")
    refused(s3.list_objects_v2, Bucket="open")
    refused(s3.list_buckets)
    refused(s3.head_object, Bucket="closed", Key="a")


def test_lists_are_opened_by_prefix(house: ServiceHarness) -> None:
    condition = {"StringLike": {"s3:prefix": "keep/*"}}
    s3 = client(house, allow("s3:ListBucket", "open", Condition=condition), allow("s3:ListAllMyBuckets", "*"))
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="open", Prefix="keep/")["Contents"]] == ["keep/c"]
    refused(s3.list_objects_v2, Bucket="open", Prefix="")
    refused(s3.list_objects_v2, Bucket="closed", Prefix="keep/")
    assert {each["Name"] for each in s3.list_buckets()["Buckets"]} >= {"open", "closed"}


def test_buckets_are_made_and_removed_by_policy(house: ServiceHarness) -> None:
    s3 = client(house, allow(["s3:CreateBucket", "s3:DeleteBucket"], "mine-*"))
    s3.create_bucket(Bucket="mine-1")
    refused(s3.create_bucket, Bucket="yours-1")
    refused(s3.delete_bucket, Bucket="open")


def test_a_deny_wins_over_the_role(house: ServiceHarness) -> None:
    s3 = client(house, allow("s3:GetObject", "closed/a", effect="Deny"), role=True)
    assert s3.get_object(Bucket="closed", Key="b")["Body"].read() == b"x"
    refused(s3.get_object, Bucket="closed", Key="a")
    refused(s3.copy_object, Bucket="open", Key="stolen", CopySource="closed/a")
    upload = s3.create_multipart_upload(Bucket="open", Key="stolen")["UploadId"]
    refused(s3.upload_part_copy, Bucket="open", Key="stolen", UploadId=upload, PartNumber=1, CopySource="closed/a")


def test_a_copy_needs_both_sides(house: ServiceHarness) -> None:
    half = client(house, allow("s3:PutObject", "open/*"))
    refused(half.copy_object, Bucket="open", Key="copy", CopySource="closed/a")
    both = client(house, allow("s3:PutObject", "open/*"), allow("s3:GetObject", "closed/a"))
    both.copy_object(Bucket="open", Key="copy", CopySource="closed/a")
    refused(both.copy_object, Bucket="open", Key="copy", CopySource="closed/b")


def test_of_many_each_is_judged(house: ServiceHarness) -> None:
    admin = house.boto3_client("s3", **V4)
    for key in ("many/1", "many/keep/2"):
        admin.put_object(Bucket="open", Key=key, Body=b"x")
    wanted = {"Objects": [{"Key": "many/1"}, {"Key": "many/keep/2"}]}
    keeping = allow("s3:DeleteObject", "open/many/keep/*", effect="Deny")
    for s3 in (client(house, keeping, role=True), client(house, keeping, allow("s3:DeleteObject", "open/*"))):
        admin.put_object(Bucket="open", Key="many/1", Body=b"x")
        said = s3.delete_objects(Bucket="open", Delete=wanted)
        assert [each["Key"] for each in said["Deleted"]] == ["many/1"]
        assert [(each["Key"], each["Code"]) for each in said["Errors"]] == [("many/keep/2", "AccessDenied")]
    said = client(house, allow("s3:DeleteObject", "closed/*")).delete_objects(Bucket="open", Delete=wanted)
    assert [each["Code"] for each in said["Errors"]] == ["AccessDenied"] * 2
    assert admin.get_object(Bucket="open", Key="many/keep/2")["Body"].read() == b"x"
