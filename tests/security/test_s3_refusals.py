"""What S3 is asked for and does not do is refused, never dropped; what it keeps is bounded. Real boto3."""

from __future__ import annotations

import hashlib
import http.client
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
import uvicorn
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import example, given
from hypothesis import strategies as st

import services.storage_manager.context as context_module
import services.storage_manager.metadata.uploads as uploads_module
from services.sdk.aws.model import load_model
from services.sdk.aws.protocols.routing import template_of
from services.sdk.aws.rest_xml import parse
from services.sdk.aws.sigv4 import RawRequest
from services.sdk.identity import Caller as Identity
from services.storage_manager.blobs import Blobs
from services.storage_manager.context import S3Context
from services.storage_manager.data_keys import DataKeys
from services.storage_manager.dispatch import dispatch
from services.storage_manager.errors import S3Error
from services.storage_manager.handlers import OPERATIONS
from services.storage_manager.interfaces import BucketRef, Caller, Scope, Verb
from services.storage_manager.listing import beyond, page
from services.storage_manager.metadata import MetadataIndex, Object
from services.storage_manager.s3_app import S3App
from services.storage_manager.supported_parameters import Understood


class Fakes:
    """Everybody may do everything, in the account of `default`."""

    def __init__(self) -> None:
        self.places = {"box": BucketRef("uid", "box", "arn:aws:s3:::box", 0.0)}
        self.asked: list[tuple[str, Verb]] = []
        self.masters: list[str | None] = []

    async def authenticate(self, scope: Scope, request: RawRequest) -> Caller:
        return Caller("tester", "default")

    async def all(self, caller: Caller) -> list[BucketRef]:
        return list(self.places.values())

    def namespaces(self) -> set[str]:
        return {"default"}

    async def has_role(self, caller: Caller, verb: Verb, name: str) -> bool:
        self.asked.append((name, verb))
        return True

    async def locate(self, caller: Caller, name: str) -> BucketRef:
        if name not in self.places:
            raise S3Error("NoSuchBucket")
        return self.places[name]

    async def create(self, caller: Caller, name: str) -> BucketRef:
        self.places[name] = BucketRef(name, name, f"arn:aws:s3:::{name}", 0.0)
        return self.places[name]

    async def delete(self, caller: Caller, ref: BucketRef) -> None:
        del self.places[ref.name]

    async def set_encryption(self, ref: BucketRef, encryption: dict[str, Any]) -> None:
        self.places[ref.name] = replace(ref, key=encryption["key"], encrypted=encryption["enabled"])

    async def report_count(self, place: BucketRef, objects: int) -> None:
        self.places[place.name] = replace(place, objects=objects)

    async def generate(self, place: BucketRef) -> tuple[bytes, bytes, str]:
        self.masters.append(place.key)
        return b"k" * 32, b"wrapped", "arn"

    async def rewrap(self, place: BucketRef, wrapped: bytes, arn: str) -> bytes:
        return wrapped

    async def decrypt(self, place: BucketRef, wrapped: bytes) -> bytes:
        return b"k" * 32


class Door:
    def __init__(self, url: str, fakes: Fakes) -> None:
        self.url, self.fakes = url, fakes
        config = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}, signature_version=UNSIGNED)
        self.s3: Any = boto3.client("s3", endpoint_url=url, region_name="us-east-1", config=config)

    def put(self, key: str = "k", body: bytes = b"old", **headers: str) -> httpx.Response:
        return self.ask("PUT", f"/box/{key}", body, **headers)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> httpx.Response:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.request(method, self.url + path, content=body, headers=said, timeout=60)

    def read(self, key: str = "k") -> bytes | None:
        answer = self.ask("GET", f"/box/{key}")
        return answer.content if answer.status_code == 200 else None


class Announcing(uvicorn.Server):
    up: threading.Event

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.up.set()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder: Path = tmp_path_factory.mktemp("s3")
    fakes, metadata = Fakes(), MetadataIndex(folder / "m.db")
    context = S3Context(fakes, metadata, Blobs(folder / "blobs"), DataKeys(metadata, fakes))
    server = Announcing(uvicorn.Config(S3App(context, fakes), port=0, log_level="warning", lifespan="off"))
    server.up = threading.Event()
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert server.up.wait(30)
    yield Door(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", fakes)
    server.should_exit = True
    thread.join(10)


def code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, parse(answer.content).findtext("Code") or ""


SSE_C = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
LOCK = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": "2030-01-01T00:00:00Z"}


@pytest.mark.parametrize("path", ["/box/k", "/box/k?partNumber=1&uploadId={upload}"])
def test_an_upload_without_a_length_is_refused(door: Door, path: str) -> None:
    """Cut off, it would be a shorter one."""
    upload = door.s3.create_multipart_upload(Bucket="box", Key="k")["UploadId"]
    streams = {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "content-length": "5"}
    for headers in ({}, streams):
        connection = http.client.HTTPConnection(door.url.removeprefix("http://"), timeout=60)
        connection.putrequest("PUT", path.format(upload=upload))
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(b"0\r\n\r\n" if headers else b"")
        answer = connection.getresponse()
        assert answer.status == 411 and b"MissingContentLength" in answer.read()
        connection.close()
    assert door.read() is None
    assert "Parts" not in door.s3.list_parts(Bucket="box", Key="k", UploadId=upload)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({**SSE_C, "SSECustomerKeyMD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, "InvalidArgument"),
        ({**SSE_C, "SSECustomerAlgorithm": "AES128"}, "InvalidEncryptionAlgorithmError"),
        ({**SSE_C, "ServerSideEncryption": "AES256"}, "InvalidArgument"),
        (LOCK, "InvalidRequest"),
        ({"ObjectLockLegalHoldStatus": "ON"}, "InvalidRequest"),
        ({"ACL": "public-read"}, "AccessControlListNotSupported"),
        ({"GrantRead": "uri=x"}, "AccessControlListNotSupported"),
        ({"Tagging": "a=b&a=c"}, "InvalidTag"),
        ({"Tagging": "aws:a=b"}, "InvalidTag"),
        ({"StorageClass": "GLACIER"}, "InvalidStorageClass"),
        ({"WebsiteRedirectLocation": "javascript:x"}, "InvalidRedirectLocation"),
        ({"ServerSideEncryption": "aws:kms:dsse"}, "InvalidArgument"),
        ({"SSEKMSKeyId": "alias/x"}, "InvalidArgument"),
        ({"ServerSideEncryption": "AES256", "SSEKMSKeyId": "alias/x"}, "InvalidArgument"),
        ({"ServerSideEncryption": "aws:kms", "SSEKMSEncryptionContext": "e30="}, "InvalidArgument"),
        ({"ExpectedBucketOwner": "111111111111"}, "AccessDenied"),
        ({"IfNoneMatch": f'"{hashlib.md5(b"old", usedforsecurity=False).hexdigest()}"'}, "PreconditionFailed"),
        ({"WriteOffsetBytes": 3}, "NotImplemented"),
        ({"ContentMD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, "BadDigest"),
        ({"ChecksumSHA256": "AAAA"}, "BadDigest"),
        ({"Metadata": {"a": "x" * 2048}}, "MetadataTooLarge"),
        ({"CacheControl": "x" * 2049}, "MetadataTooLarge"),
    ],
)
def test_a_put_that_cannot_be_as_it_is_meant_changes_nothing(
    door: Door, asked: dict[str, Any], expected: str
) -> None:
    assert door.put().status_code == 200
    assert code(door.s3.put_object, Bucket="box", Key="k", Body=b"new", **asked) == expected
    assert door.read() == b"old"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x_amz_checksum_sha512": "AAAA"}, (400, "InvalidRequest")),
        ({"x_amz_checksum_xxhash64": "AAAA"}, (400, "InvalidRequest")),
        ({"x_amz_not_yet_invented": "1"}, (501, "NotImplemented")),
        ({"x_amz_content_sha256": "garbage"}, (400, "InvalidArgument")),
        ({"x_amz_trailer": "x-amz-checksum-sha512"}, (400, "InvalidRequest")),
        ({"if_unmodified_since": "Thu, 01 Jan 1970 00:00:00 GMT"}, (501, "NotImplemented")),
        ({"content_range": "bytes 1-2/3"}, (501, "NotImplemented")),
    ],
)
def test_what_nobody_knows_yet_is_refused_too(door: Door, headers: dict[str, str], expected: tuple[int, str]) -> None:
    assert door.put().status_code == 200
    assert refusal(door.put(body=b"new", **headers)) == expected
    assert door.read() == b"old"


def test_what_changes_nothing_is_taken(door: Door) -> None:
    assert door.put(
        user_agent="x", traceparent="00-1-1-00", x_amz_storage_class="STANDARD",
        x_amz_acl="bucket-owner-full-control",
        x_amz_expected_bucket_owner="000000000000", amz_sdk_request="attempt=1", x_forwarded_for="1.2.3.4",
        x_amz_sdk_checksum_algorithm="CRC32", x_amz_user_agent="y", x_amz_meta_who="me",
        x_amz_request_payer="requester",
    ).status_code == 200  # fmt: skip


@pytest.mark.parametrize(
    "path",
    ["/box?versions&acl", "/box/k?torrent", "/box?prefix=a&foo=bar", "/box/k?delete"],
)
def test_query_members_nobody_understands_are_refused(door: Door, path: str) -> None:
    assert refusal(door.ask("GET", path)) == (501, "NotImplemented")


AMBIGUOUS = [
    "prefix=a&prefix=b",
    "prefix=%ff",
    "&".join(f"x-{n}=1" for n in range(200)),
    "encoding-type=foo",
    "max-keys=" + "9" * 5000,
    "list-type=3",
    "max-keys=-1",
    "list-type=2&continuation-token=zz",
]


@pytest.mark.parametrize("query", AMBIGUOUS, ids=lambda query: query[:20])
def test_a_query_that_means_two_things_or_none_is_refused(door: Door, query: str) -> None:
    assert refusal(door.ask("GET", f"/box?{query}")) == (400, "InvalidArgument")


def test_a_header_said_twice_is_refused(door: Door) -> None:
    twice = [("x-amz-meta-a", "1"), ("x-amz-meta-a", "2")]
    assert refusal(httpx.put(f"{door.url}/box/k", content=b"x", headers=twice)) == (400, "InvalidArgument")


def test_a_presigned_query_carries_headers_and_they_count(door: Door) -> None:
    """What the JS, Ruby and Go SDKs make of headers by default."""
    assert door.ask("PUT", "/box/q?X-Amz-Signature=0&x-amz-meta-who=me", b"x").status_code == 200
    assert door.ask("HEAD", "/box/q").headers["x-amz-meta-who"] == "me"
    assert refusal(door.ask("PUT", "/box/q?x-amz-acl=public-read", b"y"))[1] == "AccessControlListNotSupported"
    assert refusal(door.ask("PUT", "/box/q?x-amz-meta-a=1%0d%0aset-cookie:x", b"y"))[1] == "InvalidArgument"
    assert refusal(door.ask("PUT", "/box/q?x-amz-copy-source=/box/k", b"y"))[1] == "NotImplemented"
    assert door.read("q") == b"x"


def test_a_delete_means_what_it_names(door: Door) -> None:
    door.put()
    assert code(door.s3.delete_object, Bucket="box", Key="k", IfMatch='"wrong"') == "PreconditionFailed"
    assert code(door.s3.delete_object, Bucket="box", Key="k", MFA="1 2") == "NotImplemented"
    assert code(door.s3.delete_object, Bucket="box", Key="k", VersionId="abc") == "NoSuchVersion"
    objects = [{"Key": "k", "VersionId": "abc"}]
    failed = door.s3.delete_objects(Bucket="box", Delete={"Objects": objects})["Errors"]
    assert [(each["Code"], each["VersionId"]) for each in failed] == [("NoSuchVersion", "abc")]
    answer = door.s3.delete_objects(
        Bucket="box", Delete={"Objects": [{"Key": "k", "ETag": '"wrong"'}, {"Key": "gone"}]}
    )
    assert [each["Code"] for each in answer["Errors"]] == ["PreconditionFailed"]
    assert [each["Key"] for each in answer["Deleted"]] == ["gone"]
    assert door.read() == b"old"
    etag = door.s3.head_object(Bucket="box", Key="k")["ETag"]
    door.s3.delete_object(Bucket="box", Key="k", IfMatch=etag)
    assert door.read() is None


MD5 = {"x_amz_content_sha256": "0" * 64}
BILLION = '<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><Delete><Object><Key>&b;</Key></Object></Delete>'


@pytest.mark.parametrize(
    "document",
    [
        BILLION.encode(),
        BILLION.encode("utf-16"),
        b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE d+AD4-',
        b'<!DOCTYPE d SYSTEM "file:///etc/passwd"><Delete/>',
        b"<a>" * 100_000,
        b"<Delete>" + b"<Object/>" * 100_000 + b"</Delete>",
        b"<Delete>" + b"<Object><Key>a</Key></Object>" * 1001 + b"</Delete>",
        b"<Delete></Delete>",
        b"<Delete><Object><Key></Key></Object></Delete>",
        b"<Delete><Object><Key>k</Key><Mystery>1</Mystery></Object></Delete>",
        b"<Delete><Object><Key>k</Key></Object><Bypass>true</Bypass></Delete>",
        b"<Other><Object><Key>k</Key></Object></Other>",
        b"",
        b"<Delete>" + b" " * (3 << 20) + b"</Delete>",
    ],
    ids=range(14),
)
def test_documents_that_are_bombs_or_nonsense_delete_nothing(door: Door, document: bytes) -> None:
    import base64
    import hashlib

    door.put()
    digest = base64.b64encode(hashlib.md5(document, usedforsecurity=False).digest()).decode()
    assert refusal(door.ask("POST", "/box?delete", document, content_md5=digest)) == (400, "MalformedXML")
    assert door.read() == b"old"


def test_a_list_of_what_to_delete_needs_a_digest(door: Door) -> None:
    door.put()
    document = b"<Delete><Object><Key>k</Key></Object></Delete>"
    assert refusal(door.ask("POST", "/box?delete", document)) == (400, "InvalidRequest")
    assert door.read() == b"old"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("/box/k?versionId=abc", "NoSuchVersion"),
        ("/box/k?versionId=", "InvalidArgument"),
        ("/box", "InvalidArgument"),
        ("/", "InvalidArgument"),
        ("/../box/k", "NoSuchBucket"),
        ("/box%2F..%2Fother/k", "NoSuchKey"),
        ("//box/k", "InvalidArgument"),
        ("/box/%ff", "InvalidArgument"),
        ("/..%2fother/k", "NoSuchBucket"),
    ],
)
def test_a_copy_source_names_one_object_and_nothing_else(door: Door, source: str, expected: str) -> None:
    door.put()
    assert refusal(door.ask("PUT", "/box/copy", x_amz_copy_source=source))[1] == expected
    assert door.read("copy") is None


def test_copies_refuse_what_they_do_not_do(door: Door) -> None:
    door.put()
    copy = {"Bucket": "box", "Key": "copy", "CopySource": "box/k"}
    assert code(door.s3.copy_object, **copy, TaggingDirective="MERGE", Tagging="a=b") == "InvalidArgument"
    assert code(door.s3.copy_object, **copy, ExpectedSourceBucketOwner="111111111111") == "AccessDenied"
    of_customer = {f"CopySource{name}": value for name, value in SSE_C.items()}
    assert code(door.s3.copy_object, **copy, **of_customer) == "InvalidRequest"
    assert code(door.s3.copy_object, **copy, ACL="public-read") == "AccessControlListNotSupported"
    answer = door.s3.copy_object(**copy, ChecksumAlgorithm="SHA256")
    assert answer["CopyObjectResult"]["ChecksumSHA256"]


def test_buckets_and_uploads_refuse_what_they_do_not_do(door: Door) -> None:
    make = door.s3.create_bucket
    assert code(make, Bucket="public", ACL="public-read") == "InvalidBucketAclWithObjectOwnership"
    nowhere = {"LocationConstraint": "no where"}
    assert code(make, Bucket="odd", CreateBucketConfiguration=nowhere) == "InvalidLocationConstraint"
    tagged = b"<CreateBucketConfiguration><Tags><Tag><Key>a</Key></Tag></Tags></CreateBucketConfiguration>"
    assert refusal(door.ask("PUT", "/tagged", tagged)) == (400, "MalformedXML")
    near = b"<CreateBucketConfiguration><Location><Name>x</Name></Location></CreateBucketConfiguration>"
    assert refusal(door.ask("PUT", "/near", near)) == (400, "MalformedXML")
    assert set(door.fakes.places) == {"box"}
    start = door.s3.create_multipart_upload
    assert code(start, Bucket="box", Key="m", Tagging="a=b&a=c") == "InvalidTag"
    assert code(start, Bucket="box", Key="m", **SSE_C, SSECustomerKeyMD5="AAAA") == "InvalidArgument"
    upload = start(Bucket="box", Key="m")["UploadId"]
    part = door.s3.upload_part(Bucket="box", Key="m", UploadId=upload, PartNumber=1, Body=b"abc")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    done = {"Bucket": "box", "Key": "m", "UploadId": upload, "MultipartUpload": parts}
    assert code(door.s3.complete_multipart_upload, **done, MpuObjectSize=99) == "InvalidRequest"
    assert code(door.s3.complete_multipart_upload, **done, ChecksumSHA256="AAAA") == "InvalidRequest"
    assert code(door.s3.complete_multipart_upload, **done, IfMatch='"abc"') == "NoSuchKey"
    assert door.s3.complete_multipart_upload(**done, MpuObjectSize=3)["ETag"]
    assert door.s3.list_multipart_uploads(Bucket="box", MaxUploads=0)["IsTruncated"] is False


def test_the_key_that_is_asked_for_is_the_key_that_is_used(door: Door) -> None:
    asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/mine"}
    door.fakes.masters.clear()
    answer = door.s3.put_object(Bucket="box", Key="own", Body=b"x", **asked)
    assert (answer["SSEKMSKeyId"], door.fakes.masters) == ("alias/mine", ["alias/mine"])
    assert door.s3.head_object(Bucket="box", Key="own")["SSEKMSKeyId"] == "alias/mine"
    door.s3.copy_object(Bucket="box", Key="copy", CopySource="box/own")
    assert "SSEKMSKeyId" not in door.s3.head_object(Bucket="box", Key="copy")
    door.s3.put_object(Bucket="box", Key="plain", Body=b"x", ServerSideEncryption="AES256")
    assert door.s3.head_object(Bucket="box", Key="plain")["ServerSideEncryption"] == "AES256"


def test_a_download_that_goes_on_does_not_mix_two_versions(door: Door) -> None:
    door.put(body=b"version 1")
    etag = door.ask("HEAD", "/box/k").headers["etag"]
    assert door.ask("GET", "/box/k", range="bytes=8-", if_range=etag).content == b"1"
    door.put(body=b"version 2")
    answer = door.ask("GET", "/box/k", range="bytes=8-", if_range=etag)
    assert (answer.status_code, answer.content) == (200, b"version 2")


@pytest.mark.parametrize("wanted", ["bytes=" + "9" * 5000 + "-", "bytes=" + ",".join("0-0" for _ in range(500))])
def test_ranges_that_are_bombs_are_the_whole_object(door: Door, wanted: str) -> None:
    door.put()
    assert door.ask("GET", "/box/k", range=wanted).content == b"old"


@pytest.mark.parametrize("key", ["a" * 1025, "a%00b", "%ff"])
def test_keys_that_cannot_be_kept_are_refused(door: Door, key: str) -> None:
    assert door.put(key).status_code == 400


def test_who_did_not_sign_does_not_choose_how_the_answer_looks(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    door.put()
    link = "/box/k?response-content-type=text/html"
    for identity, expected in ((Identity("ann"), 400), (Identity("ann", access_key="AKIA"), 200)):

        async def authenticate(scope: Scope, request: RawRequest, identity: Identity = identity) -> Caller:
            return Caller("ann", "default", identity=identity)

        monkeypatch.setattr(door.fakes, "authenticate", authenticate)
        assert door.ask("GET", link).status_code == expected
    assert refusal(door.ask("GET", "/box/k?response-content-type=a%0d%0aset-cookie:x"))[1] == "InvalidArgument"


@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda text: f"<a>{text}</a>".encode()))
@example(b"<a>\xff</a>")
@example(b"\xff\xfe<\0a\0/\0>\0")
def test_whatever_comes_as_a_document_is_read_or_refused(document: bytes) -> None:
    try:
        assert parse(document).tag
    except ValueError:
        return


NAMES = st.from_regex(r"x-amz-[a-z-]{1,30}", fullmatch=True)


MODEL = load_model("s3")
UNDERSTOOD = {name: Understood(each, MODEL, dispatch().marks_of(name)) for name, each in OPERATIONS.items()}


@given(NAMES, st.sampled_from(sorted(OPERATIONS)))
@example("x-amz-metadata-directive", "PutObject")
@example("x-amz-copy-source", "GetObject")
def test_a_header_is_understood_by_its_operation_or_refused(name: str, operation: str) -> None:
    asked = UNDERSTOOD[operation]
    known = name in asked.headers or any(name.startswith(each) for each in asked.prefixes)
    try:
        asked.require({name: "x"}, {})
    except S3Error:
        return
    assert known, (operation, name)


@pytest.mark.parametrize("operation", sorted(MODEL.operations))
def test_every_operation_of_the_model_is_known_by_its_address(operation: str) -> None:
    """None is taken for another, or for a plain read or write of the same address, whether it is built or not."""
    described = MODEL.operations[operation]
    if described.get("deprecated") or operation in ("ListDirectoryBuckets", "WriteGetObjectResponse"):
        return
    template = template_of(MODEL, operation)
    query = {name: value or "x" for name, value in template.constants.items()}
    query |= dict.fromkeys(template.needed_query, "1")
    bucket, key = ("b" if len(template.segments) > 0 else ""), ("k" if len(template.segments) > 1 else "")
    headers = dict.fromkeys(template.needed_headers, "x")
    assert dispatch().choose(described["http"]["method"], bucket, key, query, headers) == operation


def test_a_refusal_is_heard_by_who_is_still_sending(door: Door) -> None:
    answer = door.put(body=b"x" * (2 << 20), x_amz_acl="public-read")
    assert refusal(answer)[1] == "AccessControlListNotSupported"
    assert answer.headers.get("connection") != "close"
    too_long = door.put(body=b"x" * (12 << 20), x_amz_acl="public-read")
    assert too_long.headers.get("connection") == "close"


def test_a_quota_bounds_bytes_objects_and_parts(door: Door) -> None:
    place = BucketRef("small", "small", "arn:aws:s3:::small", 0.0, quota=(10, 2))
    door.fakes.places["small"] = place
    assert door.ask("PUT", "/small/a", b"12345").status_code == 200
    assert refusal(door.ask("PUT", "/small/b", b"1234567"))[1] == "QuotaExceeded"
    door.s3.copy_object(Bucket="small", Key="b", CopySource="small/a")
    assert code(door.s3.copy_object, Bucket="small", Key="c", CopySource="small/a") == "QuotaExceeded"
    door.s3.delete_object(Bucket="small", Key="b")
    upload = door.s3.create_multipart_upload(Bucket="small", Key="m")["UploadId"]
    part = {"Bucket": "small", "Key": "m", "UploadId": upload}
    assert code(door.s3.upload_part, **part, PartNumber=1, Body=b"1234567") == "QuotaExceeded"
    assert door.s3.list_parts(**part).get("Parts", []) == []


def test_a_full_disk_refuses_and_uploads_are_counted(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context_module, "LEAST_FREE", 1 << 60)
    assert refusal(door.put()) == (507, "InsufficientStorage")
    monkeypatch.undo()
    monkeypatch.setattr(uploads_module, "MOST_UPLOADS", 0)
    assert code(door.s3.create_multipart_upload, Bucket="box", Key="m") == "QuotaExceeded"


def test_every_operation_asks_for_what_its_row_says(door: Door) -> None:
    """The table is not a comment: what the registry is asked for is what stands there."""
    door.put()
    door.fakes.asked.clear()
    door.s3.copy_object(Bucket="box", Key="copy", CopySource="box/k")
    wanted = OPERATIONS["CopyObject"]
    assert door.fakes.asked == [("box", wanted.verb), ("box", wanted.source)]
    door.fakes.asked.clear()
    door.s3.get_object(Bucket="box", Key="k")
    assert door.fakes.asked == [("box", OPERATIONS["GetObject"].verb)]


# Keys of every sort, and delimiters among them: the last code point, the ones around surrogates.
letters = st.sampled_from(["a", "/", "\ud7ff", "\ue000", "\U0010ffff", "\U0010fffe", "\x01", "é"])
anything = st.characters(exclude_categories=["Cs"])
keys = st.text(letters, min_size=1, max_size=5) | st.text(anything, min_size=1, max_size=4)


@given(st.sets(keys, max_size=20), st.text(letters, max_size=2), st.text(letters, max_size=2), st.integers(1, 4))
@example({"\U0010ffff", "\U0010ffff\U0010ffff", "a\U0010ffff/x"}, "", "\U0010ffff", 1)
@example({"a/\U0010ffff", "a/\U0010ffff\U0010ffff", "a/x", "b"}, "", "/", 1)
@example({"\ud7ffx", "\ud7ff\U0010ffff", "\ue000"}, "", "\ud7ff", 1)
def test_pages_end_and_say_each_key_once(there: set[str], prefix: str, delimiter: str, limit: int) -> None:
    ordered = sorted(there, key=lambda key: key.encode())

    def fetch(at: str, inclusive: bool, count: int) -> list[Object]:
        after = [key for key in ordered if key > at or (inclusive and key == at)]
        return [Object(key, 0, "", 0.0, {}, ()) for key in after[:count]]

    seen: list[str] = []
    after, more = "", True
    for _ in range(len(there) + 1):
        found = page(fetch, prefix=prefix, delimiter=delimiter, after=after, limit=limit)
        seen += [each.key for each in found.objects] + found.prefixes
        assert not found.truncated or found.last > after or not after
        after, more = found.last, found.truncated
        if not more:
            break
    assert not more, "the pages never end"
    assert sorted(seen) == sorted(expected(there, prefix, delimiter))


def expected(there: set[str], prefix: str, delimiter: str) -> set[str]:
    chosen = [key for key in there if key.startswith(prefix)]
    cut = ((key, key.find(delimiter, len(prefix)) if delimiter else -1) for key in chosen)
    return {key if end < 0 else key[: end + len(delimiter)] for key, end in cut}


@given(keys, keys)
def test_beyond_a_prefix_is_the_first_that_is_not_below_it(prefix: str, other: str) -> None:
    found = beyond(prefix)
    if other.startswith(prefix):
        assert found is None or other < found
    elif found is not None and prefix < other:
        assert other >= found
