"""Versions, locks, tags and customers' keys with an unmodified boto3, beside a whole key-manager."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from botocore.exceptions import ClientError

from services.sdk.testing import ServiceHarness

Json = dict[str, Any]
_NUMBERS = count(1)
SSE_C = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
OTHER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "o" * 32}


def versioned(s3: Any, bucket: str, status: str = "Enabled") -> str:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
    return bucket


def refused(call: Any, **request: Any) -> tuple[int, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response
    return error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"]


def body(s3: Any, **request: Any) -> bytes:
    return bytes(s3.get_object(**request)["Body"].read())


def test_every_version_is_kept_until_it_is_deleted_by_its_id(s3: Any, bucket: str) -> None:
    thing: Json = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**thing, Body=b"null")
    versioned(s3, bucket)
    first, second = (s3.put_object(**thing, Body=each)["VersionId"] for each in (b"one", b"two"))
    marker = s3.delete_object(**thing)
    assert marker["DeleteMarker"] and refused(s3.get_object, **thing) == (404, "NoSuchKey")
    assert [body(s3, **thing, VersionId=each) for each in (first, second, "null")] == [b"one", b"two", b"null"]
    assert refused(s3.get_object, **thing, VersionId=marker["VersionId"]) == (405, "MethodNotAllowed")
    listed = s3.list_object_versions(Bucket=bucket)
    assert [each["VersionId"] for each in listed["Versions"]] == [second, first, "null"]
    assert [each["IsLatest"] for each in listed["DeleteMarkers"]] == [True]
    s3.delete_object(**thing, VersionId=marker["VersionId"])
    assert body(s3, **thing) == b"two"
    s3.delete_object(**thing, VersionId=second)
    assert body(s3, **thing) == b"one" and s3.head_object(**thing)["VersionId"] == first
    with pytest.raises(ClientError, match="BucketNotEmpty"):
        s3.delete_bucket(Bucket=bucket)
    gone = [{"Key": "k", "VersionId": each} for each in (first, "null")]
    assert len(s3.delete_objects(Bucket=bucket, Delete={"Objects": gone})["Deleted"]) == 2
    s3.delete_bucket(Bucket=bucket)


def test_where_versions_are_suspended_there_is_one_null_version(s3: Any, bucket: str) -> None:
    thing: Json = {"Bucket": bucket, "Key": "k"}
    kept = s3.put_object(**{**thing, "Bucket": versioned(s3, bucket)}, Body=b"kept")["VersionId"]
    versioned(s3, bucket, "Suspended")
    for each in (b"a", b"b"):
        assert "VersionId" not in s3.put_object(**thing, Body=each)
    assert body(s3, **thing, VersionId="null") == b"b" and body(s3, **thing, VersionId=kept) == b"kept"
    assert s3.delete_object(**thing)["VersionId"] == "null"
    assert [each["VersionId"] for each in s3.list_object_versions(Bucket=bucket)["Versions"]] == [kept]


def test_an_old_version_can_be_copied_over_the_newest(s3: Any, bucket: str) -> None:
    versioned(s3, bucket)
    old = s3.put_object(Bucket=bucket, Key="k", Body=b"old", Tagging="a=b")["VersionId"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"new")
    source = {"Bucket": bucket, "Key": "k", "VersionId": old}
    assert s3.copy_object(Bucket=bucket, Key="k", CopySource=source)["CopySourceVersionId"] == old
    assert body(s3, Bucket=bucket, Key="k") == b"old"
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "a", "Value": "b"}]
    other = {"TaggingDirective": "REPLACE", "Tagging": "c=d"}
    s3.copy_object(Bucket=bucket, Key="k", CopySource=source, **other)
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "c", "Value": "d"}]


def test_how_an_object_is_sealed_is_not_asked_of_a_read(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")

    def add(params: Json, **_: Any) -> None:
        params["headers"]["x-amz-server-side-encryption"] = "AES256"

    s3.meta.events.register("before-call.s3.GetObject", add, unique_id="sealed")
    try:
        assert refused(s3.get_object, Bucket=bucket, Key="k") == (400, "InvalidArgument")
    finally:
        s3.meta.events.unregister("before-call.s3.GetObject", unique_id="sealed")


def test_tags_belong_to_a_version(s3: Any, bucket: str) -> None:
    versioned(s3, bucket)
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"2", Tagging="n=2&empty=")
    s3.put_object_tagging(Bucket=bucket, Key="k", VersionId=first, Tagging={"TagSet": [{"Key": "n", "Value": "1"}]})
    assert s3.get_object_tagging(Bucket=bucket, Key="k", VersionId=first)["TagSet"] == [{"Key": "n", "Value": "1"}]
    assert s3.head_object(Bucket=bucket, Key="k")["TagCount"] == 2
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    many = {"TagSet": [{"Key": str(each), "Value": ""} for each in range(11)]}
    assert refused(s3.put_object_tagging, Bucket=bucket, Key="k", Tagging=many)[0] == 400


def test_what_is_locked_stays(s3: Any) -> None:
    bucket, soon = f"locked-{next(_NUMBERS)}", datetime.now(UTC) + timedelta(days=1)
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    until = {"ObjectLockRetainUntilDate": soon}
    strict, mild = (
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ObjectLockMode=mode, **until)["VersionId"]
        for mode in ("COMPLIANCE", "GOVERNANCE")
    )
    for version in (strict, mild):
        gone = {"Bucket": bucket, "Key": "k", "VersionId": version}
        assert refused(s3.delete_object, **gone) == (403, "AccessDenied")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "VersionId": strict}]})
    assert [each["Code"] for each in answer["Errors"]] == ["AccessDenied"]
    assert refused(s3.delete_object, Bucket=bucket, Key="k", VersionId=strict, BypassGovernanceRetention=True) == (
        403,
        "AccessDenied",
    )
    shorter = {"Mode": "GOVERNANCE", "RetainUntilDate": soon - timedelta(hours=2)}
    asked = {"Bucket": bucket, "Key": "k", "Retention": shorter}
    assert refused(s3.put_object_retention, **asked, VersionId=strict) == (403, "AccessDenied")
    assert refused(s3.put_object_retention, **asked, VersionId=mild) == (403, "AccessDenied")
    s3.put_object_retention(**asked, VersionId=mild, BypassGovernanceRetention=True)
    s3.delete_object(Bucket=bucket, Key="k", VersionId=mild, BypassGovernanceRetention=True)
    held = s3.put_object(Bucket=bucket, Key="h", Body=b"x", ObjectLockLegalHoldStatus="ON")["VersionId"]
    one = {"Bucket": bucket, "Key": "h", "VersionId": held}
    assert refused(s3.delete_object, **one, BypassGovernanceRetention=True) == (403, "AccessDenied")
    s3.put_object_legal_hold(**one, LegalHold={"Status": "OFF"})
    s3.delete_object(**one)
    assert refused(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}) == (
        409,
        "InvalidBucketState",
    )


def test_what_a_customers_key_sealed_opens_with_it_alone(house: ServiceHarness, s3: Any, bucket: str) -> None:
    thing: Json = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**thing, Body=b"the words to look for", **SSE_C)
    assert body(s3, **thing, **SSE_C) == b"the words to look for"
    assert s3.head_object(**thing, **SSE_C)["SSECustomerAlgorithm"] == "AES256"
    for asked in ({}, OTHER):
        assert refused(s3.get_object, **thing, **asked) == (400, "InvalidRequest")
        assert refused(s3.head_object, **thing, **asked)[0] == 400
    everything = b"".join(each.read_bytes() for each in house.context.data.rglob("*") if each.is_file())
    assert b"the words to look for" not in everything and b"k" * 32 not in everything
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
    assert refused(s3.get_object, Bucket=bucket, Key="plain", **SSE_C) == (400, "InvalidRequest")
    source = {f"CopySource{name}": value for name, value in SSE_C.items()}
    copy: Json = {"Bucket": bucket, "Key": "copy", "CopySource": f"{bucket}/k"}
    assert refused(s3.copy_object, **copy) == (400, "InvalidRequest")
    s3.copy_object(**copy, **source)
    assert body(s3, Bucket=bucket, Key="copy") == b"the words to look for"


def test_parts_of_an_upload_are_sealed_with_its_key(s3: Any, bucket: str) -> None:
    upload: Json = {"Bucket": bucket, "Key": "m"}
    upload["UploadId"] = s3.create_multipart_upload(**upload, **SSE_C)["UploadId"]
    for asked in ({}, OTHER):
        assert refused(s3.upload_part, **upload, PartNumber=1, Body=b"x", **asked) == (400, "InvalidRequest")
    etag = s3.upload_part(**upload, PartNumber=1, Body=b"parts", **SSE_C)["ETag"]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert body(s3, Bucket=bucket, Key="m", **SSE_C) == b"parts"
    assert refused(s3.get_object, Bucket=bucket, Key="m") == (400, "InvalidRequest")


def test_attributes_tell_the_parts(s3: Any, bucket: str) -> None:
    upload: Json = {"Bucket": bucket, "Key": "m"}
    upload["UploadId"] = s3.create_multipart_upload(**upload, ChecksumAlgorithm="SHA256")["UploadId"]
    made = [
        s3.upload_part(**upload, PartNumber=number, Body=each, ChecksumAlgorithm="SHA256")
        for number, each in ((1, b"x" * (5 << 20)), (3, b"tail"))
    ]
    parts = [
        {"PartNumber": number, "ETag": each["ETag"], "ChecksumSHA256": each["ChecksumSHA256"]}
        for number, each in zip((1, 3), made, strict=True)
    ]
    done = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    wanted = ["ETag", "Checksum", "ObjectParts", "ObjectSize", "StorageClass"]
    found = s3.get_object_attributes(Bucket=bucket, Key="m", ObjectAttributes=wanted, MaxParts=1)
    assert found["ObjectSize"] == (5 << 20) + 4 and found["ETag"] == done["ETag"].strip('"')
    assert found["Checksum"]["ChecksumSHA256"] == done["ChecksumSHA256"]
    told = found["ObjectParts"]
    assert (told["TotalPartsCount"], told["IsTruncated"], told["NextPartNumberMarker"]) == (2, True, 1)
    assert told["Parts"] == [{"PartNumber": 1, "Size": 5 << 20, "ChecksumSHA256": parts[0]["ChecksumSHA256"]}]
    rest = s3.get_object_attributes(Bucket=bucket, Key="m", ObjectAttributes=wanted, PartNumberMarker=1)
    assert [each["PartNumber"] for each in rest["ObjectParts"]["Parts"]] == [3]
