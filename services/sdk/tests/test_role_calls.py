"""Calls under people's roles: what is sent is signed and readable, credentials are kept, refusals are told apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from services.sdk.aws import role_calls
from services.sdk.aws.model import load_model
from services.sdk.aws.protocols import HttpRequest, codec_for
from services.sdk.aws.role_calls import CallFault, RoleCalls, RoleUse
from services.sdk.aws.sigv4 import RawRequest, derive_key, payload_hash, read_signature, verify
from services.sdk.context import ServiceContext
from services.sdk.testing import virtual_time

USE = RoleUse("arn:aws:iam::000000000000:role/r", "default", "arn:aws:scheduler:::schedule-group/default")
_A_SCHEDULE = {
    "Name": "n",
    "ScheduleExpression": "rate(1 day)",
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "Target": {"Arn": "arn:aws:sqs:us-east-1:000000000000:q", "RoleArn": "arn:aws:iam::000000000000:role/r"},
}
Answer = Callable[[httpx.Request], httpx.Response]


class Clock:
    """As a service's, by hand."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


class Door:
    """The conductor and the gateway."""

    def __init__(self, answer: Answer) -> None:
        self.clock, self.answer = Clock(), answer
        self.sent: list[httpx.Request] = []
        self.assumed = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/auth/sts/service-role":
            self.sent.append(request)
            return self.answer(request)
        self.assumed += 1
        ends = (self.clock.moment + timedelta(hours=1)).isoformat()
        keys = {"accessKeyId": f"ASIA{self.assumed}", "secretAccessKey": "secret", "sessionToken": "token"}
        return httpx.Response(201, json={**keys, "expiration": ends})

    def calls(self) -> RoleCalls:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self), base_url="https://cloud.test:7443")
        context = ServiceContext(
            "schedule-manager-0", "schedule_manager", "127.0.0.1", 0, Path(), "https://cloud.test:7443", client,
            clock=self.clock,
        )  # fmt: skip
        return RoleCalls(context, "scheduler.amazonaws.com")


def fine(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={})


def refusing(code: str, status: int = 400) -> Answer:
    return lambda request: httpx.Response(status, json={"__type": code, "message": "no"})


def require_signed(request: httpx.Request, service: str, now: datetime) -> None:
    """Raises SignatureError."""
    headers = [(name.lower(), value) for name, value in request.headers.items()]
    raw = RawRequest(
        request.method, request.url.raw_path.decode().partition("?")[0], request.url.query.decode(), headers
    )
    signature = read_signature(raw)
    assert signature is not None
    key = derive_key("secret", signature.date, signature.region, service)
    body = hashlib.sha256(request.content).hexdigest()
    made = datetime.strptime(signature.timestamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    verify(raw, signature, key, payload_hash(raw, signature, body), made)


@pytest.mark.parametrize(
    ("service", "operation", "wanted"),
    [
        ("kms", "createKey", {"Description": "d"}),
        ("sqs", "SendMessage", {"QueueUrl": "https://q/1/x", "MessageBody": "\u00fc"}),
        ("iam", "createUser", {"UserName": "ann", "Tags": [{"Key": "a", "Value": "b"}]}),
        ("scheduler", "deleteSchedule", {"Name": "n", "GroupName": "g", "ClientToken": "t"}),
    ],
)
@virtual_time
async def test_what_is_sent_is_signed_and_what_was_asked_for(
    service: str, operation: str, wanted: dict[str, Any]
) -> None:
    door = Door(fine)
    await door.calls().call(USE, service, "eu-central-1", operation, wanted)
    (sent,) = door.sent
    require_signed(sent, load_model(service).signing_name, door.clock.moment)
    assert sent.headers["x-amz-security-token"] == "token"
    path, _, query = sent.url.raw_path.decode().partition("?")
    codec = codec_for(load_model(service))
    told = HttpRequest(sent.method, path, query, dict(sent.headers), sent.content)
    name = codec.route(told)
    assert name == operation[0].upper() + operation[1:]
    assert codec.parse(name, told) == wanted


@virtual_time
async def test_credentials_are_kept_for_half_of_their_life() -> None:
    door = Door(fine)
    calls = door.calls()
    for minutes, assumed in ((0, 1), (29, 1), (31, 2)):
        door.clock.moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
        await calls.call(USE, "kms", "us-east-1", "createKey", {})
        assert door.assumed == assumed


@virtual_time
async def test_a_gateway_that_has_not_heard_of_a_new_key_is_asked_again() -> None:
    unknown = refusing("UnrecognizedClientException")
    door = Door(lambda request: unknown(request) if len(door.sent) < 3 else fine(request))
    await door.calls().call(USE, "kms", "us-east-1", "createKey", {})
    assert (len(door.sent), door.assumed) == (3, 1)


@virtual_time
async def test_a_key_that_is_gone_is_replaced() -> None:
    door = Door(fine)
    calls = door.calls()
    await calls.call(USE, "kms", "us-east-1", "createKey", {})
    door.clock.moment += timedelta(minutes=5)
    door.answer = lambda request: (
        refusing("UnrecognizedClientException")(request)
        if "ASIA1" in request.headers["authorization"]
        else fine(request)
    )
    await calls.call(USE, "kms", "us-east-1", "createKey", {})
    assert door.assumed == 2


@pytest.mark.parametrize(
    ("answer", "code", "lasting"),
    [
        (refusing("com.amazonaws.kms#AccessDeniedException"), "AccessDeniedException", True),
        (refusing("ThrottlingException"), "ThrottlingException", False),
        (refusing("InternalFailure", 500), "InternalFailure", False),
        (lambda _: httpx.Response(404, text="<Error><Code>NoSuchKey</Code></Error>"), "NoSuchKey", True),
        (lambda _: httpx.Response(502, text="?"), "HTTP502", False),
    ],
)  # fmt: skip
@virtual_time
async def test_refusals_that_last_are_told_apart(answer: Answer, code: str, lasting: bool) -> None:
    with pytest.raises(CallFault) as caught:
        await Door(answer).calls().call(USE, "kms", "us-east-1", "createKey", {})
    assert (caught.value.code, caught.value.lasting) == (code, lasting)


@virtual_time
async def test_what_is_no_request_is_not_sent() -> None:
    door = Door(fine)
    for service, operation, request in (
        ("kms", "createKey", {"Description": 3}),
        ("kms", "createKey", {"Colour": "red"}),
        ("kms", "flyToTheMoon", {}),
        ("ec2", "runInstances", {}),
        ("../kms", "createKey", {}),
        ("scheduler", "createSchedule", {**_A_SCHEDULE, "StartDate": 1e30}),
        ("scheduler", "createSchedule", {**_A_SCHEDULE, "StartDate": "no date"}),
    ):
        with pytest.raises(CallFault) as caught:
            await door.calls().call(USE, service, "us-east-1", operation, request)
        assert caught.value.lasting
    assert (door.sent, door.assumed) == ([], 0)


@virtual_time
async def test_what_no_header_can_have_is_not_sent_either() -> None:
    door = Door(fine)
    wanted = {"Bucket": "b", "Key": "k", "ContentDisposition": "\u20ac"}
    with pytest.raises(CallFault) as caught:
        await door.calls().call(USE, "s3", "us-east-1", "createMultipartUpload", wanted)
    assert caught.value.lasting and door.sent == []


@virtual_time
async def test_a_fault_names_members_and_tells_no_values() -> None:
    for wanted in (
        {"Description": ["hunter2"]},
        {"Tags": [{"TagKey": "a", "TagValue": 12345678}]},
        {"Description": 12345678},
    ):
        with pytest.raises(CallFault) as caught:
            await Door(fine).calls().call(USE, "kms", "us-east-1", "createKey", wanted)
        assert next(iter(wanted)) in caught.value.message
        assert "hunter2" not in caught.value.message and "12345678" not in caught.value.message


@virtual_time
async def test_who_comes_while_a_role_is_assumed_waits_for_that() -> None:
    door = Door(fine)
    calls = door.calls()
    answer = door.__call__

    async def slowly(request: httpx.Request) -> httpx.Response:
        await anyio.sleep(1)
        return answer(request)

    transport = httpx.MockTransport(slowly)
    calls._context.client = httpx.AsyncClient(transport=transport, base_url="https://cloud.test:7443")
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(calls.call, USE, "kms", "us-east-1", "createKey", {})
    assert (door.assumed, len(door.sent)) == (1, 10) and calls._assuming == {}


@virtual_time
async def test_of_too_many_roles_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(role_calls, "_REMEMBERED", 2)
    door = Door(fine)
    calls = door.calls()
    for number in (1, 2, 3, 3, 2, 1):
        await calls.call(USE._replace(namespace=f"n{number}"), "kms", "us-east-1", "createKey", {})
    assert door.assumed == 4


@virtual_time
async def test_a_role_that_may_not_be_assumed_is_told() -> None:
    door = Door(fine)
    calls = door.calls()
    status = {"kind": "Status", "reason": "Forbidden", "message": "no such role"}
    transport = httpx.MockTransport(lambda request: httpx.Response(403, content=json.dumps(status)))
    calls._context.client = httpx.AsyncClient(transport=transport, base_url="https://cloud.test")
    with pytest.raises(CallFault) as caught:
        await calls.call(USE, "kms", "us-east-1", "createKey", {})
    assert caught.value.lasting and caught.value.message == "no such role"
