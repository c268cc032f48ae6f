"""Whatever is sent, a codec answers with an AwsError or with values, and its work grows with the size alone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.sdk.aws.errors import AwsError
from services.sdk.aws.model import load_model
from services.sdk.aws.protocols import Codec, HttpRequest, codec_for
from services.sdk.aws.protocols.cbor import decode
from services.sdk.aws.protocols.http_bindings import header_list
from services.sdk.aws.protocols.shapes import event_stream_of, input_ref
from services.sdk.aws.protocols.validation import Unreadable

SERVICES = {
    "json": "dynamodb",
    "query": "iam",
    "rest-json": "lambda",
    "rest-xml": "s3",
    "smithy-rpc-v2-cbor": "cloudwatch",
}
CODECS: dict[str, Codec] = {name: codec_for(load_model(service), name) for name, service in SERVICES.items()}
OPERATIONS = {
    name: sorted(each for each in codec.operations if not event_stream_of(input_ref(codec.model, each)))
    for name, codec in CODECS.items()
}
BODIES = st.one_of(
    st.binary(max_size=80),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
        max_leaves=12,
    ).map(lambda document: repr(document).replace("'", '"').replace("None", "null").lower().encode()),
    st.lists(
        st.sampled_from(["<a>", "</a>", "<Tagging>", "<TagSet>", "x", "&lt;", "&x;", "<!DOCTYPE a>", "<b/>"])
    ).map(lambda parts: "".join(parts).encode()),
    st.lists(
        st.sampled_from(["Action", "=", "&", ".", "member", "Tags", "1", "0", "-1", "entry", "%", "%ff", "+"])
    ).map(lambda parts: "".join(parts).encode()),
    st.lists(st.sampled_from([0x9F, 0xBF, 0xFF, 0xA1, 0x81, 0x61, 0x78, 0xC1, 0xFB, 0x5F, 0x7F, 0x1B, 0xF9])).map(
        bytes
    ),
)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["x-amz-target", "content-type", "smithy-protocol", "x-amz-object-attributes", "if-modified-since"]
    ),
    st.text(st.characters(max_codepoint=255), max_size=20),
)
ADDRESSES = st.text(st.sampled_from("/{}+%2F0?ab.\x00é"), max_size=20).map(lambda path: f"/{path}")


@pytest.mark.parametrize("protocol", sorted(CODECS))
@given(data=st.data())
def test_garbage_is_refused_in_aws_words(protocol: str, data: st.DataObject) -> None:
    codec = CODECS[protocol]
    method = data.draw(st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "BREW"]))
    query = data.draw(st.text(st.sampled_from("ab=&%2+.~\xff"), max_size=20))
    request = HttpRequest(method, data.draw(ADDRESSES), query, data.draw(HEADERS), data.draw(BODIES))
    try:
        operation = codec.route(request)
    except AwsError:
        operation = data.draw(st.sampled_from(OPERATIONS[protocol]))
        if protocol.startswith("rest"):
            return  # an address that leads to no operation is parsed by none
    try:
        assert isinstance(codec.parse(operation, request), dict)
    except AwsError as refused:
        assert 400 <= refused.status < 500


@pytest.mark.parametrize("protocol", sorted(CODECS))
@given(data=st.data())
def test_every_operation_stands_garbage_in_its_body(protocol: str, data: st.DataObject) -> None:
    codec, operation = CODECS[protocol], data.draw(st.sampled_from(OPERATIONS[protocol]))
    path = str(codec.model.operations[operation]["http"]["requestUri"]).partition("?")[0]
    try:
        codec.parse(operation, HttpRequest("POST", path, "", {}, data.draw(BODIES)))
    except AwsError as refused:
        assert 400 <= refused.status < 500


@given(st.text(st.sampled_from('a,"\\ '), max_size=30))
@example('"')
@example('"\\"')
@example('",')
def test_a_list_in_a_header_is_read_or_refused(text: str) -> None:
    try:
        assert len(header_list(text)) <= text.count(",") + 1
    except Unreadable as refused:
        assert "quotation" in refused.message


@given(st.binary(max_size=60))
@example(b"\x9b" + b"\xff" * 8)  # a list longer than memory
@example(b"\xc1\xfb\x7f\xf0" + bytes(6))  # the end of time
@example(b"\x81" * 1000)
def test_any_bytes_are_one_item_or_none(data: bytes) -> None:
    try:
        decode(data)
    except ValueError:
        return


def calls_of(work: Callable[[], Any]) -> int:
    """How many calls it takes: what a stopwatch would say, on a machine that nothing disturbs."""
    count = 0

    def counted(frame: FrameType, event: str, arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        work()
    except AwsError:
        pass
    finally:
        sys.setprofile(before)
    return count


def attempt(protocol: str, operation: str, body: bytes, *, path: str = "/", query: str = "") -> Callable[[], Any]:
    request = HttpRequest("POST", path, query, {"x-amz-object-attributes": '"' * len(query)}, body)
    return lambda: CODECS[protocol].parse(operation, request)


HEAVY: dict[str, Callable[[int], Callable[[], Any]]] = {
    "deep JSON": lambda n: attempt(
        "json", "PutItem", b'{"TableName":"t","Item":{"a":' + b'{"L":[' * n + b"]}" * n + b"}}"
    ),
    "JSON of brackets": lambda n: attempt("json", "PutItem", b"[" * n),
    "many faults": lambda n: attempt(
        "json", "BatchGetItem", b'{"RequestItems":{' + b",".join(b'"%d":{}' % i for i in range(n)) + b"}}"
    ),
    "deep XML": lambda n: attempt("rest-xml", "PutBucketTagging", b"<Tagging>" * n, path="/b"),
    "XML with text between all elements": lambda n: attempt(
        "rest-xml", "PutBucketTagging", b"<Tagging>" + b"x<TagSet/>" * n + b"</Tagging>", path="/b"
    ),
    "XML of references": lambda n: attempt(
        "rest-xml", "PutBucketTagging", b"<Tagging>" + b"&lt;" * n + b"</Tagging>", path="/b"
    ),
    "a number of many digits": lambda n: attempt("query", "ListUsers", b"MaxItems=" + b"9" * n),
    "a name of many parts": lambda n: attempt("query", "TagUser", b"Tags" + b".member" * n + b"=1"),
    "a list of many": lambda n: attempt(
        "query",
        "TagUser",
        b"UserName=u&" + b"&".join(b"Tags.member.%d.Key=a&Tags.member.%d.Value=b" % (i, i) for i in range(n)),
    ),
    "percent signs": lambda n: attempt("query", "ListUsers", b"Marker=" + b"%41" * n),
    "deep CBOR": lambda n: attempt("smithy-rpc-v2-cbor", "PutMetricData", b"\x81" * n),
    "endless CBOR": lambda n: attempt("smithy-rpc-v2-cbor", "PutMetricData", b"\xbf" + b"\x61a\x5f\x41a\xff" * n),
    "a long query and header": lambda n: attempt("rest-xml", "GetObjectAttributes", b"", path="/b/k", query="a&" * n),
    "a long path": lambda n: attempt("rest-xml", "GetObjectAttributes", b"", path="/b/" + "/a" * n),
    "a long text and its pattern": lambda n: attempt("query", "CreateUser", b"UserName=" + b"a" * n + b"%21"),
}


@pytest.mark.parametrize("kind", sorted(HEAVY))
def test_work_grows_with_the_size_alone(kind: str) -> None:
    calls_of(HEAVY[kind](8))  # compiled once
    small, large = calls_of(HEAVY[kind](500)), calls_of(HEAVY[kind](4_000))
    assert large <= 8.5 * small + 200
