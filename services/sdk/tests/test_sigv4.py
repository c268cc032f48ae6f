"""Signatures made by botocore, checked by us; anything changed afterwards is noticed."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from services.sdk.aws.errors import SignatureError
from services.sdk.aws.sigv4 import RawRequest, SigningKey, derive_key, payload_hash, read_signature, verify

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
CREDENTIALS = Credentials("AKIDEXAMPLE", SECRET)
PATHS = ["/", "/a/b", "/a%20b", "/a%2Fb", "/%C3%BC"]
QUERIES = ["", "a=1&b=2", "b=2&a=1", "a", "a=%20x%2F&A=~-._", "a=2&a=1"]


def sent(request: AWSRequest) -> RawRequest:
    parts = urlsplit(request.url)
    headers = [(name.lower(), value) for name, value in request.headers.items()]
    if not any(name == "host" for name, _ in headers):
        headers.append(("host", parts.netloc))
    return RawRequest(request.method, parts.path, parts.query, headers)


def signed(service: str, path: str = "/", query: str = "", body: bytes = b"hello") -> RawRequest:
    url = f"https://house.test:7443{path}" + (f"?{query}" if query else "")
    headers = {"X-Amz-Target": "Some.Thing", "Content-Type": "text/plain"}
    request = AWSRequest("POST", url, headers=headers, data=body)
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(CREDENTIALS, service, "us-east-1").add_auth(request)
    return sent(request)


def presigned(path: str, expires: int = 60) -> RawRequest:
    request = AWSRequest("GET", f"https://house.test{path}")
    S3SigV4QueryAuth(CREDENTIALS, "s3", "us-east-1", expires=expires).add_auth(request)
    return sent(request)


def but(request: RawRequest, **changed: Any) -> RawRequest:
    """The same but for that."""
    told = {name: getattr(request, name) for name in ("method", "path", "query", "headers")}
    return RawRequest(**{**told, **changed})


def check(request: RawRequest, body: bytes = b"hello", now: datetime | None = None, secret: str = SECRET) -> None:
    signature = read_signature(request)
    assert signature is not None
    key = derive_key(secret, signature.date, signature.region, signature.service)
    payload = payload_hash(request, signature, hashlib.sha256(body).hexdigest())
    verify(request, signature, key, payload, now or datetime.now(UTC))


@pytest.mark.parametrize("service", ["kms", "s3"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("query", QUERIES)
def test_what_botocore_signs_is_accepted(service: str, path: str, query: str) -> None:
    check(signed(service, path, query))


def test_presigned_urls_work_until_they_expire() -> None:
    request = presigned("/bucket/some%20key")
    check(request, b"")
    with pytest.raises(SignatureError) as late:
        check(request, b"", datetime.now(UTC) + timedelta(seconds=62))
    assert late.value.as_error("s3").code == "AccessDenied"


@pytest.mark.parametrize("service", ["kms", "s3"])
def test_anything_changed_is_noticed(service: str) -> None:
    good = signed(service, "/a/b", "x=1")
    changed = [
        but(good, method="PUT"),
        but(good, path="/a/c"),
        but(good, query="x=2"),
        but(good, query="x=1&y=1"),
        but(good, headers=[(n, "evil" if n == "host" else v) for n, v in good.headers]),
        but(good, headers=[(n, "Some.Other" if n == "x-amz-target" else v) for n, v in good.headers]),
        but(good, headers=[*good.headers, ("x-amz-acl", "public-read")]),
        but(good, headers=[(n, v[:-1] + ("0" if v[-1] != "0" else "1") if n == "authorization" else v)
                               for n, v in good.headers]),
    ]  # fmt: skip
    for each in changed:
        with pytest.raises(SignatureError):
            check(each)
    for body, secret in ((b"hellO", SECRET), (b"hello", "guess")):
        with pytest.raises(SignatureError):
            check(good, body, secret=secret)


@pytest.mark.parametrize("minutes", [-16, 16])
def test_clocks_may_differ_by_a_quarter_of_an_hour(minutes: int) -> None:
    request = signed("s3")
    check(request, now=datetime.now(UTC) + timedelta(minutes=minutes * 14 / 16))
    with pytest.raises(SignatureError) as skewed:
        check(request, now=datetime.now(UTC) + timedelta(minutes=minutes))
    assert skewed.value.as_error("s3").code == "RequestTimeTooSkewed"
    assert skewed.value.as_error("json").code == "InvalidSignatureException"


@pytest.mark.parametrize(
    "header",
    [
        "AWS4-HMAC-SHA256 nonsense",
        "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=00",
        "AWS4-X",
    ],
)
def test_nonsense_is_incomplete(header: str) -> None:
    request = RawRequest("GET", "/", "", [("authorization", header), ("x-amz-date", "20260102T030405Z")])
    with pytest.raises(SignatureError) as caught:
        read_signature(request)
    assert caught.value.as_error("json").code == "IncompleteSignatureException"


def test_unsigned_is_none() -> None:
    assert read_signature(RawRequest("GET", "/", "a=b", [("authorization", "Bearer x")])) is None


@given(st.binary(min_size=1, max_size=200), st.binary(max_size=500))
def test_a_signing_key_makes_the_hmac_of_the_library_each_time(key: bytes, text: bytes) -> None:
    made = SigningKey(key)
    for each in (text, text + b"x", text):
        assert made.signature(each) == hmac.digest(key, each, "sha256").hex()
