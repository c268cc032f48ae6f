"""Who asks too often is told so, in the words they understand, and when to come back; nobody else notices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import anyio
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.retries.standard import ThrottledRetryableChecker
from contracts.api.conftest import Served, an_instance, answering, read_all

from api.asgi import Message, Scope
from api.auth.principal import SERVICES, Principal
from api.channel.settings import GatewaySettings
from api.gateway.aws_errors import as_aws_error
from api.gateway.request_limits import LimitedByAddress, RequestLimits
from crds.errors import TooManyRequests
from services.sdk.aws.errors import Protocol

pytestmark = pytest.mark.anyio
MUCH = 1_000_000
ANN, BEN = Principal("ann", frozenset()), Principal("ben", frozenset())


async def ask(served: Served, who: Principal, path: str = "/services/web/") -> tuple[int, Mapping[str, str], bytes]:
    token = served.house.bearer(who)["authorization"]
    raw = f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\nconnection: close\r\n\r\n"
    code, head, body = await read_all(*await served.connect(), raw.encode())
    lines = (line.partition(": ") for line in head.decode().split("\r\n")[1:])
    return code, {name: value for name, _, value in lines}, body


async def test_a_principal_hears_how_much_is_left_and_when_there_is_more(served: Served) -> None:
    served.house.gateway.limits.use(GatewaySettings(per_principal=2, per_service=MUCH))
    await served.house.add_user("ann", "editor")
    await served.house.add_user("ben", "editor")
    async with an_instance(answering()) as web:
        await served.house.add_service("web", web.address)
        told = [await ask(served, ANN) for _ in range(5)]
        assert [code for code, _, _ in told] == [200, 200, 200, 200, 429]
        assert [head["ratelimit-remaining"] for _, head, _ in told] == ["3", "2", "1", "0", "0"]
        assert {head["ratelimit-limit"] for _, head, _ in told} == {"4"}
        assert [head["ratelimit-reset"] for _, head, _ in told] == ["1", "1", "2", "2", "2"]
        _, head, body = told[-1]
        assert (head["retry-after"], b"TooManyRequests" in body) == ("1", True)
        assert (await ask(served, BEN))[0] == 200
        served.house.clock.forward(1.0)
        assert [(await ask(served, ANN))[0] for _ in range(3)] == [200, 200, 429]
    assert len(web.heads) == 7, "what is refused reaches no instance"


async def test_a_service_is_asked_no_more_than_it_may_be_by_all_together(served: Served) -> None:
    served.house.gateway.limits.use(GatewaySettings(per_service=1))
    for name in ("ann", "ben"):
        await served.house.add_user(name, "editor")
    async with an_instance(answering()) as web:
        for name in ("web", "other"):
            await served.house.add_service(name, web.address)
        told = [await ask(served, who) for who in (ANN, BEN, ANN)]
        assert [code for code, _, _ in told] == [200, 200, 429]
        assert told[0][1]["ratelimit-limit"] == "2", "the tightest limit is told"
        assert (await ask(served, ANN, "/services/other/"))[0] == 200


async def test_services_may_ask_more_and_gateways_share(served: Served) -> None:
    limits = served.house.gateway.limits

    def until_refused(who: Principal) -> int:
        for count in range(1000):
            try:
                limits.admit_principal({}, who)
            except TooManyRequests:
                return count
        return 1000

    limits.use(GatewaySettings(per_principal=10))
    service = Principal("system:service:x", frozenset({SERVICES}))
    assert (until_refused(ANN), until_refused(service)) == (20, 400)
    limits.use(GatewaySettings(per_principal=10, gateways=5))
    served.house.clock.forward(10)
    assert (until_refused(ANN), until_refused(service)) == (4, 80)


def signed(pair: Any, name: str) -> bytes:
    request = AWSRequest("POST", "https://x/", data=b"", headers={"host": "x"})
    SigV4Auth(Credentials(pair.id, pair.secret), name, "us-east-1").add_auth(request)
    lines = "".join(f"{key}: {value}\r\n" for key, value in request.headers.items() if key != "host")
    return f"POST / HTTP/1.1\r\nhost: x\r\n{lines}connection: close\r\n\r\n".encode()


async def test_an_aws_client_hears_of_throttling_in_its_own_words(served: Served) -> None:
    served.house.gateway.limits.use(GatewaySettings(per_principal=1))
    await served.house.add_user("ann", "editor")
    request = signed(served.house.accounts.access_key("ann"), "kms")
    async with an_instance(answering()) as kms:
        await served.house.add_service("key-manager", kms.address)
        told = [await read_all(*await served.connect(), request) for _ in range(3)]
    assert [code for code, _, _ in told] == [200, 200, 400]
    assert b'"__type":"ThrottlingException"' in told[2][2].replace(b" ", b"")
    assert b"x-amzn-errortype: throttlingexception" in told[2][1]
    assert b"\r\nretry-after: 1" in told[2][1] and b"\r\nratelimit-remaining: 0" in told[2][1]


@pytest.mark.parametrize("protocol", get_args(Protocol))
async def test_every_word_is_one_that_sdks_know_to_wait_for(protocol: Protocol) -> None:
    error = as_aws_error(TooManyRequests("slowly", retry_after=3), protocol)
    assert error.code in ThrottledRetryableChecker._THROTTLED_ERROR_CODES
    assert (protocol == "s3") == (error.code == "SlowDown")


class Door:
    """Answers all, and counts."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        self.asked += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})


async def from_address(app: Any, address: str, *headers: tuple[bytes, bytes]) -> list[Message]:
    told: list[Message] = []

    async def send(message: Message) -> None:
        told.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": list(headers)}
    await app({**scope, "client": (address, 1)}, None, send)
    return told


async def test_an_address_is_limited_before_anything_is_looked_at(served: Served) -> None:
    door, refused = Door(), list[str]()
    limits = RequestLimits(served.house.clock.monotonic, GatewaySettings(per_address=1), refused.append)
    app = LimitedByAddress(door, limits, served.house.gateway.refuse)
    for address in ("203.0.113.7", "2001:db8::1"):
        codes = [(await from_address(app, address))[0]["status"] for _ in range(3)]
        assert codes == [200, 200, 429]
    (start, _) = await from_address(app, "2001:db8::9")
    assert start["status"] == 429, "one machine has a whole network of IPv6"
    names = {name for name, _ in start["headers"]}
    assert {b"retry-after", b"ratelimit-limit", b"ratelimit-reset", b"x-request-id"} <= names
    claim = b"AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/kms/aws4_request, SignedHeaders=host, Signature=00"
    start, body = await from_address(app, "203.0.113.7", (b"authorization", claim))
    assert (start["status"], b"ThrottlingException" in body["body"]) == (400, True)
    assert (door.asked, refused) == (4, ["address"] * 4)
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        for _ in range(5):
            assert (await from_address(app, address))[0]["status"] == 200


async def test_many_callers_at_once_get_no_more_than_there_is(served: Served) -> None:
    served.house.gateway.limits.use(GatewaySettings(per_principal=4))
    await served.house.add_user("ann", "editor")
    codes: list[int] = []

    async def one() -> None:
        codes.append((await ask(served, ANN))[0])

    async with an_instance(answering()) as web:
        await served.house.add_service("web", web.address)
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(one)
    assert (codes.count(200), codes.count(429)) == (8, 12)
