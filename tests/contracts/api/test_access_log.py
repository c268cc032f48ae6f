"""Every request has one id, one trace and one line in the access log of the gateway, whoever answers it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from collector import Collector
from contracts.api.conftest import Served, an_instance, answering, read_all
from unit.api.components import ADMIN, House, make_house

from api.asgi import Receive, Scope, Send
from api.auth.principal import Principal
from api.chain import RequestChain
from api.front_proxy import FrontProxy
from api.gateway import access_log
from api.gateway.access_log import AccessLog
from api.gateway.handlers import gateway_handlers
from api.gateway.passthrough import Passthrough
from api.gateway.upstream import Endpoint
from api.server import make_socket_server
from controller.kit import tracing
from controller.kit.unix_sockets import listen_on
from services.sdk.edge.acceptor import listen
from services.sdk.edge.client_request import ClientRequest
from services.sdk.edge.connections import ConnectionLimits
from services.sdk.edge.http_server import AT_ONCE, HttpServer

pytestmark = pytest.mark.anyio
GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("path", ["/services/web/x", "/version"])
@pytest.mark.parametrize(("given", "kept"), [("a.b-C_9", True), ("", False), ("a b", False), ("x" * 65, False)])
async def test_a_request_keeps_a_good_id_and_gets_one_otherwise(
    served: Served, path: str, given: str, kept: bool
) -> None:
    async with an_instance(answering()) as web:
        await served.house.add_service("web", web.address)
        code, head, _ = await served.ask("GET", path, *([f"X-Request-ID: {given}"] if given else []))
    answered = head.partition(b"\r\nx-request-id: ")[2].partition(b"\r\n")[0].decode()
    assert (code, head.count(b"\r\nx-request-id: ")) == (200, 1)
    assert (answered == given.lower()) == kept and answered
    if web.heads:
        assert [line.lower() for line in lines_of(web.heads[0], b"x-request-id")] == [answered.encode()]
        (trace,) = lines_of(web.heads[0], b"traceparent")
        assert trace.startswith(b"00-") and len(trace) == len(GIVEN)


async def test_a_trace_goes_on_where_it_is_a_good_one(served: Served) -> None:
    async with an_instance(answering()) as web:
        await served.house.add_service("web", web.address)
        await served.ask("GET", "/services/web/", f"traceparent: {GIVEN}")
        await served.ask("GET", "/services/web/", "traceparent: 00-nonsense-1-1")
    good, bad = (lines_of(head, b"traceparent") for head in web.heads)
    assert good == [GIVEN.encode()]
    assert len(bad) == 1 and b"nonsense" not in bad[0]


def lines_of(head: bytes, name: bytes) -> list[bytes]:
    """The values of that header."""
    pairs = [line.partition(b":") for line in head.split(b"\r\n")]
    return [value.strip() for key, _, value in pairs if key.lower() == name]


class Gate:
    """A gateway as its process makes it, before the conductor's socket."""

    def __init__(self, house: House, port: int, log: AccessLog, file: Path) -> None:
        self.house, self.port, self._log, self._file = house, port, log, file

    async def ask(self, method: str, path: str, *lines: str, body: bytes = b"", who: Any = None) -> bytes:
        """The head of the answer."""
        named = [f"{name}: {value}" for name, value in (who or {}).items()]
        length = [f"content-length: {len(body)}"] if body else []
        asked = [f"{method} {path} HTTP/1.1", "host: x", *named, *lines, *length, "connection: close", "", ""]
        _, head, _ = await self.send("\r\n".join(asked).encode() + body)
        return head

    async def send(self, raw: bytes) -> tuple[int, bytes, bytes]:
        return await read_all(*await asyncio.open_connection("127.0.0.1", self.port), raw)

    def lines(self) -> list[dict[str, Any]]:
        self._log.flush()
        return [json.loads(line) for line in self._file.read_text().splitlines()]


@asynccontextmanager
async def a_gate(house: House, folder: Path, conductor: Any) -> AsyncIterator[Gate]:
    file, socket = folder / "logs" / "access.log", folder / "conductor.sock"
    behind, log = make_socket_server(FrontProxy(conductor)), AccessLog(file)
    running = asyncio.create_task(behind.serve(sockets=[listen_on(socket)]))
    passthrough = Passthrough(Endpoint(str(socket)))
    chain = RequestChain(
        gateway_handlers(house.gateway, house.authenticator), authenticator=house.authenticator, guard=house.guard,
        metrics=house.metrics, audit=house.audit, otherwise=passthrough, logs=False,
    )  # fmt: skip

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (passthrough if scope["aerekos.request"].upgrade else chain)(scope, receive, send)

    server = HttpServer(app, await listen("127.0.0.1", 0, 64), None, ConnectionLimits(), log.note)
    server.start()
    try:
        yield Gate(house, server.sockets[0].getsockname()[1], log, file)
    finally:
        await server.stop(AT_ONCE)
        passthrough.close()
        log.close()
        behind.should_exit = behind.force_exit = True
        await running


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    house = await make_house(tmp_path)
    async with a_gate(house, tmp_path, house.door) as made:
        yield made
    await house.close()


async def test_a_line_says_who_asked_whom_and_what_came_of_it(gate: Gate) -> None:
    async def takes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(3)
        writer.write(b"HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\nhello")

    await gate.house.add_user("ann", "editor")
    who = gate.house.bearer(Principal("ann", frozenset()))
    async with an_instance(takes) as web:
        await gate.house.add_service("web", web.address)
        await gate.ask(
            "POST", "/services/web/a?token=hunter2", f"traceparent: {GIVEN}", "x-request-id: r1", body=b"abc", who=who
        )
    (line,) = gate.lines()
    assert line.pop("seconds") > 0
    assert line.pop("time").endswith("Z")
    assert line == {
        "client": "127.0.0.1", "method": "POST", "path": "/services/web/a", "status": 201, "received": 3, "sent": 5,
        "service": "web", "instance": "web-0", "principal": "ann", "requestId": "r1", "traceparent": GIVEN,
    }  # fmt: skip


async def test_what_the_conductor_answered_has_a_line_with_its_word_who_asked(gate: Gate) -> None:
    await gate.house.add_user("ann", "viewer")
    who = gate.house.bearer(Principal("ann", frozenset()))
    head = await gate.ask("GET", "/api/v1/namespaces/default", "x-request-id: r2", who=who)
    await gate.ask("GET", "/api/v1/namespaces/default")
    known, stranger = gate.lines()
    assert (known["status"], known["principal"], known["requestId"]) == (200, "ann", "r2")
    assert (known["service"], known["sent"] > 50) == ("conductor", True)
    assert (stranger["status"], "principal" in stranger) == (401, False)
    assert b"x-aerekos-principal" not in head.lower()
    assert lines_of(head, b"x-request-id") == [b"r2"]


async def test_what_is_refused_unheard_has_a_line_too(gate: Gate) -> None:
    assert (await gate.send(b"GET /x HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"))[0] == 400
    assert (await gate.send(b"no HTTP\r\n\r\n"))[0] == 400
    await gate.ask("GET", "/services/nobody/")
    two, none, unknown = gate.lines()
    assert (two["status"], two["path"], two["client"]) == (400, "/x", "127.0.0.1")
    assert (none["status"], none["path"]) == (400, "")
    assert unknown["status"] == 401


async def test_who_left_is_told_from_who_was_answered(gate: Gate) -> None:
    asked = anyio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    async def dies(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    who = gate.house.bearer(ADMIN)
    async with an_instance(silent) as web, an_instance(dies) as half:
        await gate.house.add_service("web", web.address)
        await gate.house.add_service("half", half.address)
        _, writer = await asyncio.open_connection("127.0.0.1", gate.port)
        writer.write(
            f"GET /services/web/ HTTP/1.1\r\nhost: x\r\nauthorization: {who['authorization']}\r\n\r\n".encode()
        )
        with anyio.fail_after(60):
            await asked.wait()
            writer.transport.abort()
            await web.left.wait()
            while not gate.lines():  # noqa: ASYNC110 (a file has no event)
                await anyio.sleep(0.01)
        await gate.ask("GET", "/services/half/", who=who)
    left, broken = gate.lines()
    assert (left["status"], "incomplete" in left) == (499, False)
    assert (broken["status"], broken["incomplete"], broken["sent"]) == (200, True, 4)


async def test_a_tunnel_has_one_line_when_it_ends(tmp_path: Path) -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "bytes": message["bytes"]})

    house = await make_house(tmp_path)
    async with a_gate(house, tmp_path, echo) as gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", gate.port)
        upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: "
        writer.write(f"GET /w HTTP/1.1\r\nhost: x\r\n{upgrade}{'A' * 22}==\r\n\r\n".encode())
        with anyio.fail_after(60):
            assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
            writer.write(b"\x82\x83\0\0\0\0abc")
            assert await reader.readexactly(5) == b"\x82\x03abc"
            assert gate.lines() == []
            writer.transport.abort()
            while not gate.lines():  # noqa: ASYNC110 (a file has no event)
                await anyio.sleep(0.01)
        (line,) = gate.lines()
    await house.close()
    assert (line["status"], line["received"], line["service"]) == (101, 9, "conductor")
    assert line["sent"] > 100, "the conductor's head went through, too"


async def test_a_span_stands_between_the_client_s_and_the_conductor_s(gate: Gate) -> None:
    with Collector().running() as collector:
        tracing.start(collector.url, "test")
        await gate.ask("GET", "/api/v1/namespaces/default", f"traceparent: {GIVEN}", "x-request-id: r3")
        tracing.stop(10)
    (outer,) = (each for each in collector.spans if each.name == "GET conductor")
    (inner,) = (each for each in collector.spans if each.name == "GET resources")
    assert (outer.trace, outer.parent, inner.parent) == (GIVEN[3:35], GIVEN[36:52], outer.id)
    assert (outer.attributes["aerekos.request_id"], outer.attributes["http.response.status_code"]) == ("r3", 401)
    (line,) = gate.lines()
    assert line["traceparent"] == f"00-{outer.trace}-{outer.id}-01"


async def test_a_large_log_is_put_aside_by_whoever_is_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "LIMIT_BYTES", 400)
    one, other = AccessLog(tmp_path / "access.log"), AccessLog(tmp_path / "access.log")
    for _ in range(20):
        for each in (one, other):
            each.note(_a_request())
            each.flush()
    for each in (one, other):
        each.close()
        each.note(_a_request())  # of a connection that outlived it: written nowhere
        each.flush()
    kept = sorted(os.listdir(tmp_path))  # noqa: PTH208 (names are all it needs)
    assert kept == ["access.log", "access.log.1", "access.log.2", "access.log.3"]
    for name in kept[1:]:
        assert 400 <= (tmp_path / name).stat().st_size < 800
    assert (tmp_path / "access.log").stat().st_mode & 0o777 == 0o600


async def test_a_disk_that_takes_nothing_costs_lines_and_says_how_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, write = AccessLog(tmp_path / "access.log"), os.write

    def full(file: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(access_log.os, "write", full)
    for _ in range(3):
        log.note(_a_request())
        log.flush()
    assert log.lost == 3
    monkeypatch.setattr(access_log.os, "write", write)
    log.note(_a_request())
    log.close()
    told = [json.loads(line) for line in (tmp_path / "access.log").read_text().splitlines() if line]
    assert [each.get("count") for each in told] == [3, None]


class _Nobody:
    address = ("127.0.0.1", 1)
    gone = False

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def _a_request() -> ClientRequest:
    made = ClientRequest(_Nobody())  # type: ignore[arg-type]
    made.status, made.answered = 200, True
    return made
