"""boto3 over a real loopback socket, with fakes for identity, bucket resources and key-manager."""

from __future__ import annotations

import base64
import io
import os
import sqlite3
import threading
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
import uvicorn
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from services.sdk.aws.sigv4 import RawRequest
from services.storage_manager import segments
from services.storage_manager.blobs import Blobs, Writer
from services.storage_manager.context import S3Context
from services.storage_manager.data_keys import DataKeys
from services.storage_manager.errors import S3Error, is_disk_full
from services.storage_manager.interfaces import BucketRef, Caller, Scope, Verb
from services.storage_manager.metadata import MetadataIndex
from services.storage_manager.s3_app import S3App


class Fakes:
    def __init__(self) -> None:
        self.places: dict[str, BucketRef] = {}

    async def authenticate(self, scope: Scope, request: RawRequest) -> Caller:
        return Caller("tester", "default")

    async def all(self, caller: Caller) -> list[BucketRef]:
        return list(self.places.values())

    def namespaces(self) -> set[str]:
        return {"default"}

    async def has_role(self, caller: Caller, verb: Verb, name: str) -> bool:
        return True

    async def locate(self, caller: Caller, name: str) -> BucketRef:
        if name not in self.places:
            raise S3Error("NoSuchBucket")
        return self.places[name]

    async def create(self, caller: Caller, name: str) -> BucketRef:
        self.places[name] = BucketRef(f"default/{name}", name, f"arn:aws:s3:::{name}", 0.0)
        return self.places[name]

    async def delete(self, caller: Caller, ref: BucketRef) -> None:
        del self.places[ref.name]

    async def set_encryption(self, ref: BucketRef, encryption: dict[str, Any]) -> None:
        self.places[ref.name] = replace(ref, key=encryption["key"], encrypted=encryption["enabled"])

    async def report_count(self, ref: BucketRef, objects: int) -> None:
        self.places[ref.name] = replace(ref, objects=objects)

    async def generate(self, ref: BucketRef) -> tuple[bytes, bytes, str]:
        return b"k" * 32, b"wrapped", "arn"

    async def rewrap(self, ref: BucketRef, wrapped: bytes, arn: str) -> bytes:
        return wrapped

    async def decrypt(self, ref: BucketRef, wrapped: bytes) -> bytes:
        return b"k" * 32


class Announcing(uvicorn.Server):
    up: threading.Event

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.up.set()


@pytest.fixture
def s3(tmp_path: Path) -> Any:
    fakes, metadata = Fakes(), MetadataIndex(tmp_path / "m.db")
    context = S3Context(fakes, metadata, Blobs(tmp_path / "blobs"), DataKeys(metadata, fakes))
    server = Announcing(uvicorn.Config(S3App(context, fakes), port=0, log_level="warning", lifespan="off"))
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
    assert got["ServerSideEncryption"] == "AES256"
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
        s3.get_object_torrent(Bucket="plain", Key="k")
    with pytest.raises(ClientError, match="BadDigest"):
        s3.put_object(Bucket="plain", Key="k", Body=b"x", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")


def code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def parts_up(s3: Any, key: str, bodies: list[bytes], **create: Any) -> tuple[str, list[dict[str, Any]]]:
    """An upload with these parts: (its id, what CompleteMultipartUpload wants to hear)."""
    id = s3.create_multipart_upload(Bucket="box", Key=key, **create)["UploadId"]
    named = {"ChecksumAlgorithm": create["ChecksumAlgorithm"]} if "ChecksumAlgorithm" in create else {}
    parts = []
    for number, body in enumerate(bodies, 1):
        made = s3.upload_part(Bucket="box", Key=key, UploadId=id, PartNumber=number, Body=body, **named)
        sums = {name: made[name] for name in made if name.startswith("Checksum") and name != "ChecksumType"}
        parts.append({"PartNumber": number, "ETag": made["ETag"], **sums})
    return id, parts


@pytest.mark.parametrize("kind", ["COMPOSITE", "FULL_OBJECT"])
def test_the_checksum_of_a_multipart_object(s3: Any, kind: str) -> None:
    s3.create_bucket(Bucket="box")
    bodies = [b"x" * (5 << 20), b"tail"]
    id, parts = parts_up(s3, "k", bodies, ChecksumAlgorithm="CRC32", ChecksumType=kind)
    answer = s3.complete_multipart_upload(Bucket="box", Key="k", UploadId=id, MultipartUpload={"Parts": parts})
    whole = base64.b64encode(zlib.crc32(b"".join(bodies)).to_bytes(4, "big")).decode()
    seen = s3.head_object(Bucket="box", Key="k", ChecksumMode="ENABLED")
    assert seen["ChecksumCRC32"] == answer["ChecksumCRC32"] and seen["ChecksumType"] == kind
    assert (seen["ChecksumCRC32"] == whole) == (kind == "FULL_OBJECT")
    assert s3.get_object(Bucket="box", Key="k", ChecksumMode="ENABLED")["Body"].read() == b"".join(bodies)


def test_a_wrong_checksum_is_refused_whatever_its_kind(s3: Any) -> None:
    s3.create_bucket(Bucket="box")
    for name, size in (("CRC32", 4), ("CRC32C", 4), ("CRC64NVME", 8), ("SHA1", 20), ("SHA256", 32)):
        wrong = {f"Checksum{name}": base64.b64encode(bytes(size)).decode()}
        assert code(s3.put_object, Bucket="box", Key="k", Body=b"x", **wrong) == "BadDigest"
    assert code(s3.put_object, Bucket="box", Key="k", Body=b"x", ContentMD5="no") == "InvalidDigest"
    assert code(s3.get_object, Bucket="box", Key="k") == "NoSuchKey"


def test_one_part_of_those_it_was_uploaded_in(s3: Any) -> None:
    s3.create_bucket(Bucket="box")
    id, parts = parts_up(s3, "k", [b"x" * (5 << 20), b"tail"])
    s3.complete_multipart_upload(Bucket="box", Key="k", UploadId=id, MultipartUpload={"Parts": parts})
    second = s3.get_object(Bucket="box", Key="k", PartNumber=2)
    assert (second["Body"].read(), second["PartsCount"]) == (b"tail", 2)
    assert code(s3.get_object, Bucket="box", Key="k", PartNumber=3) == "InvalidPartNumber"


def test_completing_again_gives_the_same_answer_and_parts_must_be_the_uploaded_ones(s3: Any) -> None:
    s3.create_bucket(Bucket="box")
    id, parts = parts_up(s3, "k", [b"x" * (5 << 20), b"y"])
    upload: dict[str, Any] = {"Bucket": "box", "Key": "k", "UploadId": id}
    stranger = [{"PartNumber": 1, "ETag": '"00000000000000000000000000000000"'}]
    assert code(s3.complete_multipart_upload, **upload, MultipartUpload={"Parts": stranger}) == "InvalidPart"
    assert code(s3.complete_multipart_upload, **upload, MultipartUpload={"Parts": parts[::-1]}) == "InvalidPartOrder"
    first = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    again = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert first["ETag"] == again["ETag"]
    assert code(s3.upload_part, **upload, PartNumber=3, Body=b"late") == "NoSuchUpload"


def test_uploads_and_parts_come_in_pages_and_go_when_aborted(s3: Any) -> None:
    s3.create_bucket(Bucket="box")
    ids = {parts_up(s3, key, [b"1", b"2", b"3"])[0]: key for key in ("a", "a", "c")}
    pages = s3.get_paginator("list_multipart_uploads").paginate(Bucket="box", PaginationConfig={"PageSize": 1})
    assert [u["UploadId"] for page in pages for u in page["Uploads"]] == list(ids)
    id = next(iter(ids))
    pages = s3.get_paginator("list_parts").paginate(
        Bucket="box", Key="a", UploadId=id, PaginationConfig={"PageSize": 2}
    )
    assert [p["PartNumber"] for page in pages for p in page["Parts"]] == [1, 2, 3]
    below = (
        s3.create_multipart_upload(Bucket="box", Key="d/1")["UploadId"],
        s3.create_multipart_upload(Bucket="box", Key="d/2")["UploadId"],
    )
    listed = s3.list_multipart_uploads(Bucket="box", Delimiter="/", KeyMarker="a", MaxUploads=2)
    assert [each["Key"] for each in listed["Uploads"]] == ["c"] and not listed["IsTruncated"]
    assert listed["CommonPrefixes"] == [{"Prefix": "d/"}] and listed["Uploads"][0]["StorageClass"] == "STANDARD"
    for number, upload in enumerate(below, 1):
        s3.abort_multipart_upload(Bucket="box", Key=f"d/{number}", UploadId=upload)
    for each, key in ids.items():
        s3.abort_multipart_upload(Bucket="box", Key=key, UploadId=each)
    assert s3.list_multipart_uploads(Bucket="box").get("Uploads", []) == []
    assert code(s3.list_parts, Bucket="box", Key="a", UploadId=id) == "NoSuchUpload"


def test_a_part_can_be_a_copy_of_a_range(s3: Any) -> None:
    s3.create_bucket(Bucket="box")
    s3.put_object(Bucket="box", Key="from", Body=b"0123456789")
    upload: dict[str, Any] = {"Bucket": "box", "Key": "to"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    ask = {**upload, "PartNumber": 1, "CopySource": "box/from"}
    assert code(s3.upload_part_copy, **ask, CopySourceRange="bytes=8-10") == "InvalidRange"
    assert code(s3.upload_part_copy, **ask, CopySourceIfMatch="other") == "PreconditionFailed"
    etag = s3.upload_part_copy(**ask, CopySourceRange="bytes=3-5")["CopyPartResult"]["ETag"]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert s3.get_object(Bucket="box", Key="to")["Body"].read() == b"345"
    assert code(s3.copy_object, Bucket="box", Key="to", CopySource="box/to") == "InvalidRequest"


def test_conditions_on_reading_and_writing(s3: Any) -> None:
    s3.create_bucket(Bucket="box")
    thing: dict[str, Any] = {"Bucket": "box", "Key": "k"}
    assert code(s3.put_object, **thing, Body=b"x", IfMatch="nothing") == "NoSuchKey"
    etag = s3.put_object(**thing, Body=b"one", IfNoneMatch="*")["ETag"]
    assert code(s3.put_object, **thing, Body=b"two", IfNoneMatch="*") == "PreconditionFailed"
    assert code(s3.put_object, **thing, Body=b"two", IfMatch='"other"') == "PreconditionFailed"
    assert code(s3.get_object, **thing, IfMatch='"other"') == "PreconditionFailed"
    assert code(s3.get_object, **thing, IfNoneMatch=etag) == "304"
    id, parts = parts_up(s3, "k", [b"big"])
    done = {**thing, "UploadId": id, "MultipartUpload": {"Parts": parts}}
    assert code(s3.complete_multipart_upload, **done, IfNoneMatch="*") == "PreconditionFailed"
    s3.complete_multipart_upload(**done, IfMatch=etag)
    assert s3.get_object(**thing, Range="bytes=-2")["Body"].read() == b"ig"
    assert code(s3.get_object, **thing, Range="bytes=3-") == "InvalidRange"


def test_who_reads_an_object_while_it_is_replaced_reads_the_old_one(s3: Any) -> None:
    s3.create_bucket(Bucket="box")
    old = os.urandom(24 << 20)
    s3.put_object(Bucket="box", Key="k", Body=old)
    reading = s3.get_object(Bucket="box", Key="k")["Body"]
    begun = reading.read(1 << 20)
    s3.put_object(Bucket="box", Key="k", Body=b"new")
    s3.delete_object(Bucket="box", Key="k")
    assert begun + reading.read() == old


@pytest.mark.parametrize("size", [1, 200_000])
def test_a_full_disk_is_called_so_and_not_tried_again(s3: Any, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """The kernel's own error, from a device that never has room. What is there is read and deleted all the same."""

    def write(*_: Any) -> None:
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"x")

    s3.create_bucket(Bucket="full")
    s3.put_object(Bucket="full", Key="old", Body=b"old")
    with monkeypatch.context() as patched:
        patched.setattr(Writer, "_put", write)
        patched.setattr(segments, "write_all", write)
        with pytest.raises(ClientError, match="the disk of this service is full") as refused:
            s3.put_object(Bucket="full", Key="k", Body=b"x" * size)
        assert s3.get_object(Bucket="full", Key="old")["Body"].read() == b"old"
        s3.delete_object(Bucket="full", Key="old")
    assert refused.value.response["Error"]["Code"] == "InsufficientStorage"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 507  # 500 and 503 are tried again
    s3.put_object(Bucket="full", Key="k", Body=b"y" * size)
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="full")["Contents"]] == ["k"]
    assert s3.get_object(Bucket="full", Key="k")["Body"].read() == b"y" * size


def test_a_full_database_is_a_full_disk_too() -> None:
    with sqlite3.connect(":memory:") as base, pytest.raises(sqlite3.OperationalError) as told:
        base.execute("PRAGMA max_page_count = 2")
        base.execute("CREATE TABLE t (x)")
        base.execute("INSERT INTO t VALUES (zeroblob(1000000))")
    assert is_disk_full(told.value)
    wrapped = RuntimeError("not written")
    wrapped.__cause__ = told.value
    assert is_disk_full(wrapped) and not is_disk_full(OSError(5, "I/O error"))
