"""A second copy of all objects in a real cloud: writes wait for it, and it is read from while the first is away."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from clouds import Cloud, eventually

REPLICA = {
    "apiVersion": "aerekos.cloud/v1",
    "kind": "Service",
    "metadata": {"name": "storage-replica"},
    "spec": {"managed": "storage_replica"},
}
LARGE = os.urandom(3 << 20)


@pytest.fixture(scope="module")
def s3(cloud: Cloud) -> Any:
    told = cloud.aws_env()
    keys = told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"]
    client = cloud.boto3("s3", *keys, retries={"max_attempts": 0}, s3={"addressing_style": "path"})
    client.create_bucket(Bucket="box")
    client.put_object(Bucket="box", Key="before", Body=LARGE)
    cloud.do("apply", "-f", "-", text=json.dumps(REPLICA))
    eventually(lambda: replicated(cloud) == "True", "two copies")
    return client


def replicated(cloud: Cloud) -> str:
    """What the Bucket says of its copies."""
    conditions = cloud.get("buckets", "box").get("status", {}).get("conditions", [])
    return next((str(each["status"]) for each in conditions if each["type"] == "Replicated"), "")


def enable(cloud: Cloud, wanted: bool) -> None:
    with cloud.http() as http:
        patch = {"spec": {"enabled": wanted}}
        answer = http.patch(
            "/apis/aerekos.cloud/v1/namespaces/default/services/storage-manager",
            content=json.dumps(patch),
            headers={"content-type": "application/merge-patch+json"},
        )
        assert answer.status_code == 200, answer.text


def body_of(s3: Any, key: str) -> bytes:
    return bytes(s3.get_object(Bucket="box", Key=key)["Body"].read())


def test_reads_go_on_while_the_first_copy_is_away(cloud: Cloud, s3: Any) -> None:
    written = {f"key-{number}": os.urandom(4096) for number in range(50)}
    for key, body in written.items():
        s3.put_object(Bucket="box", Key=key, Body=body)
    pid = cloud.instances()["storage-manager-0"]
    os.kill(pid, signal.SIGKILL)
    enable(cloud, False)
    began = time.monotonic()
    eventually(lambda: reads(s3, "before"), "a read")
    assert time.monotonic() - began < 10
    assert body_of(s3, "before") == LARGE
    assert {key: body_of(s3, key) for key in written} == written
    assert s3.list_objects_v2(Bucket="box")["KeyCount"] == 51
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket="box", Key="one", Body=b"x")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    enable(cloud, True)
    eventually(lambda: writes(s3), "a write")
    eventually(lambda: replicated(cloud) == "True", "two copies again")
    assert body_of(s3, "one") == b"after"


def reads(s3: Any, key: str) -> bool:
    try:
        return bool(s3.head_object(Bucket="box", Key=key))
    except ClientError:
        return False


def writes(s3: Any) -> bool:
    try:
        return bool(s3.put_object(Bucket="box", Key="one", Body=b"after"))
    except ClientError:
        return False


def test_nobody_but_the_replica_is_let_in(cloud: Cloud) -> None:
    with cloud.http() as admin:
        answer = admin.post("/services/storage-manager/_replication/begin", json={"follower": "me"})
        assert answer.status_code == 401 and "only storage-replica itself" in answer.text
