"""Buckets that are shared, with everybody, another account or a page of another origin: what stays closed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import pytest

from services.sdk.aws.accounts import account_of
from services.sdk.testing import ServiceHarness, User, serving
from services.storage_manager.tests.test_bucket_configuration import allow
from services.storage_manager.tests.test_service import V4, code

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def keys() -> Iterator[ServiceHarness]:
    with serving("key_manager", secrets={"root-key": bytes(32)}) as keys:
        yield keys


@pytest.fixture(scope="module")
def house(keys: ServiceHarness) -> Iterator[ServiceHarness]:
    with (
        serving("storage_manager", peer=lambda _: keys.peer_client("storage-manager")) as house,
    ):
        yield house


@pytest.fixture(scope="module")
def s3(house: ServiceHarness) -> Any:
    return house.boto3_client("s3", **V4)


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"shared-{next(_NUMBERS)}"
    s3.create_bucket(Bucket=name)
    return name


def test_nobody_gets_what_nobody_opened_and_nothing_else(
    house: ServiceHarness, keys: ServiceHarness, s3: Any, bucket: str
) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    url = f"{house.url}/{bucket}"

    def refused(method: str, path: str = "/k") -> bool:
        answer = httpx.request(method, url + path)
        return answer.status_code == 403

    assert all(refused(method) for method in ("GET", "HEAD", "PUT", "DELETE"))
    for path in ("", "?acl", "?policy", "?versions", "?uploads", "/k?acl", "/absent"):
        assert refused("GET", path), path
    assert httpx.get(house.url).status_code == 403 == httpx.put(f"{house.url}/made-by-nobody").status_code
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(allow(bucket, "*", "s3:GetObject")))
    assert httpx.get(f"{url}/k").content == b"x"
    assert all(refused(method) for method in ("PUT", "DELETE"))
    assert refused("GET", "") and refused("GET", "/absent") and refused("GET", "?policy")
    key = keys.boto3_client("kms").create_key()["KeyMetadata"]["KeyId"]
    s3.put_object(Bucket=bucket, Key="sealed", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    assert refused("GET", "/sealed")
    assert s3.get_object(Bucket=bucket, Key="sealed")["Body"].read() == b"x"
    block = {"RestrictPublicBuckets": True}
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)
    assert refused("GET")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_pages_of_the_origins_that_are_named_may_read(house: ServiceHarness, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    link = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    page = {"origin": "https://shop.example"}
    assert "access-control-allow-origin" not in httpx.get(link, headers=page).headers
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["https://shop.example"], "ExposeHeaders": ["etag"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    told = httpx.get(link, headers=page)
    assert told.headers["access-control-allow-origin"] == "https://shop.example"
    assert told.headers["access-control-expose-headers"] == "etag" and told.content == b"x"
    other = httpx.get(link, headers={"origin": "https://other.example"})
    assert other.status_code == 200 and "access-control-allow-origin" not in other.headers
    with house.http() as by_session:
        assert "access-control-allow-origin" not in by_session.get(f"/{bucket}/k", headers=page).headers


def test_who_may_not_list_does_not_learn_which_keys_there_are(house: ServiceHarness, s3: Any, bucket: str) -> None:
    reader = house.conductor.add(User("reader", access_key="AKIAREADERREADERREAD"))
    house.conductor.refuse("reader", "list")
    theirs = house.boto3_client("s3", reader, **V4)
    assert code(s3.get_object, Bucket=bucket, Key="absent") == "NoSuchKey"
    assert code(theirs.get_object, Bucket=bucket, Key="absent") == "AccessDenied"
    assert code(theirs.head_object, Bucket=bucket, Key="absent") == "403"
    public = allow(bucket, "*", "s3:ListBucket", Condition={"StringLike": {"s3:prefix": "public/*"}})
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(public))
    assert httpx.get(f"{house.url}/{bucket}/public/absent").status_code == 404
    assert httpx.get(f"{house.url}/{bucket}/private/absent").status_code == 403


def test_another_account_needs_the_policy_of_the_bucket(house: ServiceHarness, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    team = house.conductor.add(User("ann", namespace="other-team", access_key="AKIAANNANNANNANNANNA"))
    theirs = house.boto3_client("s3", team, **V4)
    assert code(theirs.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    assert code(theirs.list_objects_v2, Bucket=bucket) == "AccessDenied"
    owner = {"AWS": f"arn:aws:iam::{account_of('other-team')}:root"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(allow(bucket, owner, "s3:GetObject", "s3:ListBucket")))
    assert theirs.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    assert [each["Key"] for each in theirs.list_objects_v2(Bucket=bucket)["Contents"]] == ["k"]
    assert code(theirs.put_object, Bucket=bucket, Key="k", Body=b"y") == "AccessDenied"
    assert code(theirs.delete_bucket, Bucket=bucket) == "AccessDenied"
    powerless = house.conductor.add(User("ben", namespace="other-team", access_key="AKIABENBENBENBENBENB"))
    house.conductor.refuse("ben", "get")
    assert code(house.boto3_client("s3", powerless, **V4).get_object, Bucket=bucket, Key="k") == "AccessDenied"
