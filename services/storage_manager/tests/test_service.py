"""The whole service beside a whole key-manager: real sockets, signatures and keys; only the conductor is memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import pytest
from botocore.exceptions import ClientError

from services.sdk.testing import ServiceHarness, User, serving
from services.storage_manager.kinds import BUCKET, BucketAccess, BucketSpec, Encryption

V4: dict[str, Any] = {"signature_version": "s3v4"}


@pytest.fixture
def keys() -> Iterator[ServiceHarness]:
    with serving("key_manager", secrets={"root-key": bytes(32)}) as house:
        yield house


@pytest.fixture
def house(keys: ServiceHarness) -> Iterator[ServiceHarness]:
    with serving("storage_manager", peer=lambda _: keys.peer_client("storage-manager")) as house:
        yield house


@pytest.fixture
def s3(house: ServiceHarness) -> Any:
    return house.boto3_client("s3", **V4)


def code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def stored(house: ServiceHarness) -> bytes:
    """Everything that lies in the data folder."""
    return b"".join(each.read_bytes() for each in house.context.data.rglob("*") if each.is_file())


def test_what_is_put_comes_back_and_lies_sealed_on_the_disk(
    house: ServiceHarness, keys: ServiceHarness, s3: Any
) -> None:
    s3.create_bucket(Bucket="photos")
    body = b"the words to look for" + os.urandom(200_000)
    s3.put_object(Bucket="photos", Key="a/b c+d", Body=body)
    assert s3.get_object(Bucket="photos", Key="a/b c+d")["Body"].read() == body
    assert body[:21] not in stored(house) and body[100_000:100_064] not in stored(house)
    assert [kind for kind, *_ in keys.resources.items] == ["keyaliases", "keys", "keymaterials"]


def test_a_bucket_without_encryption_needs_no_key(house: ServiceHarness, keys: ServiceHarness, s3: Any) -> None:
    spec = BucketSpec(encryption=Encryption(enabled=False))
    house.run(house.resources.create(BUCKET, BUCKET.new("plain", namespace="default", spec=spec)))
    s3.put_object(Bucket="plain", Key="k", Body=b"the words to look for")
    assert s3.get_object(Bucket="plain", Key="k")["Body"].read() == b"the words to look for"
    assert b"the words to look for" in stored(house) and not keys.resources.items


def test_chunks_are_signed_and_checked(s3: Any) -> None:
    s3.create_bucket(Bucket="box")
    s3.put_object(Bucket="box", Key="k", Body=b"x" * 300_000, ChecksumAlgorithm="SHA256")
    assert s3.head_object(Bucket="box", Key="k")["ContentLength"] == 300_000


def test_presigned_urls_open_and_expire_and_cannot_be_changed(s3: Any) -> None:
    s3.create_bucket(Bucket="box")
    put = s3.generate_presigned_url("put_object", Params={"Bucket": "box", "Key": "k"})
    assert httpx.put(put, content=b"hello").status_code == 200
    get = s3.generate_presigned_url("get_object", Params={"Bucket": "box", "Key": "k"})
    assert httpx.get(get).content == b"hello"
    saved = s3.generate_presigned_url(
        "get_object", Params={"Bucket": "box", "Key": "k", "ResponseContentDisposition": 'attachment; filename="h"'}
    )
    assert httpx.get(saved).headers["content-disposition"] == 'attachment; filename="h"'
    split = s3.generate_presigned_url(
        "get_object", Params={"Bucket": "box", "Key": "k", "ResponseContentType": "a\r\nset-cookie: b"}
    )
    assert "<Code>InvalidArgument</Code>" in httpx.get(split).text
    assert "<Code>SignatureDoesNotMatch</Code>" in httpx.get(get.replace("/box/k", "/box/other")).text
    assert "<Code>AccessDenied</Code>" in httpx.get(get.partition("?")[0]).text


def test_strangers_forgers_and_the_unauthorized_are_refused(house: ServiceHarness, s3: Any) -> None:
    s3.create_bucket(Bucket="box")
    stranger = house.boto3_client("s3", User(access_key="AKIANOBODYNOBODYNOBO"), **V4)
    assert code(stranger.list_buckets) == "InvalidAccessKeyId"
    assert code(house.boto3_client("s3", User(secret="guess"), **V4).list_buckets) == "SignatureDoesNotMatch"
    house.conductor.refuse("admin", "update")
    assert code(s3.put_object, Bucket="box", Key="k", Body=b"x") == "AccessDenied"
    assert code(s3.get_object, Bucket="box", Key="k") == "NoSuchKey"


def test_errors_are_s3s_own(s3: Any) -> None:
    assert code(s3.list_objects_v2, Bucket="nowhere") == "NoSuchBucket"
    assert code(s3.head_bucket, Bucket="nowhere") == "404"
    assert code(s3.create_bucket, Bucket="Loud_Name") == "InvalidBucketName"
    s3.create_bucket(Bucket="box")
    s3.create_bucket(Bucket="box")  # as in us-east-1
    assert code(s3.create_bucket, Bucket="box", ObjectLockEnabledForBucket=True) == "BucketAlreadyOwnedByYou"
    assert s3.get_bucket_location(Bucket="box")["LocationConstraint"] is None
    assert code(s3.put_object, Bucket="box", Key="k" * 1025, Body=b"x") == "KeyTooLongError"
    s3.put_object(Bucket="box", Key="k", Body=b"x")
    assert code(s3.delete_bucket, Bucket="box") == "BucketNotEmpty"


def test_another_namespace_has_its_own_buckets(house: ServiceHarness, s3: Any) -> None:
    s3.create_bucket(Bucket="box")
    team = house.conductor.add(User("eve", namespace="team", access_key="AKIAEVEEVEEVEEVEEVE1"))
    theirs = house.boto3_client("s3", team, **V4)
    assert theirs.list_buckets()["Buckets"] == []
    theirs.create_bucket(Bucket="box")
    theirs.put_object(Bucket="box", Key="k", Body=b"theirs")
    assert code(s3.get_object, Bucket="box", Key="k") == "NoSuchKey"


def test_a_bucket_made_anew_begins_empty(s3: Any) -> None:
    for _ in range(2):
        s3.create_bucket(Bucket="box")
        assert s3.list_objects_v2(Bucket="box")["KeyCount"] == 0
        s3.put_object(Bucket="box", Key="k", Body=b"x")
        s3.delete_object(Bucket="box", Key="k")
        s3.delete_bucket(Bucket="box")
        assert code(s3.list_objects_v2, Bucket="box") == "NoSuchBucket"


def test_so_it_does_when_its_reconciler_must_let_it_go_first(keys: ServiceHarness) -> None:
    peer = keys.peer_client
    with serving("storage_manager", peer=lambda _: peer("storage-manager"), reconciles=True) as house:
        s3 = house.boto3_client("s3", **V4)
        for _ in range(2):
            s3.create_bucket(Bucket="box")
            s3.put_object(Bucket="box", Key="k", Body=b"x")
            s3.delete_object(Bucket="box", Key="k")
            s3.delete_bucket(Bucket="box")
            assert not [name for kind, _, name in house.resources.items if kind == BUCKET.plural]


def test_its_reconciler_tells_the_bucket_s_own_rules(keys: ServiceHarness) -> None:
    with serving("storage_manager", peer=lambda _: keys.peer_client("storage-manager"), reconciles=True) as house:
        s3 = house.boto3_client("s3", **V4)
        s3.create_bucket(Bucket="box")
        deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::box/*"}
        text = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
        s3.put_bucket_policy(Bucket="box", Policy=text)
        s3.delete_public_access_block(Bucket="box")

        async def told() -> BucketAccess | None:
            """After another look, which a change of the resource makes."""
            await house.resources.patch(BUCKET, "box", {"metadata": {"labels": {"looks": "again"}}}, "default")
            with anyio.move_on_after(60):
                while True:
                    access = (await house.resources.get(BUCKET, "box", "default")).status.access
                    if access is not None and access.policy:
                        return access
                    await anyio.sleep(0.02)
            return None

        assert house.run(told()) == BucketAccess(policy=text, restrict_public_buckets=False)


def test_without_keys_it_says_so() -> None:
    def nobody(_: str) -> httpx.AsyncClient:
        def refuse(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("nobody listens", request=request)

        return httpx.AsyncClient(base_url="http://keys", transport=httpx.MockTransport(refuse))

    with serving("storage_manager", peer=nobody) as house:
        s3 = house.boto3_client("s3", **V4)
        s3.create_bucket(Bucket="box")
        assert code(s3.put_object, Bucket="box", Key="k", Body=b"x") == "ServiceUnavailable"
        ready = httpx.get(f"{house.url}/ready").json()
        assert ready["ready"] and "key-manager does not answer" in ready["degraded"]
