"""Configuration documents: what S3 takes, with which words it refuses the rest, and what is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.storage_manager.answers import render_answer
from services.storage_manager.configuration import (
    acl,
    bucket_policy,
    cors,
    encryption,
    lifecycle,
    object_lock,
    owners,
    ownership,
    public_access,
    tagging,
    unset,
    website,
)
from services.storage_manager.configuration.documents import Document, read_document
from services.storage_manager.errors import S3Error

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANN, BEN = owners.owner_of("ann"), owners.owner_of("ben")
Check = Callable[[Document], Document]


def code_of(check: Callable[[], Any]) -> str:
    with pytest.raises(S3Error) as refused:
        check()
    return refused.value.code


def put(operation: str, check: Check, xml: str) -> Document:
    return check(read_document(operation, xml.encode()))


def rule(inside: str, id: str = "") -> str:
    named = f"<ID>{id}</ID>" if id else ""
    return f"<LifecycleConfiguration><Rule>{named}{inside}</Rule></LifecycleConfiguration>"


ENABLED, ALL_KEYS = "<Status>Enabled</Status>", "<Filter><Prefix/></Filter>"
DAYS = "<Expiration><Days>1</Days></Expiration>"
ABORT = (
    "<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
)
TAG = "<Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter>"
LIFECYCLE = [
    (f"{ENABLED}{ALL_KEYS}{DAYS}", ""),
    (f"{ENABLED}<Prefix>a/</Prefix>{DAYS}", ""),
    (f"{ENABLED}{DAYS}", "MalformedXML"),
    (f"<Status>enabled</Status>{ALL_KEYS}{DAYS}", "MalformedXML"),
    (f"{ALL_KEYS}{DAYS}", "MalformedXML"),
    (f"{ENABLED}{ALL_KEYS}", "InvalidRequest"),
    (f"{ENABLED}{ALL_KEYS}<Expiration><Days>0</Days></Expiration>", "InvalidArgument"),
    (f"{ENABLED}{ALL_KEYS}<Expiration><Days>x</Days></Expiration>", "MalformedXML"),
    (f"{ENABLED}{ALL_KEYS}<Expiration/>", "MalformedXML"),
    (f"{ENABLED}{ALL_KEYS}<Expiration><Days>1</Days><Date>2026-01-01T00:00:00Z</Date></Expiration>", "MalformedXML"),
    (f"{ENABLED}{ALL_KEYS}<Expiration><Date>2026-01-01T00:00:00Z</Date></Expiration>", ""),
    (f"{ENABLED}{ALL_KEYS}<Expiration><Date>2026-01-01T01:00:00Z</Date></Expiration>", "InvalidArgument"),
    (f"{ENABLED}{ALL_KEYS}<Expiration><Date>yesterday</Date></Expiration>", "MalformedXML"),
    (f"{ENABLED}{ALL_KEYS}{ABORT}", ""),
    (f"{ENABLED}{TAG}{ABORT}", "InvalidRequest"),
    (f"{ENABLED}{TAG}{DAYS}", ""),
    (
        f"{ENABLED}{ALL_KEYS}<NoncurrentVersionExpiration><NewerNoncurrentVersions>2</NewerNoncurrentVersions>"
        "</NoncurrentVersionExpiration>",
        "MalformedXML",
    ),
    (
        f"{ENABLED}{ALL_KEYS}<Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>",
        "NotImplemented",
    ),
    (f"{ENABLED}{ALL_KEYS}{DAYS}<Unknown/>", "MalformedXML"),
    (f"{ENABLED}<Filter><Prefix>a</Prefix><ObjectSizeLessThan>1</ObjectSizeLessThan></Filter>{DAYS}", "MalformedXML"),
    (f"{ENABLED}<Filter><And><Prefix>a</Prefix></And></Filter>{DAYS}", "MalformedXML"),
    (f"<ID>{'x' * 256}</ID>{ENABLED}{ALL_KEYS}{DAYS}", "InvalidArgument"),
    (f"<ID>a&#13;&#10;content-length: 0</ID>{ENABLED}{ALL_KEYS}{DAYS}", "InvalidArgument"),
    (f"<ID>älter als ein Tag</ID>{ENABLED}{ALL_KEYS}{DAYS}", ""),
]


@pytest.mark.parametrize(("inside", "wanted"), LIFECYCLE)
def test_rules_of_a_lifecycle(inside: str, wanted: str) -> None:
    def read() -> Document:
        return put("PutBucketLifecycleConfiguration", lifecycle.check_lifecycle, rule(inside))

    if wanted:
        assert code_of(read) == wanted
        return
    kept = read()
    assert kept["Rules"][0]["ID"]
    render_answer("GetBucketLifecycleConfiguration", lifecycle.shown_lifecycle(kept))


def test_two_rules_of_one_name_are_refused() -> None:
    one = f"<Rule><ID>a</ID>{ENABLED}{ALL_KEYS}{DAYS}</Rule>"
    body = f"<LifecycleConfiguration>{one}{one}</LifecycleConfiguration>"
    check = lifecycle.check_lifecycle
    assert code_of(lambda: put("PutBucketLifecycleConfiguration", check, body)) == "InvalidArgument"


def cors_rule(**lists: list[str]) -> Document:
    return {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], **lists}]}


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        (cors_rule(), ""),
        ({}, "MalformedXML"),
        (cors_rule(AllowedMethods=["PATCH"]), "InvalidRequest"),
        (cors_rule(AllowedOrigins=["http://*.a.*"]), "InvalidRequest"),
        (cors_rule(AllowedHeaders=["*x*"]), "InvalidRequest"),
        (cors_rule(ExposeHeaders=["*"]), "InvalidRequest"),
        (cors_rule(ExposeHeaders=["a\r\nset-cookie: b"]), "InvalidRequest"),
        ({"CORSRules": cors_rule()["CORSRules"] * 101}, "MalformedXML"),
    ],
)
def test_rules_of_cors(document: Document, wanted: str) -> None:
    if wanted:
        assert code_of(lambda: cors.check_cors(document)) == wanted
    else:
        assert cors.check_cors(document) == document


@pytest.mark.parametrize(
    ("pattern", "origin", "allowed"),
    [
        ("*", "https://a", "*"),
        ("https://*.a", "https://b.a", "https://b.a"),
        ("https://*.a", "https://a", None),
        ("*suffix", "foo.suffix", "foo.suffix"),
        ("start*end", "startend", "startend"),
        ("start*end", "start1end", "start1end"),
        ("aba*ba", "aba", None),
        ("https://a", "HTTPS://A", "HTTPS://A"),
        ("https://a", "https://a.evil", None),
    ],
)
def test_origins_of_cors(pattern: str, origin: str, allowed: str | None) -> None:
    found = cors.matching_rule(cors_rule(AllowedOrigins=[pattern]), origin, "GET")
    assert (cors.answer_headers(found, origin)["access-control-allow-origin"] if found else None) == allowed


def test_a_preflight_asks_for_headers_and_method() -> None:
    document = cors_rule(AllowedHeaders=["x-amz-*"], ExposeHeaders=["etag"])
    asked = {"origin": "https://a", "access-control-request-method": "GET"}
    found = cors.preflight_headers(document, {**asked, "access-control-request-headers": "X-Amz-Date"})
    assert found["access-control-allow-headers"] == "x-amz-date"
    assert found["access-control-expose-headers"] == "etag"
    assert "access-control-allow-credentials" not in found
    bad = {**asked, "access-control-request-headers": "x-other"}
    assert code_of(lambda: cors.preflight_headers(document, bad)) == "AccessForbidden"
    assert code_of(lambda: cors.preflight_headers(None, asked)) == "AccessForbidden"
    assert code_of(lambda: cors.preflight_headers(document, {"origin": "https://a"})) == "BadRequest"
    assert code_of(lambda: cors.preflight_headers(document, {})) == "BadRequest"
    wrong = {**asked, "access-control-request-method": "PUT"}
    assert code_of(lambda: cors.preflight_headers(document, wrong)) == "AccessForbidden"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a=1&b=", {"a": "1", "b": ""}),
        ("", {}),
        ("a%20b=c%2Bd", {"a b": "c+d"}),
        ("a=1&a=2", "InvalidTag"),
        ("aws:a=1", "InvalidTag"),
        ("=1", "InvalidTag"),
        (f"{'k' * 129}=1", "InvalidTag"),
        (f"k={'v' * 257}", "InvalidTag"),
        ("k=<", "InvalidTag"),
        ("&".join(f"k{each}=v" for each in range(11)), "BadRequest"),
        ("a", {"a": ""}),
    ],
)
def test_tags_in_a_header(text: str, wanted: dict[str, str] | str) -> None:
    if isinstance(wanted, str):
        assert code_of(lambda: tagging.header_tags(text)) == wanted
    else:
        assert tagging.header_tags(text) == wanted


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        ({"IndexDocument": {"Suffix": "index.html"}}, ""),
        ({"RedirectAllRequestsTo": {"HostName": "a"}}, ""),
        ({"RedirectAllRequestsTo": {"HostName": "www.example.org:8443"}}, ""),
        *(
            ({"RedirectAllRequestsTo": {"HostName": name}}, "InvalidArgument")
            for name in ("", "a\r\ncontent-length: 0", "a\n", "a/b", "ü.example", "a b", "a@b", "-a", "a" * 261)
        ),
        (
            {"IndexDocument": {"Suffix": "i"}, "RoutingRules": [{"Redirect": {"HostName": "a\r\nb: c"}}]},
            "InvalidArgument",
        ),
        ({}, "InvalidArgument"),
        ({"IndexDocument": {"Suffix": "a/b"}}, "InvalidArgument"),
        ({"IndexDocument": {"Suffix": "i"}, "ErrorDocument": {"Key": ""}}, "InvalidArgument"),
        ({"IndexDocument": {"Suffix": "i"}, "RedirectAllRequestsTo": {"HostName": "a"}}, "InvalidArgument"),
        ({"RedirectAllRequestsTo": {"HostName": "a", "Protocol": "gopher"}}, "InvalidRequest"),
        ({"IndexDocument": {"Suffix": "i"}, "RoutingRules": [{"Redirect": {}}]}, "MalformedXML"),
        (
            {"IndexDocument": {"Suffix": "i"}, "RoutingRules": [{"Redirect": {"HttpRedirectCode": "404"}}]},
            "InvalidRequest",
        ),
    ],
)
def test_websites(document: Document, wanted: str) -> None:
    if wanted:
        assert code_of(lambda: website.check_website(document)) == wanted
    else:
        assert website.check_website(document) == document


def sse(algorithm: str, **more: Any) -> Document:
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm, **more}}]}


def test_default_encryption_and_the_spec_say_the_same() -> None:
    for document, key in (
        (sse("AES256"), None),
        (sse("aws:kms"), "alias/aws/s3"),
        (sse("aws:kms", KMSMasterKeyID="alias/own"), "alias/own"),
    ):
        kept = encryption.check_encryption(document)
        assert encryption.encryption_spec(kept) == {"enabled": True, "key": key}
        assert encryption.encryption_document(key, kept) == kept
        assert encryption.encryption_spec(encryption.encryption_document(key, None))["key"] == key
    changed = encryption.encryption_document("alias/other", sse("AES256"))
    assert encryption.encryption_spec(changed)["key"] == "alias/other"
    assert code_of(lambda: encryption.check_encryption(sse("AES256", KMSMasterKeyID="k"))) == "InvalidArgument"
    assert code_of(lambda: encryption.check_encryption(sse("aws:kms:dsse"))) == "NotImplemented"
    assert code_of(lambda: encryption.check_encryption({"Rules": [{}]})) == "MalformedXML"


def lock(**retention: Any) -> Document:
    return {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": retention}}


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        ({"ObjectLockEnabled": "Enabled"}, ""),
        (lock(Mode="GOVERNANCE", Days=1), ""),
        (lock(Mode="COMPLIANCE", Years=1), ""),
        ({"ObjectLockEnabled": "Disabled"}, "MalformedXML"),
        (lock(Mode="governance", Days=1), "MalformedXML"),
        (lock(Mode="GOVERNANCE", Days=1, Years=1), "MalformedXML"),
        (lock(Mode="GOVERNANCE"), "MalformedXML"),
        (lock(Mode="GOVERNANCE", Days=0), "InvalidRetentionPeriod"),
        (lock(Mode="GOVERNANCE", Years=-1), "InvalidRetentionPeriod"),
        (lock(Mode="GOVERNANCE", Years=101), "InvalidRetentionPeriod"),
    ],
)
def test_object_lock(document: Document, wanted: str) -> None:
    if wanted:
        assert code_of(lambda: object_lock.check_lock(document)) == wanted
    else:
        assert object_lock.check_lock(document) == document


MOMENTS = st.integers(-3, 3).map(lambda days: NOW + timedelta(days=days))
RETENTIONS = st.none() | st.builds(object_lock.retention_of, st.sampled_from(sorted(object_lock.MODES)), MOMENTS)


@given(RETENTIONS, RETENTIONS, st.booleans(), MOMENTS)
def test_no_change_of_a_retention_lets_anything_go_earlier(
    old: Document | None, new: Document | None, bypass: bool, later: datetime
) -> None:
    """What could not be deleted then, cannot be deleted after a change that was let through, unless bypassed."""

    def deletable(retention: Document | None) -> bool:
        try:
            object_lock.require_deletable(retention, on_hold=False, now=max(NOW, later), bypass=False)
        except S3Error:
            return False
        return True

    try:
        object_lock.require_retention_change(old, new or {}, NOW, bypass=bypass)
    except S3Error:
        return
    if not bypass or (old and old["Mode"] == object_lock.COMPLIANCE):
        assert deletable(old) or not deletable(new)


def test_compliance_binds_everybody_and_a_hold_whoever_bypasses() -> None:
    kept = object_lock.retention_of("COMPLIANCE", NOW + timedelta(days=1))
    for held, retention in ((False, kept), (True, None)):
        with pytest.raises(S3Error, match="object lock"):
            object_lock.require_deletable(retention, on_hold=held, now=NOW, bypass=True)
    governed = object_lock.retention_of("GOVERNANCE", NOW + timedelta(days=1))
    object_lock.require_deletable(governed, on_hold=False, now=NOW, bypass=True)
    object_lock.require_deletable(kept, on_hold=False, now=NOW + timedelta(days=1), bypass=False)
    assert code_of(lambda: object_lock.check_retention({"Mode": "GOVERNANCE"}, NOW)) == "MalformedXML"
    past = object_lock.retention_of("GOVERNANCE", NOW)
    assert code_of(lambda: object_lock.check_retention(past, NOW)) == "InvalidArgument"
    assert code_of(lambda: object_lock.check_legal_hold({"Status": "on"})) == "MalformedXML"
    assert object_lock.default_retention(lock(Mode="COMPLIANCE", Days=1), NOW) == kept


@given(st.from_regex(r"\A[0-9]{12}\Z"), st.integers(0, 63), st.sampled_from("0123456789abcdef"))
def test_canonical_ids_say_whose_they_are(account: str, at: int, digit: str) -> None:
    id = owners.canonical_id(account)
    assert owners.account_of_canonical(id) == account
    changed = id[:at] + digit + id[at + 1 :]
    assert changed == id or owners.account_of_canonical(changed) is None


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({"x-amz-acl": "public-read"}, [("READ", acl.EVERYBODY)]),
        ({"x-amz-acl": "authenticated-read"}, [("READ", acl.SIGNED_IN)]),
        ({"x-amz-acl": "bucket-owner-full-control"}, [("FULL_CONTROL", BEN["ID"])]),
        ({"x-amz-acl": "nonsense"}, "InvalidArgument"),
        ({"x-amz-acl": "private", "x-amz-grant-read": 'uri="x"'}, "InvalidRequest"),
        ({"x-amz-grant-read": 'uri="x"'}, "InvalidArgument"),
        ({"x-amz-grant-read": 'id="x"'}, "InvalidArgument"),
        ({"x-amz-grant-read": "x"}, "InvalidArgument"),
        ({"x-amz-grant-read": 'emailAddress="a@b"'}, "UnresolvableGrantByEmailAddress"),
    ],
)
def test_lists_of_headers(headers: dict[str, str], wanted: list[tuple[str, str]] | str) -> None:
    if isinstance(wanted, str):
        assert code_of(lambda: acl.acl_of_headers(headers, ANN, BEN)) == wanted
        return
    found = acl.acl_of_headers(headers, ANN, BEN)
    assert found is not None
    grants = [(each["Permission"], each["Grantee"].get("URI") or each["Grantee"]["ID"]) for each in found["Grants"]]
    assert grants == [*wanted, ("FULL_CONTROL", ANN["ID"])]
    assert b"<Grantee" in render_answer("GetObjectAcl", found)


def test_grants_of_headers_are_all_there_is() -> None:
    given = {
        "x-amz-grant-read": f'id="{BEN["ID"]}", uri="{acl.EVERYBODY}"',
        "x-amz-grant-write-acp": f"id={BEN['ID']}",
    }
    found = acl.acl_of_headers(given, ANN)
    assert found is not None
    ben, ann = owners.account_of_canonical(BEN["ID"]), owners.account_of_canonical(ANN["ID"])
    assert acl.gives(found, "READ", ben) and acl.gives(found, "WRITE_ACP", ben)
    assert not acl.gives(found, "READ_ACP", ann)
    assert acl.gives(found, "READ", None) and not acl.gives(found, "READ", None, public=False)
    assert acl.is_public_acl(found)


def test_lists_in_documents() -> None:
    def grant(permission: str, **grantee: str) -> Document:
        return {"Permission": permission, "Grantee": {"Type": "CanonicalUser", **grantee}}

    def check(document: Document) -> Document:
        return acl.check_acl(document, ANN)

    assert code_of(lambda: check({"Grants": []})) == "MalformedACLError"
    assert code_of(lambda: check({"Owner": BEN, "Grants": []})) == "AccessDenied"
    assert code_of(lambda: check({"Owner": ANN, "Grants": [grant("READ", ID="x")]})) == "InvalidArgument"
    assert code_of(lambda: check({"Owner": ANN, "Grants": [grant("OWN", ID=BEN["ID"])]})) == "MalformedACLError"
    kept = check({"Owner": {"ID": ANN["ID"]}, "Grants": [grant("READ", ID=BEN["ID"], DisplayName="forged")]})
    assert kept["Grants"] == [grant("READ", ID=BEN["ID"])]


def policy(**statement: Any) -> str:
    whole = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::b/*",
        **statement,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [whole]})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (policy(), ""),
        (policy(Resource="arn:aws:s3:::b"), ""),
        (policy(Resource="arn:aws:s3:::*/*"), ""),
        (policy(Resource="arn:aws:s3:::?/*"), ""),
        (policy(Sid="Everybody may read"), ""),
        (policy(Sid="Everybody, may read"), "alpha-numeric"),
        (policy(Resource="arn:aws:s3:::b?/*"), "invalid resource"),
        (policy(Principal={"AWS": "arn:aws:iam::123456789012:user/x"}), ""),
        (policy(Resource="arn:aws:s3:::other/*"), "invalid resource"),
        (policy(Resource="arn:aws:s3:::b-other"), "invalid resource"),
        (policy(Action="kms:Decrypt"), "invalid action"),
        (policy(Principal={"AWS": "nobody"}), "Invalid principal"),
        (policy(Principal={"AWS": "arn:aws:iam::123456789012:user/*"}), "Invalid principal"),
        ("[]", "first byte"),
        ("{", "no JSON"),
        (policy(Resource=[f"arn:aws:s3:::b/{'x' * 20_500}"]), "maximum allowed size"),
    ],
)
def test_policies_of_buckets(text: str, why: str) -> None:
    if why:
        with pytest.raises(S3Error, match=why) as refused:
            bucket_policy.check_bucket_policy(text, "b")
        assert refused.value.code == "MalformedPolicy"
    else:
        assert bucket_policy.check_bucket_policy(text, "b") == text


@pytest.mark.parametrize(
    ("text", "public"),
    [
        (policy(), True),
        (policy(Principal={"AWS": "*"}), True),
        (policy(Effect="Deny"), False),
        (policy(Principal={"AWS": "arn:aws:iam::123456789012:root"}), False),
        (policy(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), False),
        (policy(Condition={"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}), True),
        (policy(Condition={"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "0.0.0.0/1"]}}), True),
        (policy(Condition={"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), True),
        (policy(Condition={"StringEquals": {"aws:PrincipalAccount": "123456789012"}}), False),
        (policy(Condition={"StringLike": {"aws:PrincipalAccount": "*"}}), True),
        (policy(Condition={"StringEqualsIfExists": {"aws:PrincipalAccount": "123456789012"}}), True),
        (policy(Condition={"StringNotEquals": {"aws:PrincipalAccount": "123456789012"}}), True),
        (policy(Condition={"StringEquals": {"s3:ExistingObjectTag/public": "yes"}}), True),
    ],
)
def test_what_is_public(text: str, public: bool) -> None:
    assert public_access.is_public_policy(text) is public


def test_blocks_and_ownership() -> None:
    kept = public_access.check_block({"BlockPublicPolicy": True})
    block = public_access.block_of(kept)
    assert block == public_access.PublicAccessBlock(block_policy=True)
    assert public_access.block_document(block) == kept
    assert code_of(lambda: public_access.require_policy_not_public(block, policy())) == "AccessDenied"
    everybody = acl.canned_acl("public-read", ANN)
    assert code_of(lambda: public_access.require_acl_not_public(public_access.ALL, everybody)) == "AccessDenied"
    public_access.require_acl_not_public(block, everybody)
    assert code_of(lambda: ownership.check_ownership({"Rules": []})) == "MalformedXML"
    assert code_of(lambda: ownership.check_ownership({"Rules": [{"ObjectOwnership": "Mine"}]})) == "MalformedXML"
    for each in ownership.Ownership:
        assert ownership.ownership_of(ownership.ownership_document(each)) is each


def test_what_nothing_is_done_about() -> None:
    assert unset.check_logging({}) == {}
    assert code_of(lambda: unset.check_logging({"LoggingEnabled": {}})) == "NotImplemented"
    assert code_of(lambda: unset.check_acceleration({"Status": "Enabled"})) == "NotImplemented"
    assert code_of(lambda: unset.check_payment({"Payer": "Requester"})) == "NotImplemented"
    assert code_of(lambda: unset.check_replication({})) == "NotImplemented"


@pytest.mark.parametrize(
    "body", [b"", b" ", b"<Other/>", b"<CORSConfiguration><x/></CORSConfiguration>", b"<!DOCTYPE a>"]
)
def test_what_is_no_document(body: bytes) -> None:
    wanted = "MalformedXML" if body.strip() else "MissingRequestBodyError"
    assert code_of(lambda: read_document("PutBucketCors", body)) == wanted
