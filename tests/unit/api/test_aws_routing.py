"""Whose request is it? Only the signature's scope says so; headers and presigned URLs, real ones from botocore."""

from __future__ import annotations

import pytest
from botocore.auth import S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from unit.api.components import KMS, House

from api.gateway.aws_routing import refusal, signed_for, signing_names

KEY = Credentials("AKIAEXAMPLE", "secret")


def headers_of(request: AWSRequest) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]


@pytest.mark.parametrize("service", ["kms", "s3", "execute-api"])
def test_a_signed_header_names_its_service(service: str) -> None:
    request = AWSRequest("POST", "https://cloud.test/", data=b"{}")
    SigV4Auth(KEY, service, "us-east-1").add_auth(request)
    assert signed_for(headers_of(request), b"") == service


def test_a_presigned_url_names_its_service() -> None:
    request = AWSRequest("GET", "https://cloud.test/bucket/key?versionId=1")
    S3SigV4QueryAuth(KEY, "s3", "eu-west-1", expires=60).add_auth(request)
    assert signed_for([], request.url.partition("?")[2].encode()) == "s3"


@pytest.mark.parametrize(
    "authorization",
    [
        b"AWS4-HMAC-SHA256",
        b"AWS4-HMAC-SHA256 Credential=",
        b"AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/kms/aws5_request, x",
        b"AWS4-HMAC-SHA256 Credential=AKIA/20260101/kms/aws4_request",
        b"AWS4-HMAC-SHA256 Credential=AKIA/2026-01-01/us-east-1/kms/aws4_request",
        b"AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/../aws4_request",
    ],
)
def test_a_broken_scope_is_signed_for_nothing(authorization: bytes) -> None:
    assert signed_for([(b"authorization", authorization)], b"") == ""


def test_who_did_not_sign_is_no_aws_client() -> None:
    assert signed_for([(b"authorization", b"Bearer x"), (b"x-note", b"AWS4-HMAC-SHA256")], b"a=1") is None
    assert signed_for([], b"X-Amz-Credential=") == ""


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_noise_gets_an_answer(header: bytes, query: bytes) -> None:
    signed_for([(b"authorization", b"AWS4-" + header)], b"X-Amz-Credential=" + query)


def test_a_refusal_says_what_is_spoken_here() -> None:
    names = signing_names([KMS])
    assert names == {"kms": "key-manager"}
    assert refusal("sqs", names) == ("UnknownService", "This cloud does not speak 'sqs'; it speaks: kms.")
    assert refusal("", names)[0] == "IncompleteSignature"


@pytest.mark.anyio
@pytest.mark.parametrize(("scope", "code"), [("sqs", 400), ("kms", 400)])
async def test_aws_clients_are_refused_in_their_own_words(house: House, scope: str, code: int) -> None:
    request = AWSRequest("POST", "https://cloud.test/", data=b"{}")
    SigV4Auth(KEY, scope, "us-east-1").add_auth(request)
    async with house.client(dict(request.headers.items())) as client:
        answer = await client.post("/", content=b"{}")
    assert (answer.status_code, "__type" in answer.json()) == (code, True)
