"""Signed calls are answered alike, whether the gateway takes them at once or in a task of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from contracts.api.conftest import Instance, Serve, an_instance, answering
from unit.api.components import House, make_house

from api.gateway import direct_calls, reverse_proxy
from api.gateway.aws_routing import signing_names
from api.gateway.direct_calls import DirectCalls
from api.gateway.handlers import gateway_handlers
from api.gateway.stand_ins import AWAY_SECONDS, StandIns
from crds.managed import ManagedService
from services.sdk.edge.acceptor import listen
from services.sdk.edge.client_request import ClientRequest
from services.sdk.edge.connections import ConnectionLimits
from services.sdk.edge.http_server import AT_ONCE, HttpServer

pytestmark = pytest.mark.anyio
Answer = tuple[int, dict[bytes, bytes], bytes]
_OF_EACH = {b"x-request-id", b"date", b"ratelimit-remaining", b"ratelimit-reset"}


@dataclass
class Gate:
    """A gateway on a port, with a caller who may sign. `at_once`: whether it may take requests at once; `taken`: of
    each request, whether it did.
    """

    house: House
    port: int
    credentials: Credentials
    at_once: bool
    taken: list[bool] = field(default_factory=list)

    async def connect(self) -> Client:
        return Client(self, *await asyncio.open_connection("127.0.0.1", self.port, limit=2**20))

    def signed(self, body: bytes = b"{}", method: str = "POST", path: str = "/", *lines: str) -> bytes:
        request = AWSRequest(method, f"https://x{path}", data=body, headers={"host": "x"})
        SigV4Auth(self.credentials, "kms", "us-east-1").add_auth(request)
        told = [f"{name}: {value}" for name, value in request.headers.items() if name != "host"]
        head = [f"{method} {path} HTTP/1.1", "host: x", *told, *lines, f"content-length: {len(body)}", "", ""]
        return "\r\n".join(head).encode() + body

    def require_nothing_left(self) -> None:
        """Every place was given back."""
        proxy = self.house.gateway.proxy
        assert (proxy._active, proxy._bulkheads._walls, proxy._bulkheads._callers) == ({}, {}, {})


class Client:
    """One connection to it."""

    def __init__(self, gate: Gate, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.gate, self.reader, self.writer = gate, reader, writer

    async def ask(self, raw: bytes) -> Answer:
        self.writer.write(raw)
        return await self.answer()

    async def answer(self) -> Answer:
        """The next one, whose body is as long as it says."""
        with anyio.fail_after(60):
            head = (await self.reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
            headers = dict(line.lower().split(b": ", 1) for line in head[1:] if line)
            body = await self.reader.readexactly(int(headers.get(b"content-length", b"0")))
        return int(head[0].split()[1]), headers, body


@pytest.fixture(params=["at once", "in a task"])
async def gate(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Gate]:
    house = await make_house(tmp_path)
    await house.add_user("ann", "editor")
    pair = house.accounts.access_key("ann")
    signed = gateway_handlers(house.gateway, house.authenticator)[0]
    direct = DirectCalls(house.gateway, signed, house.metrics, house.audit)
    made = Gate(house, 0, Credentials(pair.id, pair.secret), request.param == "at once")

    def at_once(asked: ClientRequest) -> bool:
        made.taken.append(made.at_once and direct(asked))
        return made.taken[-1]

    server = HttpServer(house.door, await listen("127.0.0.1", 0, 16), None, ConnectionLimits(), at_once=at_once)
    server.start()
    made.port = server.sockets[0].getsockname()[1]
    yield made
    await server.stop(AT_ONCE)
    await house.close()


def lasting(headers: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """What is the same each time."""
    return {name: value for name, value in headers.items() if name not in _OF_EACH}


async def reached(gate: Gate, kms: Instance) -> Client:
    """A client that was answered once: from here on there is a connection to the instance that is free."""
    await gate.house.add_service("key-manager", kms.address)
    client = await gate.connect()
    await client.ask(gate.signed())
    return client


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = await reader.readexactly(2)
    told = b"x-aerekos-audit-action: kms%3AEcho\r\nconnection: keep-alive\r\nset-cookie: a=b\r\nx-own: 1\r\n"
    writer.write(b"HTTP/1.1 201 Created\r\n" + told + b"content-length: 2\r\n\r\n" + body)


async def test_a_call_is_carried_alike_and_what_is_not_the_callers_stays_behind(gate: Gate) -> None:
    async with an_instance(echo) as kms:
        client = await reached(gate, kms)
        code, headers, body = await client.ask(gate.signed(b"{}", "POST", "/", "X-Request-ID: abc"))
        second = await client.ask(gate.signed(b"[]", "POST", "/", "x-aerekos-identity: forged"))
    assert (code, body, headers[b"x-request-id"], headers[b"x-own"]) == (201, b"{}", b"abc", b"1")
    assert (second[0], second[2], lasting(second[1])) == (201, b"[]", lasting(headers))
    assert not {b"set-cookie", b"connection", b"x-aerekos-audit-action"} & headers.keys()
    assert {b"content-security-policy", b"x-content-type-options", b"ratelimit-limit"} <= headers.keys()
    head = kms.heads[-1].lower()
    assert (head.count(b"x-aerekos-identity:"), b"forged" in head) == (1, False)
    assert b"x-request-id: abc" in kms.heads[-2].lower() and b"traceparent: 00-" in head
    assert gate.taken == [False, gate.at_once, gate.at_once], "the first waits for a connection"
    gate.require_nothing_left()


async def test_it_is_noted_alike(gate: Gate, tmp_path: Path) -> None:
    async with an_instance(echo) as kms:
        client = await reached(gate, kms)
        await client.ask(gate.signed())
    [counter] = gate.house.gateway.traffic.told({})  # type: ignore[attr-defined]
    assert (counter["to"], counter["requests"], counter["errors"]) == ("key-manager", 2, 0)
    noted = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    calls = [each for each in noted if "kms" in json.dumps(each)]
    assert [(each["user"], each["code"]) for each in calls] == [("ann", 201)] * 2


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [(b"Signature=", b"Signature=0", 403), (b"/kms/", b"/sqs/", 403), (b"AWS4-HMAC", b"AWS4-XMAC", 403)],
)
async def test_what_is_refused_is_refused_alike(gate: Gate, old: bytes, new: bytes, code: int) -> None:
    async with an_instance(echo) as kms:
        client = await reached(gate, kms)
        answer = await client.ask(gate.signed().replace(old, new))
        assert answer[0] in (code, 400) and b"__type" in answer[2]
        assert (await (await gate.connect()).ask(gate.signed()))[0] == 201
        assert len(kms.heads) == 2
    gate.require_nothing_left()


async def test_answers_come_in_the_order_of_the_requests(gate: Gate) -> None:
    async with an_instance(echo) as kms:
        client = await reached(gate, kms)
        for body in (b"{}", b"[]", b"12"):
            client.writer.write(gate.signed(body))
        assert [(await client.answer())[2] for _ in range(3)] == [b"{}", b"[]", b"12"]
    gate.require_nothing_left()


async def test_a_long_answer_flows(gate: Gate) -> None:
    go_on = anyio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n" + b"x" * 100_000)
        await go_on.wait()
        writer.write(b"y" * 100_000)

    async with an_instance(slow) as kms:
        await gate.house.add_service("key-manager", kms.address)
        client = await gate.connect()
        for _ in range(2):
            client.writer.write(gate.signed())
            with anyio.fail_after(60):
                await client.reader.readuntil(b"x" * 1000)
                go_on.set()
                await client.reader.readuntil(b"y" * 100_000)
        assert len(kms.heads) == 2
    gate.require_nothing_left()


@pytest.mark.parametrize(
    ("method", "answer", "told"),
    [
        ("POST", b"200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", b"transfer-encoding: chunked"),
        ("POST", b"200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", b"\r\n2\r\nab\r\n0\r\n\r\n"),
        ("POST", b"204 No Content\r\nx-own: 1\r\n\r\n", b"x-own: 1"),
        ("GET", b"304 Not Modified\r\netag: a\r\n\r\n", b"etag: a"),
        ("HEAD", b"200 OK\r\ncontent-length: 7\r\n\r\n", b"content-length: 7"),
        ("HEAD", b"200 OK\r\nx-own: 1\r\n\r\n", b"x-own: 1"),
        ("POST", b"200 OK\r\nconnection: x-own\r\nx-own: 1\r\ncontent-length: 0\r\n\r\n", b"content-length: 0"),
    ],
)
async def test_every_answer_has_an_end(gate: Gate, method: str, answer: bytes, told: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2 if method == "POST" else 0)
        writer.write(b"HTTP/1.1 " + answer)

    async with an_instance(once_and_then(echo, serve)) as kms:
        client = await reached(gate, kms)
        client.writer.write(gate.signed(b"{}" if method == "POST" else b"", method))
        client.writer.write(gate.signed(b"", "GET", "/", "x-amz-date: twice"))  # refused: the next answer's beginning
        with anyio.fail_after(60):
            first = await client.reader.readuntil(b"HTTP/1.1 40")
        assert told in first and (b"connection: x-own" in answer) == (b"x-own" in answer and b"x-own" not in first)
        assert first.count(b"HTTP/1.1 ") == 2 and b"content-security-policy" in first
        # What has no length and no chunks has no body either.
        head = first.partition(b"\r\n\r\n")[0]
        bodiless = method == "HEAD" or answer[:3] in (b"204", b"304")
        assert bodiless or b"content-length" in head or b"transfer-encoding" in head
    gate.require_nothing_left()


def once_and_then(first: Serve, then: Serve) -> Serve:
    served: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(1)
        await (first if len(served) == 1 else then)(reader, writer)

    return serve


async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def test_what_may_be_done_once_only_is_not_tried_again(gate: Gate) -> None:
    async with an_instance(once_and_then(echo, dies)) as kms:
        client = await reached(gate, kms)
        code, _, body = await client.ask(gate.signed())
        assert (code, b"try again" in body, len(kms.heads)) == (503, True, 2)
    gate.require_nothing_left()


async def test_a_read_is_tried_again(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    async with an_instance(once_and_then(echo, once_and_then(dies, answering(b"there")))) as kms:
        client = await reached(gate, kms)
        code, _, body = await client.ask(gate.signed(b"", "GET", "/?a=1"))
        assert (code, body, len(kms.heads)) == (200, b"there", 3)
    gate.require_nothing_left()


async def test_a_call_takes_one_token_however_often_it_is_tried(gate: Gate) -> None:
    async with an_instance(once_and_then(echo, once_and_then(dies, answering(b"there")))) as kms:
        client = await reached(gate, kms)
        limits = gate.house.gateway.limits
        before = limits._principals._left["ann"][0], limits._services._left["key-manager"][0]
        code, _, body = await client.ask(gate.signed(b"", "GET", "/?a=1"))
        assert (code, body, len(kms.heads)) == (200, b"there", 3)
        after = limits._principals._left["ann"][0], limits._services._left["key-manager"][0]
    assert [old - new for old, new in zip(before, after, strict=True)] == [1.0, 1.0]


async def test_an_instance_that_is_silent_is_given_up(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_calls, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(reverse_proxy, "USUAL_PATIENCE", reverse_proxy.Patience(0.2))

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with an_instance(once_and_then(echo, silent)) as kms:
        client = await reached(gate, kms)
        code, _, body = await client.ask(gate.signed())
        assert (code, b"did not answer in 0.2 s" in body) == (503, True)
    gate.require_nothing_left()


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"])
async def test_a_client_that_leaves_takes_its_call_with_it(gate: Gate, part: bytes) -> None:
    async def waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(part)
        asked.set()
        await reader.readexactly(100)

    asked = anyio.Event()
    async with an_instance(once_and_then(echo, waits)) as kms:
        client = await reached(gate, kms)
        client.writer.write(gate.signed())
        with anyio.fail_after(60):
            await asked.wait()
            client.writer.transport.abort()
            await kms.left.wait()
            await anyio.wait_all_tasks_blocked()
    gate.require_nothing_left()


async def test_an_answer_that_breaks_off_has_no_end(gate: Gate) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    async with an_instance(once_and_then(echo, half)) as kms:
        client = await reached(gate, kms)
        client.writer.write(gate.signed())
        with anyio.fail_after(60):
            told = await client.reader.read(-1)
    assert told.endswith(b"\r\n\r\nhalf")
    gate.require_nothing_left()


async def test_who_asks_too_often_is_told_so_in_words_of_kms(gate: Gate) -> None:
    async with an_instance(echo) as kms:
        client = await reached(gate, kms)
        gate.house.gateway.limits._principals.per_second = 0.001
        assert (await client.ask(gate.signed()))[0] == 201
        code, headers, body = await client.ask(gate.signed())
        assert (code, b"Throttling" in body, b"retry-after" in headers) == (400, True, True)
    gate.require_nothing_left()


STORAGE = ManagedService("storage_manager", "", "", "x:y", speaks=("s3",), protocol="s3")
REPLICA = ManagedService("storage_replica", "", "", "x:y", stands_in_for="storage_manager")


@pytest.fixture
async def stored(gate: Gate) -> AsyncIterator[tuple[Instance, Instance]]:
    """Somebody who has objects, and who stands in for them: each answers with its name."""

    def named(name: bytes) -> Serve:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            told = made[name].heads[-1].lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(told or b"0"))
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(name), name))

        return serve

    gateway = gate.house.gateway
    gateway._services |= {each.service_name: each for each in (STORAGE, REPLICA)}
    gateway._speaks = signing_names(gateway._services.values())
    gateway._stand_ins = StandIns(gateway._services.values(), gateway._balancer.is_ready, gate.house.clock.monotonic)
    async with an_instance(named(b"original")) as storage, an_instance(named(b"copy")) as copy:
        made = {b"original": storage, b"copy": copy}
        await gate.house.add_service("storage-manager", storage.address)
        await gate.house.add_service("storage-replica", copy.address)
        yield storage, copy
    gate.require_nothing_left()


def of_s3(gate: Gate, method: str = "GET", body: bytes = b"") -> bytes:
    """A signed request for an object."""
    request = AWSRequest(method, "https://x/bucket/key", data=body, headers={"host": "x"})
    S3SigV4Auth(gate.credentials, "s3", "us-east-1").add_auth(request)
    told = [f"{name}: {value}" for name, value in request.headers.items() if name != "host"]
    length = [f"content-length: {len(body)}"] if body else []
    return "\r\n".join([f"{method} /bucket/key HTTP/1.1", "host: x", *told, *length, "", ""]).encode() + body


async def test_a_read_with_a_body_is_refused_where_one_without_is_answered_by_the_stand_in(
    gate: Gate, stored: tuple[Instance, Instance]
) -> None:
    """Its body is read once, and went to who did not answer."""
    storage, copy = stored
    storage.serve = dies
    code, _, _ = await (await gate.connect()).ask(of_s3(gate, "GET", b"body"))
    assert (code, copy.heads) == (503, [])
    gate.house.clock.forward(AWAY_SECONDS)
    assert (await (await gate.connect()).ask(of_s3(gate)))[2] == b"copy"


async def test_who_answers_again_is_asked_again(gate: Gate, stored: tuple[Instance, Instance]) -> None:
    (storage, _), client, serve = stored, await gate.connect(), stored[0].serve
    storage.serve = dies
    assert (await client.ask(of_s3(gate)))[2] == b"copy"
    storage.serve = serve
    assert (await client.ask(of_s3(gate)))[2] == b"copy"
    assert [(await client.ask(of_s3(gate, method)))[2] for method in ("PUT", "GET")] == [b"original"] * 2


async def test_a_writer_whose_body_pauses_sends_nobody_to_the_stand_in(
    gate: Gate, stored: tuple[Instance, Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is the instance to blame."""
    failed: list[str] = []
    monkeypatch.setattr(reverse_proxy, "USUAL_PATIENCE", reverse_proxy.Patience(0.2))
    monkeypatch.setattr(gate.house.gateway._balancer, "record_failure", failed.append)
    writer, reader, put = await gate.connect(), await gate.connect(), of_s3(gate, "PUT", b"body")
    writer.writer.write(put[:-2])
    await anyio.sleep(0.7)
    assert (await reader.ask(of_s3(gate)))[2] == b"original"
    assert (await writer.ask(put[-2:]))[2] == b"original"
    assert (stored[1].heads, failed) == ([], [])
