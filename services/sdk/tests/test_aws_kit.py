"""The application around the codecs, and the small helpers: tokens, ARNs, tags."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.kit.clock import SystemClock
from crds.errors import Forbidden
from crds.kinds.config_map import CONFIG_MAP
from services.sdk.aws.app import AwsApp
from services.sdk.aws.arns import Arn, parse_arn
from services.sdk.aws.authentication import AwsAuthenticator, SigningKeys
from services.sdk.aws.error_bodies import error_body
from services.sdk.aws.errors import AwsError, SignatureError
from services.sdk.aws.model import load_model
from services.sdk.aws.operations import RequestContext, declared_operations, operation
from services.sdk.aws.pagination import InvalidToken, PageTokens
from services.sdk.aws.protocols.cbor import decode
from services.sdk.aws.tags import require_tags, tag_fault, tag_list, tags_of
from services.sdk.identity import Caller

Json = dict[str, Any]


class Alarms:
    """Handlers of CloudWatch, which is spoken in three protocols."""

    @operation("DescribeAlarms", permission=None, understands=("AlarmNames",))
    async def describe(self, call: RequestContext, request: Json) -> Json:
        return {"MetricAlarms": [{"AlarmName": each} for each in request["AlarmNames"]]}

    @operation("DeleteAlarms", permission=("delete", CONFIG_MAP))
    async def delete(self, call: RequestContext, request: Json) -> None:
        if request["AlarmNames"] != ["unasked"]:
            call.asked.append(("delete", "configmaps", "x"))
        if request["AlarmNames"] == ["forbidden"]:
            raise Forbidden("not you")


class Objects:
    """Handlers of S3: a body that streams in, one that streams out."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []

    @operation("PutObject", permission=None)
    async def put(self, call: RequestContext, request: Json) -> Json:
        self.blocks = [block async for block in request["Body"]]
        return {"ETag": f"{request['Bucket']}/{request['Key']}"}

    @operation("GetObject", permission=None)
    async def get(self, call: RequestContext, request: Json) -> Json:
        async def twice() -> AsyncIterator[bytes]:
            for block in self.blocks:
                yield block + block

        return {"Body": twice(), "Metadata": {"a": "b"}}


def authenticator() -> AwsAuthenticator:
    async def never(wanted: Json, token: str) -> Json:
        raise AssertionError("nothing is signed here")

    return AwsAuthenticator(SigningKeys(never, SystemClock()), ("monitoring",))


ALARMS = AwsApp(load_model("cloudwatch"), [Alarms()], authenticator())
OBJECTS = AwsApp(load_model("s3"), [Objects()], authenticator())


def ask(
    app: AwsApp, method: str, path: str, headers: dict[str, str], *blocks: bytes
) -> tuple[int, dict[str, str], bytes]:
    sent: list[Any] = []
    given = [{"type": "http.request", "body": each, "more_body": True} for each in blocks]
    waiting = iter([*given, {"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        return next(waiting)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "state": {"caller": Caller("ann"), "request_id": "r1"},
    }
    asyncio.run(app(scope, receive, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(each["body"] for each in sent[1:])


def form(**fields: str) -> bytes:
    return urlencode({"Version": "2010-08-01", **fields}).encode()


def test_one_application_speaks_all_protocols_of_its_model() -> None:
    target = {"x-amz-target": "GraniteServiceVersion20100801.DescribeAlarms"}
    status, _, body = ask(ALARMS, "POST", "/", target, b'{"AlarmNames": ["a"]}')
    assert (status, json.loads(body)) == (200, {"MetricAlarms": [{"AlarmName": "a"}]})
    path = "/service/GraniteServiceVersion20100801/operation/DescribeAlarms"
    status, _, body = ask(ALARMS, "POST", path, {"smithy-protocol": "rpc-v2-cbor"}, b"\xa1\x6aAlarmNames\x81\x61a")
    assert (status, decode(body)) == (200, {"MetricAlarms": [{"AlarmName": "a"}]})
    headers = {"content-type": "application/x-www-form-urlencoded"}
    asked = form(Action="DescribeAlarms", **{"AlarmNames.member.1": "a"})
    status, _, body = ask(ALARMS, "POST", "/", headers, asked)
    assert status == 200
    assert b"<DescribeAlarmsResult><MetricAlarms><member><AlarmName>a</AlarmName></member></MetricAlarms>" in body


@pytest.mark.parametrize(
    ("operation", "document", "status", "code"),
    [
        ("DescribeAlarms", {"AlarmNames": ["a"], "MaxRecords": 3}, 400, "UnsupportedOperationException"),
        ("DeleteAlarms", {"AlarmNames": ["forbidden"]}, 400, "AccessDeniedException"),
        ("DeleteAlarms", {"AlarmNames": ["unasked"]}, 500, "InternalFailure"),
        ("DeleteAlarms", {"AlarmNames": ["asked"]}, 200, None),
        ("DeleteAlarms", {}, 400, "MissingRequiredParameterException"),
        ("PutDashboard", {}, 400, "UnknownOperationException"),
    ],
)
def test_what_is_refused_and_what_is_not(operation: str, document: Json, status: int, code: str | None) -> None:
    target = {"x-amz-target": f"GraniteServiceVersion20100801.{operation}"}
    found, headers, body = ask(ALARMS, "POST", "/", target, json.dumps(document).encode())
    assert (found, headers["x-amzn-requestid"]) == (status, "r1")
    assert (json.loads(body)["__type"] if body else None) == code


def test_bodies_stream_in_and_out() -> None:
    status, headers, _ = ask(OBJECTS, "PUT", "/b/k/", {}, b"ab", b"c")
    assert (status, headers["ETag"]) == (200, "b/k/")
    status, headers, body = ask(OBJECTS, "GET", "/b/k", {})
    assert (status, headers["x-amz-meta-a"], body) == (200, "b", b"ababcc")
    assert "content-length" not in headers
    status, _, body = ask(OBJECTS, "DELETE", "/b/k", {})
    assert (status, b"<Code>NotImplemented</Code>" in body) == (501, True)


def test_declarations_are_checked_against_the_model() -> None:
    class Unknown:
        @operation("Fly", permission=None)
        async def fly(self, call: RequestContext, request: Json) -> Json:
            return {}

    class Member:
        @operation("DeleteAlarms", permission=None, understands=("Wings",))
        async def delete(self, call: RequestContext, request: Json) -> Json:
            return {}

    for each, fault in ((Unknown, "no operation Fly"), (Member, "no member Wings")):
        with pytest.raises(LookupError, match=fault):
            AwsApp(load_model("cloudwatch"), [each()], authenticator())
    with pytest.raises(ValueError, match="twice"):
        AwsApp(load_model("cloudwatch"), [Member(), Alarms()], authenticator())
    assert set(declared_operations(Alarms)) == {"DescribeAlarms", "DeleteAlarms"}


@pytest.mark.parametrize(
    ("protocol", "status", "content_type", "words"),
    [
        ("json", 400, b"application/x-amz-json-1.1", b"InvalidSignatureException"),
        ("rest-json", 403, b"application/json", b"InvalidSignatureException"),
        ("smithy-rpc-v2-cbor", 400, b"application/cbor", b"InvalidSignatureException"),
        ("query", 403, b"text/xml", b"SignatureDoesNotMatch"),
        ("rest-xml", 403, b"text/xml", b"SignatureDoesNotMatch"),
        ("s3", 403, b"application/xml", b"SignatureDoesNotMatch"),
    ],
)
def test_the_gateway_refuses_in_every_protocol(protocol: Any, status: int, content_type: bytes, words: bytes) -> None:
    told = error_body(SignatureError("mismatch", "no").as_error(protocol), protocol, request_id="r")
    assert (told.status, told.content_type, words in told.content) == (status, content_type, True)


TOKENS = PageTokens(b"secret")


@given(names=st.lists(st.text(max_size=5), unique=True, max_size=12), size=st.integers(1, 5))
def test_pages_show_everything_once_and_in_order(names: list[str], size: int) -> None:
    seen: list[str] = []
    token = None
    while True:
        page = TOKENS.page(names, str, ("List", "1"), token, size)
        seen += page.items
        token = page.token
        if token is None:
            break
    assert seen == sorted(names)


@given(data=st.data())
def test_a_changed_token_is_none(data: st.DataObject) -> None:
    token = TOKENS.seal(("List", "1"), "after")
    at = data.draw(st.integers(0, len(token) - 2))  # the last character has bits that say nothing
    other = data.draw(st.sampled_from("ABCxyz019-_").filter(lambda each: each != token[at]))
    for forged in (token[:at] + other + token[at + 1 :], token[:-4], "", token + "AAAA", "é"):
        with pytest.raises(InvalidToken):
            TOKENS.open(("List", "1"), forged)
    with pytest.raises(InvalidToken):
        TOKENS.open(("List", "2"), token)
    with pytest.raises(InvalidToken):
        PageTokens(b"other").open(("List", "1"), token)
    assert PageTokens(b"new", b"secret").open(("List", "1"), token) == "after"


@given(st.text(max_size=40) | st.text(st.sampled_from("arn:aws/k1"), max_size=40))
def test_an_arn_is_read_as_it_was_written(text: str) -> None:
    found = parse_arn(text)
    assert found is None or str(found) == text


def test_arns_have_parts() -> None:
    key = parse_arn("arn:aws:kms:us-east-1:000000000000:alias/a/b:c")
    assert key == Arn("kms", "us-east-1", "000000000000", "alias/a/b:c")
    assert (key.kind, key.name) == ("alias", "a/b:c")
    bucket = parse_arn("arn:aws:s3:::photos")
    assert bucket is not None
    assert (bucket.kind, bucket.name, bucket.account) == ("", "photos", "")
    for wrong in (
        "arn:aws:kms:us-east-1:1:key/x",
        "arn:aws:kms:us east:000000000000:x",
        "arn:aws:kms",
        "urn:a:b:c:d:e",
    ):
        assert parse_arn(wrong) is None


def test_tags_are_checked_and_written_both_ways() -> None:
    tags = tags_of([{"TagKey": "b", "TagValue": "2"}, {"TagKey": "a"}], "TagKey", "TagValue")
    assert tag_list(tags) == [{"Key": "a", "Value": ""}, {"Key": "b", "Value": "2"}]
    with pytest.raises(ValueError, match="Duplicate"):
        tags_of([{"Key": "a"}, {"Key": "a"}])
    assert tag_fault({"Größe": "12 m²", "a/b:c=+-@._": ""}) is None
    for wrong in (
        {"": "x"},
        {"AWS:x": "1"},
        {"a" * 129: ""},
        {"a": "x" * 257},
        {"a": "<"},
        {f"{n}": "" for n in range(51)},
    ):
        assert tag_fault(wrong)
    with pytest.raises(AwsError) as refused:
        require_tags({"aws:x": ""}, "InvalidTag")
    assert refused.value.code == "InvalidTag"
