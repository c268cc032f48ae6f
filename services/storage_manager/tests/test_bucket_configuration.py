"""Documents of buckets by an unmodified boto3: kept, given back, refused, and what they mean to others."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from services.sdk.testing import ServiceHarness, User
from services.storage_manager.kinds import BUCKET
from services.storage_manager.tests.test_service import V4, code

Json = dict[str, Any]


RULE = {"ID": "a", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 3}}
CORS = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}
# Of which operation, its member, what of it is compared, a document, S3's word for none, and what takes it away.
DOCUMENTS: dict[str, tuple[str, str, Json, str, str]] = {
    "bucket_cors": ("CORSConfiguration", "CORSRules", CORS, "NoSuchCORSConfiguration", "delete_bucket_cors"),
    "bucket_tagging": (
        "Tagging",
        "TagSet",
        {"TagSet": [{"Key": "a", "Value": "b"}]},
        "NoSuchTagSet",
        "delete_bucket_tagging",
    ),
    "bucket_website": (
        "WebsiteConfiguration",
        "IndexDocument",
        {"IndexDocument": {"Suffix": "index.html"}},
        "NoSuchWebsiteConfiguration",
        "delete_bucket_website",
    ),
    "bucket_lifecycle_configuration": (
        "LifecycleConfiguration",
        "Rules",
        {"Rules": [RULE]},
        "NoSuchLifecycleConfiguration",
        "delete_bucket_lifecycle",
    ),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_kept_and_given_back(s3: Any, bucket: str, name: str) -> None:
    member, inside, document, absent, delete = DOCUMENTS[name]
    put, get = getattr(s3, f"put_{name}"), getattr(s3, f"get_{name}")
    assert code(get, Bucket=bucket) == absent
    put(Bucket=bucket, **{member: document})
    assert get(Bucket=bucket)[inside] == document[inside]
    getattr(s3, delete)(Bucket=bucket)
    assert code(get, Bucket=bucket) == absent
    assert code(get, Bucket="nowhere") == "NoSuchBucket"


def test_what_is_refused_changes_nothing(s3: Any, bucket: str) -> None:
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [RULE]})
    moved = {**RULE, "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}
    refused = code(s3.put_bucket_lifecycle_configuration, Bucket=bucket, LifecycleConfiguration={"Rules": [moved]})
    assert refused == "NotImplemented"
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == [RULE]


def test_what_nothing_is_done_about_is_told(s3: Any, bucket: str) -> None:
    """What Terraform asks of each bucket."""
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=bucket)
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=bucket)
    assert set(s3.get_bucket_notification_configuration(Bucket=bucket)) == {"ResponseMetadata"}
    assert code(s3.get_bucket_replication, Bucket=bucket) == "ReplicationConfigurationNotFoundError"
    s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    logs = {"LoggingEnabled": {"TargetBucket": bucket, "TargetPrefix": ""}}
    assert code(s3.put_bucket_logging, Bucket=bucket, BucketLoggingStatus=logs) == "NotImplemented"


def test_public_access_is_blocked_until_somebody_opens_it(s3: Any, bucket: str) -> None:
    public = json.dumps(allow(bucket, "*", "s3:GetObject"))
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    assert code(s3.put_bucket_policy, Bucket=bucket, Policy=public) == "AccessDenied"
    assert code(s3.put_bucket_acl, Bucket=bucket, ACL="public-read") == "AccessControlListNotSupported"
    controls = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]
    assert controls == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    s3.delete_bucket_ownership_controls(Bucket=bucket)
    assert code(s3.put_bucket_acl, Bucket=bucket, ACL="public-read") == "AccessDenied"
    s3.delete_public_access_block(Bucket=bucket)
    assert code(s3.get_public_access_block, Bucket=bucket) == "NoSuchPublicAccessBlockConfiguration"
    assert code(s3.get_bucket_ownership_controls, Bucket=bucket) == "OwnershipControlsNotFoundError"
    s3.put_bucket_policy(Bucket=bucket, Policy=public)
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert len(s3.get_bucket_acl(Bucket=bucket)["Grants"]) == 2
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    refused = code(s3.put_bucket_ownership_controls, Bucket=bucket, OwnershipControls=enforced)
    assert refused == "InvalidBucketAclWithObjectOwnership"


def allow(bucket: str, principal: Any, *actions: str, effect: str = "Allow", **more: Any) -> Json:
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    one = {"Effect": effect, "Principal": principal, "Action": list(actions), "Resource": resources, **more}
    return {"Version": "2012-10-17", "Statement": [one]}


def test_a_policy_is_given_back_as_it_was_written(s3: Any, bucket: str) -> None:
    assert code(s3.get_bucket_policy, Bucket=bucket) == "NoSuchBucketPolicy"
    text = json.dumps(allow(bucket, {"AWS": "123456789012"}, "s3:GetObject"), indent=3)
    s3.put_bucket_policy(Bucket=bucket, Policy=text)
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == text
    assert not s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"]
    assert code(s3.put_bucket_policy, Bucket=bucket, Policy="{}") == "MalformedPolicy"
    s3.delete_bucket_policy(Bucket=bucket)
    assert code(s3.get_bucket_policy, Bucket=bucket) == "NoSuchBucketPolicy"


def test_a_deny_binds_even_who_wrote_it_and_can_be_taken_back(house: ServiceHarness, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(allow(bucket, "*", "s3:*", effect="Deny")))
    assert code(s3.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    editor = house.conductor.add(User("editor", access_key="AKIAEDITOREDITOREDIT"))
    house.conductor.refuse("editor", "delete")
    theirs = house.boto3_client("s3", editor, **V4)
    assert code(theirs.delete_bucket_policy, Bucket=bucket) == "AccessDenied"
    s3.delete_bucket_policy(Bucket=bucket)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    shutting_out = json.dumps(allow(bucket, "*", "s3:PutBucketPolicy", effect="Deny"))
    assert code(theirs.put_bucket_policy, Bucket=bucket, Policy=shutting_out) == "AccessDenied"
    theirs.put_bucket_policy(Bucket=bucket, Policy=shutting_out, ConfirmRemoveSelfBucketAccess=True)


def test_who_may_not_change_a_bucket_changes_no_document(house: ServiceHarness, s3: Any, bucket: str) -> None:
    viewer = house.conductor.add(User("viewer", access_key="AKIAVIEWERVIEWERVIEW"))
    for verb in ("create", "update", "delete"):
        house.conductor.refuse("viewer", verb)
    theirs = house.boto3_client("s3", viewer, **V4)
    for name, (member, _, document, _, delete) in DOCUMENTS.items():
        assert code(getattr(theirs, f"put_{name}"), Bucket=bucket, **{member: document}) == "AccessDenied"
        assert code(getattr(theirs, delete), Bucket=bucket) == "AccessDenied"
    for call in (theirs.delete_public_access_block, theirs.delete_bucket_ownership_controls):
        assert code(call, Bucket=bucket) == "AccessDenied"


def test_default_encryption_is_that_of_the_resource(house: ServiceHarness, s3: Any, bucket: str) -> None:
    def told() -> Json:
        rule = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
        return dict(rule["ApplyServerSideEncryptionByDefault"])

    assert told() == {"SSEAlgorithm": "AES256"}
    named = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/own"}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": named, "BucketKeyEnabled": False}]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rules)
    assert told() == named
    resource = house.run(house.resources.get(BUCKET, bucket, "default"))
    assert resource.spec.encryption.key == "alias/own"
    s3.delete_bucket_encryption(Bucket=bucket)
    assert told() == {"SSEAlgorithm": "AES256"}


def test_object_lock_needs_versions_and_stays(s3: Any, bucket: str) -> None:
    lock = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    assert code(s3.get_object_lock_configuration, Bucket=bucket) == "ObjectLockConfigurationNotFoundError"
    refused = code(s3.put_object_lock_configuration, Bucket=bucket, ObjectLockConfiguration=lock)
    assert refused == "InvalidBucketState"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=lock)
    assert s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"] == lock
    suspended = {"Status": "Suspended"}
    assert code(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=suspended) == "InvalidBucketState"
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"]
    assert s3.head_object(Bucket=bucket, Key="k")["ObjectLockMode"] == "GOVERNANCE"
    assert code(s3.delete_object, Bucket=bucket, Key="k", VersionId=version) == "AccessDenied"
    s3.delete_object(Bucket=bucket, Key="k", VersionId=version, BypassGovernanceRetention=True)


def test_a_bucket_is_made_locked_or_with_its_list(s3: Any) -> None:
    s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    assert s3.get_bucket_versioning(Bucket="locked")["Status"] == "Enabled"
    locked = s3.get_object_lock_configuration(Bucket="locked")["ObjectLockConfiguration"]
    assert locked == {"ObjectLockEnabled": "Enabled"}
    refused = code(s3.create_bucket, Bucket="open", ACL="public-read")
    assert refused == "InvalidBucketAclWithObjectOwnership"
    refused = code(s3.create_bucket, Bucket="open", ACL="public-read", ObjectOwnership="ObjectWriter")
    assert refused == "InvalidBucketAclWithBlockPublicAccessError"
    assert code(s3.head_bucket, Bucket="open") == "404"
    s3.create_bucket(Bucket="open", ObjectOwnership="BucketOwnerPreferred")
    rules = s3.get_bucket_ownership_controls(Bucket="open")["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerPreferred"}]


def test_where_ownership_is_enforced_a_list_may_say_what_holds_anyway(s3: Any, bucket: str) -> None:
    """s3cmd copies an object, then gives it the list that it read."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for get, put, named in (
        (s3.get_object_acl, s3.put_object_acl, {"Bucket": bucket, "Key": "k"}),
        (s3.get_bucket_acl, s3.put_bucket_acl, {"Bucket": bucket}),
    ):
        answer = get(**named)
        read = {"Owner": answer["Owner"], "Grants": answer["Grants"]}
        put(**named, AccessControlPolicy=read)
        less = {**read, "Grants": [{**read["Grants"][0], "Permission": "READ"}]}
        for other in (
            {"AccessControlPolicy": less},
            {"ACL": "private"},
            {"AccessControlPolicy": {**read, "Grants": []}},
        ):
            assert code(put, **named, **other) == "AccessControlListNotSupported"
        assert get(**named)["Grants"] == read["Grants"]
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="bucket-owner-full-control")


def test_the_version_of_the_protocol_may_be_said(house: ServiceHarness, s3: Any, bucket: str) -> None:
    """As the SDK for C++ does, and pyarrow with it."""

    version = ["2006-03-01", "2026-01-01"]

    def say(request: Any, **_: Any) -> None:
        request.headers["x-amz-api-version"] = version.pop(0)

    s3.meta.events.register_first("before-sign.s3.*", say)
    try:
        s3.get_bucket_location(Bucket=bucket)
        assert code(s3.get_bucket_location, Bucket=bucket) == "InvalidArgument"
    finally:
        s3.meta.events.unregister("before-sign.s3.*", say)


def test_lists_of_objects_count_where_ownership_is_not_enforced(house: ServiceHarness, s3: Any, bucket: str) -> None:
    team = house.conductor.add(User("cat", namespace="cats", access_key="AKIACATCATCATCATCATC"))
    theirs = house.boto3_client("s3", team, **V4)
    listed = {"Bucket": bucket, "Key": "k", "Body": b"x", "ACL": "authenticated-read"}
    assert code(s3.put_object, **listed) == "AccessControlListNotSupported"
    s3.put_object(**{**listed, "ACL": "bucket-owner-full-control"})
    s3.delete_bucket_ownership_controls(Bucket=bucket)
    assert code(s3.put_object, **listed) == "AccessDenied"
    s3.delete_public_access_block(Bucket=bucket)
    assert code(theirs.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    s3.put_object(**listed)
    assert theirs.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    grants = s3.get_object_acl(Bucket=bucket, Key="k")["Grants"]
    assert [each["Permission"] for each in grants] == ["READ", "FULL_CONTROL"]
    assert code(theirs.get_object_acl, Bucket=bucket, Key="k") == "AccessDenied"
    s3.put_object_acl(Bucket=bucket, Key="k", ACL="private")
    assert code(theirs.get_object, Bucket=bucket, Key="k") == "AccessDenied"
    s3.put_bucket_acl(Bucket=bucket, ACL="public-read-write")
    theirs.put_object(Bucket=bucket, Key="gift", Body=b"y")
    assert code(s3.get_object, Bucket=bucket, Key="gift") == "AccessDenied"
    upload = theirs.create_multipart_upload(Bucket=bucket, Key="gift")
    told = s3.list_multipart_uploads(Bucket=bucket)["Uploads"][0]
    assert told["UploadId"] == upload["UploadId"] and told["Owner"]["DisplayName"] == "cats"
    theirs.put_object(Bucket=bucket, Key="gift", Body=b"y", ACL="bucket-owner-read")
    listed = {each["Key"]: each["Owner"]["DisplayName"] for each in s3.list_objects(Bucket=bucket)["Contents"]}
    assert listed == {"gift": "cats", "k": "default"}
    assert s3.get_object(Bucket=bucket, Key="gift")["Body"].read() == b"y"
    s3.put_bucket_ownership_controls(
        Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    )
    theirs.put_object(Bucket=bucket, Key="gift", Body=b"y", ACL="bucket-owner-full-control")
    assert s3.get_object_acl(Bucket=bucket, Key="gift")["Owner"]["DisplayName"] == "default"


def test_conditions_look_at_where_a_request_comes_from(house: ServiceHarness, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.delete_public_access_block(Bucket=bucket)
    near = {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}
    shop = {"StringLike": {"aws:Referer": "https://shop.example/*"}}
    statements = [allow(bucket, "*", "s3:GetObject", Condition=each)["Statement"][0] for each in (near, shop)]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    url = f"{house.url}/{bucket}/k"
    assert httpx.get(url).status_code == 403
    assert httpx.get(url, headers={"referer": "https://shop.example/a"}).status_code == 200
    assert httpx.get(url, headers={"x-aerekos-source-ip": "192.0.2.9"}).status_code == 200
    assert httpx.get(url, headers={"x-aerekos-source-ip": "198.51.100.9"}).status_code == 403


def test_tags_of_the_object_decide(house: ServiceHarness, s3: Any, bucket: str) -> None:
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="open", Body=b"x", Tagging="public=yes")
    s3.put_object(Bucket=bucket, Key="closed", Body=b"x", Tagging="public=no")
    tagged = {"StringEquals": {"s3:ExistingObjectTag/public": "yes"}}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(allow(bucket, "*", "s3:GetObject", Condition=tagged)))
    assert httpx.get(f"{house.url}/{bucket}/open").status_code == 200
    assert httpx.get(f"{house.url}/{bucket}/closed").status_code == 403


def test_a_preflight_is_asked_by_nobody(house: ServiceHarness, s3: Any, bucket: str) -> None:
    url, asked = f"{house.url}/{bucket}/k", {"origin": "https://a", "access-control-request-method": "PUT"}
    assert "<Code>AccessForbidden</Code>" in httpx.options(url, headers=asked).text
    rule = {"AllowedMethods": ["PUT"], "AllowedOrigins": ["https://a"], "AllowedHeaders": ["*"], "MaxAgeSeconds": 5}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    told = httpx.options(url, headers={**asked, "access-control-request-headers": "X-Amz-Date"})
    assert told.status_code == 200 and told.headers["access-control-max-age"] == "5"
    assert told.headers["access-control-allow-headers"] == "x-amz-date"
    assert httpx.options(f"{house.url}/no-such-bucket/k", headers=asked).status_code == 403
    assert httpx.options(url).status_code == 400
