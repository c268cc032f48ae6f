"""boto3 over a real loopback socket, with fakes for identity, bucket resources and key-manager."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import Any

import boto3
import pytest
import uvicorn
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from services.storage_manager.app import S3
from services.storage_manager.blobs import Blobs
from services.storage_manager.book import Metadata
from services.storage_manager.faults import S3Fault
from services.storage_manager.house import House
from services.storage_manager.keys import Keys
from services.storage_manager.ports import Caller, Place, Scope, Verb


class Fakes:
    def __init__(self) -> None:
        self.places: dict[str, Place] = {}

    async def admit(self, scope: Scope) -> Caller:
        return Caller("tester", "default")

    async def all(self, caller: Caller) -> list[Place]:
        return list(self.places.values())

    async def find(self, caller: Caller, name: str, verb: Verb) -> Place:
        if name not in self.places:
            raise S3Fault("NoSuchBucket")
        return self.places[name]

    async def create(self, caller: Caller, name: str) -> None:
        self.places[name] = Place(f"default/{name}", name, f"arn:aws:s3:::{name}", 0.0)

    async def delete(self, caller: Caller, name: str) -> None:
        del self.places[name]

    async def generate(self, place: Place) -> tuple[bytes, bytes]:
        return b"k" * 32, b"wrapped"

    async def decrypt(self, place: Place, wrapped: bytes) -> bytes:
        return b"k" * 32


class Announcing(uvicorn.Server):
    up: threading.Event

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.up.set()


@pytest.fixture
def s3(tmp_path: Path) -> Any:
    fakes, book = Fakes(), Metadata(tmp_path / "m.db")
    house = House(fakes, book, Blobs(tmp_path / "blobs"), Keys(book, fakes))
    server = Announcing(uvicorn.Config(S3(house, fakes), port=0, log_level="warning", lifespan="off"))
    server.up = threading.Event()
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert server.up.wait(10)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )
    server.should_exit = True
    thread.join(10)


def test_an_object_lives_and_dies(s3: Any, tmp_path: Path) -> None:
    s3.create_bucket(Bucket="photos")
    s3.put_object(Bucket="photos", Key="a/b c", Body=b"find me on disk", Metadata={"who": "me"}, ContentType="text/x")
    got = s3.get_object(Bucket="photos", Key="a/b c", Range="bytes=5-6")
    assert got["Body"].read() == b"me"
    assert got["Metadata"] == {"who": "me"}
    assert got["ServerSideEncryption"] == "aws:kms"
    assert not any(b"find me" in f.read_bytes() for f in tmp_path.rglob("*") if f.is_file())
    s3.copy_object(Bucket="photos", Key="copy", CopySource={"Bucket": "photos", "Key": "a/b c"})
    listed = s3.list_objects_v2(Bucket="photos", Delimiter="/")
    assert [o["Key"] for o in listed["Contents"]] == ["copy"]
    assert [p["Prefix"] for p in listed["CommonPrefixes"]] == ["a/"]
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        s3.delete_bucket(Bucket="photos")
    s3.delete_objects(Bucket="photos", Delete={"Objects": [{"Key": "copy"}, {"Key": "a/b c"}]})
    s3.delete_bucket(Bucket="photos")
    assert s3.list_buckets()["Buckets"] == []


def test_multipart_up_and_parallel_ranges_down(s3: Any) -> None:
    body, config = (
        os.urandom(20 << 20),
        TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20),
    )
    s3.create_bucket(Bucket="big")
    s3.upload_fileobj(io.BytesIO(body), "big", "one", Config=config)
    assert s3.head_object(Bucket="big", Key="one")["ETag"].endswith('-4"')
    down = io.BytesIO()
    s3.download_fileobj("big", "one", down, Config=config)
    assert down.getvalue() == body


def test_what_we_do_not_speak_says_so(s3: Any) -> None:
    s3.create_bucket(Bucket="plain")
    with pytest.raises(ClientError, match="NotImplemented"):
        s3.get_bucket_acl(Bucket="plain")
    with pytest.raises(ClientError, match="BadDigest"):
        s3.put_object(Bucket="plain", Key="k", Body=b"x", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")
