"""Uploads by browsers' forms: what boto3 presigns, and what a form may and may not say, over real sockets."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sdk.aws import form_upload
from services.sdk.aws.form_upload import FormError, file_blocks, read_fields
from services.sdk.testing import ServiceHarness, User, serving
from services.storage_manager.tests.test_service import V4

Json = dict[str, Any]


@pytest.fixture(scope="module")
def house() -> Iterator[ServiceHarness]:
    with (
        serving("key_manager", secrets={"root-key": bytes(32)}) as keys,
        serving("storage_manager", peer=lambda _: keys.peer_client("storage-manager")) as house,
    ):
        house.boto3_client("s3", **V4).create_bucket(Bucket="box")
        yield house


# What a bucket says whose owner owns all objects; it takes no other list.
OWNERS = "bucket-owner-full-control"


def presigned(house: ServiceHarness, key: str, **more: Any) -> Json:
    return dict(house.boto3_client("s3", **V4).generate_presigned_post("box", key, **more))


def post(house: ServiceHarness, fields: Json, body: bytes = b"hello", name: str = "a.txt") -> httpx.Response:
    return httpx.post(f"{house.url}/box", data=fields, files={"file": (name, body)})


def said(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.text.partition("<Code>")[2].partition("</Code>")[0]


def read(house: ServiceHarness, key: str) -> Any:
    return house.boto3_client("s3", **V4).get_object(Bucket="box", Key=key)


def old_form(user: User, policy: Json, **fields: str) -> Json:
    """As libraries of version 2 sign it."""
    text = base64.b64encode(json.dumps(policy).encode())
    signature = base64.b64encode(hmac.new(user.secret.encode(), text, hashlib.sha1).digest()).decode()
    return {**fields, "AWSAccessKeyId": user.access_key, "policy": text.decode(), "signature": signature}


def policy(*conditions: Any, seconds: int = 600) -> Json:
    ends = datetime.now(UTC) + timedelta(seconds=seconds)
    return {"expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"), "conditions": [{"bucket": "box"}, *conditions]}


def test_what_boto3_presigns_is_taken_and_kept(house: ServiceHarness) -> None:
    form = presigned(
        house,
        "up/${filename}",
        Fields={"x-amz-meta-who": "me", "Content-Type": "text/plain"},
        Conditions=[{"x-amz-meta-who": "me"}, ["starts-with", "$Content-Type", "text/"]],
    )
    answer = post(house, form["fields"], b"x" * 300_000)
    assert (answer.status_code, answer.content) == (204, b"")
    got = read(house, "up/a.txt")
    assert got["Body"].read() == b"x" * 300_000
    assert (got["Metadata"], got["ContentType"]) == ({"who": "me"}, "text/plain")


def test_a_form_says_how_it_is_answered(house: ServiceHarness) -> None:
    ask = presigned(
        house, "a", Fields={"success_action_status": "201"}, Conditions=[{"success_action_status": "201"}]
    )
    answer = post(house, ask["fields"])
    assert answer.status_code == 201 and "<Key>a</Key>" in answer.text and "<Bucket>box</Bucket>" in answer.text
    url = "https://example.com/done?x=1"
    ask = presigned(
        house, "a", Fields={"success_action_redirect": url}, Conditions=[{"success_action_redirect": url}]
    )
    answer = post(house, ask["fields"])
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("https://example.com/done?x=1&bucket=box&key=a&etag=%22")
    odd = {"success_action_redirect": "javascript:alert(1)"}
    ask = presigned(house, "a", Fields=odd, Conditions=[odd])
    assert post(house, ask["fields"]).status_code == 204


def test_nothing_goes_beyond_the_policy(house: ServiceHarness) -> None:
    form = presigned(house, "exact", Conditions=[["content-length-range", 2, 4]])
    fields = form["fields"]
    assert said(post(house, {**fields, "key": "other"}, b"abc")) == (403, "AccessDenied")
    assert said(post(house, {**fields, "x-amz-meta-more": "1"}, b"abc")) == (403, "AccessDenied")
    assert said(post(house, {**fields, "acl": "public-read"}, b"abc")) == (403, "AccessDenied")
    assert said(post(house, fields, b"abcde")) == (400, "EntityTooLarge")
    assert said(post(house, fields, b"a")) == (400, "EntityTooSmall")
    elsewhere = httpx.post(f"{house.url}/else", data=fields, files={"file": ("a", b"abc")})
    assert said(elsewhere) == (403, "AccessDenied")
    listed = house.boto3_client("s3", **V4).list_objects_v2(Bucket="box", Prefix="exact")
    assert listed["KeyCount"] == 0
    assert post(house, {**fields, "x-ignore-me": "1"}, b"abc").status_code == 204


def test_a_signature_is_of_whom_it_says_and_of_this_policy(house: ServiceHarness) -> None:
    fields = presigned(house, "k")["fields"]
    forged = base64.b64encode(json.dumps(policy(["starts-with", "$key", ""])).encode()).decode()
    assert said(post(house, {**fields, "policy": forged})) == (403, "SignatureDoesNotMatch")
    nobody = fields["x-amz-credential"].replace(fields["x-amz-credential"][:20], "AKIANOBODYNOBODYNOBO")
    assert said(post(house, {**fields, "x-amz-credential": nobody})) == (403, "InvalidAccessKeyId")
    unsigned = {name: value for name, value in fields.items() if name != "x-amz-signature"}
    assert said(post(house, unsigned)) == (400, "InvalidArgument")
    without = {name: value for name, value in fields.items() if name != "policy"}
    assert said(post(house, without)) == (400, "InvalidArgument")
    assert said(post(house, {"key": "k"})) == (403, "AccessDenied")  # of anybody


def test_forms_of_version_2_are_judged_the_same(house: ServiceHarness) -> None:
    user = house.conductor.add(User("poster", access_key="AKIAPOSTERPOSTER0001", secret="s" * 40))
    allowed = policy(["starts-with", "$key", "old/"], {"acl": OWNERS})
    assert post(house, old_form(user, allowed, key="old/a", acl=OWNERS)).status_code == 204
    assert said(post(house, old_form(user, allowed, key="new/a", acl=OWNERS))) == (403, "AccessDenied")
    ended = policy(["eq", "$key", "old/a"], seconds=-5)
    assert said(post(house, old_form(user, ended, key="old/a"))) == (403, "AccessDenied")


@pytest.mark.parametrize(
    "broken",
    [
        {"conditions": [{"bucket": "box"}]},
        {"expiration": "tomorrow", "conditions": [{"bucket": "box"}]},
        {"expiration": "2099-01-01 00:00:00+00:00", "conditions": [{"bucket": "box"}]},
        {"expiration": "2099-01-01T00:00:00Z"},
        {"expiration": "2099-01-01T00:00:00Z", "conditions": []},
        {"expiration": "2099-01-01T00:00:00Z", "conditions": [["content-length-range", 1]]},
        {"expiration": "2099-01-01T00:00:00Z", "conditions": [["content-length-range", -1, 5]]},
        {"expiration": "2099-01-01T00:00:00Z", "conditions": [["near", "$key", "a"]]},
        {"expiration": "2099-01-01T00:00:00Z", "conditions": [{"key": 5}]},
        {"expiration": "2099-01-01T00:00:00Z", "conditions": [{"bucket": "box"}], "also": 1},
        [],
    ],
)
def test_a_policy_that_is_none_is_refused(house: ServiceHarness, broken: Any) -> None:
    user = house.conductor.add(User("breaker", access_key="AKIABREAKERBREAKER01", secret="b" * 40))
    assert said(post(house, old_form(user, broken, key="k"))) == (400, "InvalidPolicyDocument")


@pytest.mark.parametrize("body", [b"", b"nonsense", b"--b\r\n", b"--b--\r\n", b"x" * 100_000])
def test_a_form_that_is_none_is_refused(house: ServiceHarness, body: bytes) -> None:
    answer = httpx.post(f"{house.url}/box", content=body, headers={"content-type": "multipart/form-data; boundary=b"})
    assert 400 <= answer.status_code < 500, answer.text


FIELDS = st.dictionaries(st.text("abcxyz-", min_size=1, max_size=8), st.text(max_size=20), max_size=4)


@given(FIELDS, st.binary(max_size=400), st.integers(1, 50))
def test_fields_and_file_come_out_as_they_went_in(fields: dict[str, str], file: bytes, size: int) -> None:
    """However the bytes are cut: a boundary may begin in one message and end in another."""
    boundary = "----b0undary"
    fields = {k: v for k, v in fields.items() if k != "file" and "\r\n--" + boundary not in v}
    if b"\r\n--" + boundary.encode() in file:
        return
    parts = [f'--{boundary}\r\ncontent-disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
    head = f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n'
    whole = "".join([*parts, head]).encode() + file + f"\r\n--{boundary}--\r\n".encode()
    cut = [whole[at : at + size] for at in range(0, len(whole), size)]

    async def receive() -> Json:
        return {"type": "http.request", "body": cut.pop(0), "more_body": bool(cut)}

    async def take() -> tuple[Any, bytes]:
        form = await read_fields(receive, boundary)
        return form, b"".join([block async for block in file_blocks(form, receive)])

    form, content = anyio.run(take)
    assert (form.fields, form.filename, content) == (fields, "f", file)


def test_bytes_that_come_one_by_one_are_not_read_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A form of anybody costs little, however it is sent."""
    looks, parsed = 0, form_upload._parsed

    def counted(*what: Any, **how: Any) -> Any:
        nonlocal looks
        looks += 1
        return parsed(*what, **how)

    async def receive() -> Json:
        return {"type": "http.request", "body": b"x", "more_body": True}

    monkeypatch.setattr(form_upload, "_parsed", counted)
    with pytest.raises(FormError):
        anyio.run(read_fields, receive, "b")
    assert looks < 60


def test_fields_without_end_are_bounded() -> None:
    async def receive() -> Json:
        return {"type": "http.request", "body": b"--b\r\nx: y\r\n" + b"x" * 10_000, "more_body": True}

    with pytest.raises(FormError):
        anyio.run(read_fields, receive, "b")
