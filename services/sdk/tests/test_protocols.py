"""Every operation of the services we mean to answer, both ways, with botocore on the other side.

`make test` takes some operations of each service; `make test-aws-protocols` takes all of them.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore import awsrequest, parsers, serialize
from botocore import model as botocore_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.sdk.aws.errors import AwsError
from services.sdk.aws.model import ServiceModel, load_model
from services.sdk.aws.protocols import Codec, HttpRequest, HttpResponse, chosen_codec, codecs_for
from services.sdk.aws.protocols.shapes import error_refs, event_stream_of, input_ref, output_ref
from services.sdk.tests.aws_values import Wire, drawn_members

SERVICES = (
    "cloudwatch",
    "dynamodb",
    "events",
    "iam",
    "kms",
    "lambda",
    "logs",
    "route53",
    "s3",
    "secretsmanager",
    "ses",
    "sns",
    "sqs",
    "ssm",
    "sts",
)
FULL = os.environ.get("AEREKOS_AWS_PROTOCOLS") == "full"
EXAMPLES = int(os.environ.get("AEREKOS_AWS_EXAMPLES", "12" if FULL else "3"))
SAMPLED = 10
# They need a stream of events, which no protocol here speaks.
WITH_EVENTS = {
    ("lambda", "InvokeWithResponseStream"),
    ("logs", "GetLogObject"),
    ("logs", "StartLiveTail"),
    ("s3", "SelectObjectContent"),
}
# The address is another operation's too: AWS tells directory buckets by the host, and old operations not at all.
SHADOWED = {
    ("s3", "ListDirectoryBuckets"): "ListBuckets",
    ("s3", "GetBucketLifecycle"): "GetBucketLifecycleConfiguration",
    ("s3", "PutBucketLifecycle"): "PutBucketLifecycleConfiguration",
    ("s3", "GetBucketNotification"): "GetBucketNotificationConfiguration",
    ("s3", "PutBucketNotification"): "PutBucketNotificationConfiguration",
}
# Two members of one name, since one replaced the other.
TWO_OF_A_NAME = {("s3", "GetBucketNotification"), ("s3", "PutBucketNotification")}
checked = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@cache
def model_of(service: str) -> ServiceModel:
    """Without patterns: what matches them is not what protocols are about."""
    found = load_model(service)
    shapes = {name: {k: v for k, v in each.items() if k != "pattern"} for name, each in found.shapes.items()}
    return ServiceModel(found.name, found.metadata, found.operations, shapes)


@cache
def codecs_of(service: str) -> dict[str, Codec]:
    return codecs_for(model_of(service))


@cache
def botocore_of(service: str) -> botocore_model.ServiceModel:
    """The same model, without what botocore adds for its users (`service-2.sdk-extras.json`)."""
    found = load_model(service)
    raw = {"metadata": found.metadata, "operations": found.operations, "shapes": found.shapes}
    return botocore_model.ServiceModel(raw, service)


def cases() -> list[Any]:
    """(service, protocol, operation)."""
    found = []
    for service in SERVICES:
        model = load_model(service)
        names = sorted(name for name in model.operations if (service, name) not in WITH_EVENTS | TWO_OF_A_NAME)
        step = 1 if FULL else max(1, len(names) // SAMPLED)
        for protocol in codecs_of(service):
            found += [
                pytest.param(service, protocol, name, id=f"{service}-{protocol}-{name}") for name in names[::step]
            ]
    return found


def sent(service: str, protocol: str, operation: str, params: dict[str, Any]) -> HttpRequest:
    """What botocore's own client would send."""
    serializer = serialize.create_serializer(protocol, include_validation=False)
    raw = serializer.serialize_to_request(params, botocore_of(service).operation_model(operation))
    awsrequest.prepare_request_dict(raw, endpoint_url="http://localhost", context={"is_presign_request": False})
    prepared = awsrequest.create_request_object(raw).prepare()
    body = prepared.body or b""
    parts = urlsplit(prepared.url)
    headers = {name.lower(): text(value) for name, value in prepared.headers.items()}
    return HttpRequest(
        prepared.method, parts.path, parts.query, headers, body.encode() if isinstance(body, str) else body
    )


def text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def received(service: str, protocol: str, response: HttpResponse, shape: Any) -> dict[str, Any]:
    """What botocore's own client would make of an answer."""
    body: Any = response.body
    if shape is not None and shape.serialization.get("payload"):
        payload = shape.members[shape.serialization["payload"]]
        body = bytearray(body) if payload.type_name == "blob" else body  # as a stream: not decoded
    raw = {"status_code": response.status, "headers": awsrequest.HeadersDict(dict(response.headers)), "body": body}
    found = parsers.create_parser(protocol).parse({**raw, "context": {}}, shape)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(("service", "protocol", "operation"), cases())
def test_what_clients_send_is_understood(service: str, protocol: str, operation: str) -> None:
    ref = input_ref(model_of(service), operation)
    codecs = codecs_of(service)

    @checked
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        params = drawn_members(data.draw, Wire(protocol, answer=False), ref) if ref else {}
        request = sent(service, protocol, operation, params)
        assert chosen_codec(codecs, request).protocol == protocol
        assert codecs[protocol].route(request) in (operation, SHADOWED.get((service, operation)))
        found = codecs[protocol].parse(operation, request)
        if "ContentLength" not in params:
            found.pop("ContentLength", None)  # the client's own
        assert found == params

    check()


@pytest.mark.parametrize(("service", "protocol", "operation"), cases())
def test_what_we_answer_is_understood(service: str, protocol: str, operation: str) -> None:
    ref, codec = output_ref(model_of(service), operation), codecs_of(service)[protocol]
    shape = botocore_of(service).operation_model(operation).output_shape
    http_status = load_model(service).operations[operation]["http"].get("responseCode", 200)

    @checked
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        result = drawn_members(data.draw, Wire(protocol, answer=True), ref) if ref else {}
        response = codec.serialize(operation, result, "the-request")
        found = received(service, protocol, response, shape)
        meta = found.pop("ResponseMetadata", {})
        assert meta.get("RequestId", "the-request") == "the-request"
        expected = dict(result)
        for name, member in (ref.members if ref else {}).items():
            place = member.trait("location")
            if place == "headers":
                expected.setdefault(name, {})
                found[name] = {k: v for k, v in found[name].items() if k in expected[name]}
            elif http_status == 204 and place is None:
                expected.pop(name, None)
        if (service, operation) == ("s3", "GetBucketLocation"):
            expected = {}  # botocore's clients read the root's text by a rule of their own
        if "ContentType" not in expected:
            found.pop("ContentType", None)  # what the body is anyway
        assert found == expected

    check()


@pytest.mark.parametrize(
    ("service", "protocol"), [(service, protocol) for service in SERVICES for protocol in codecs_of(service)]
)
def test_errors_are_understood(service: str, protocol: str) -> None:
    codec, declared = codecs_of(service)[protocol], list(error_refs(model_of(service)))

    @settings(checked, max_examples=len(declared) * EXAMPLES // 3 + 1)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        ref = data.draw(st.sampled_from(declared))
        fields = drawn_members(data.draw, Wire(protocol, answer=True), ref)
        message = data.draw(st.text(st.characters(exclude_categories=["C", "Zl", "Zp", "Zs"]), min_size=1))
        fields = {name: each for name, each in fields.items() if name.lower() not in ("message", "code")}
        response = codec.serialize_error(AwsError(ref.name, message, fields=fields), "the-request", resource="/x")
        answer = received(service, protocol, response, None)
        wanted = ref.shape.get("error", {})
        status = wanted.get("httpStatusCode", 500 if ref.shape.get("fault") else 400)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == response.status == status
        assert answer["Error"]["Message"] == message
        code = codec.errors.find(AwsError(ref.name, "")).code
        assert "code" not in wanted or code == wanted["code"]
        assert answer["Error"]["Code"] == (
            code if protocol in ("query", "rest-xml") or codec.is_query_compatible else ref.name
        )
        shape = botocore_of(service).shape_for(ref.name)
        found = received(service, protocol, response, shape)
        # In XML it is said once, as `Message`.
        names = {"Message"} if protocol in ("query", "rest-xml") else {"Message", "message"}
        expected = {**fields, **{name: message for name in ref.members if name in names}}
        assert isinstance(response.body, bytes)
        assert protocol not in ("query", "rest-xml") or b"<message>" not in response.body
        assert {name: each for name, each in found.items() if name in expected} == expected

    check()


def test_only_streams_of_events_are_left_out() -> None:
    found = {
        (service, name)
        for service in SERVICES
        for name in load_model(service).operations
        if event_stream_of(input_ref(load_model(service), name))
        or event_stream_of(output_ref(load_model(service), name))
    }
    assert found == WITH_EVENTS
    for service, name in found:
        codec = next(iter(codecs_of(service).values()))
        with pytest.raises(AwsError) as refused:
            codec.serialize(name, {}, "x")
        assert refused.value.status == 501


def test_a_token_somebody_forgot_is_for_the_service_to_miss() -> None:
    """Clients of AWS make one where the model says so; what a request without one means, the operation knows."""
    request = sent("secretsmanager", "json", "CreateSecret", {"Name": "n"})
    assert codecs_of("secretsmanager")["json"].parse("CreateSecret", request) == {"Name": "n"}
