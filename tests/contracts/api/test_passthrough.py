"""What the gateway sends on to the conductor: who asks is said by the gateway alone, and connections may change."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from contracts.api.conftest import behind_a_gateway, read_all
from unit.api.components import make_house

from api.asgi import Receive, Scope, Send
from api.auth.principal import MASTERS
from api.channel.conductor import Channel
from api.channel.replication import Replication
from api.gateway.passthrough import Passthrough
from api.gateway.upstream import Endpoint
from api.tls import CertificateAuthority
from controller.kit.unix_sockets import listen_on, short_path
from crds.errors import CONDUCTOR_AWAY
from services.sdk.edge.acceptor import listen
from services.sdk.edge.connections import ConnectionLimits, prove
from services.sdk.edge.http_server import AT_ONCE, HttpServer

pytestmark = pytest.mark.anyio
HELLO = b"GET /x HTTP/1.1\r\nhost: x\r\n"
OURS = ["traceparent", "x-request-id"]
CLOSE = b"connection: close\r\n\r\n"


async def told(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what an application sees of who asks; `/known` is asked by somebody known."""
    if scope["path"] == "/known":
        prove(scope)
    seen = {
        "peer": scope["extensions"]["aerekos.peer"],
        "client": scope["client"][0],
        "headers": sorted({name.decode() for name, _ in scope["headers"]}),
    }
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[tuple[int, CertificateAuthority]]:
    async with behind_a_gateway(told, tmp_path) as made:
        yield made


async def ask(port: int, tls: ssl.SSLContext, raw: bytes) -> tuple[bytes, dict[str, Any]]:
    """Head and content of the answer."""
    code, head, body = await read_all(
        *await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname="localhost"), raw
    )
    assert code == 200, head
    return head, json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])


FORGED = b"X-Remote-User: root\r\nX-Remote-Group: system:masters\r\nX-Forwarded-For: 203.0.113.9\r\n"


async def test_nobody_but_the_gateway_says_who_asks(front: tuple[int, CertificateAuthority]) -> None:
    port, authority = front
    _, seen = await ask(port, ssl.create_default_context(cafile=str(authority.ca_file)), HELLO + FORGED + CLOSE)
    assert seen == {"peer": [], "client": "127.0.0.1", "headers": ["host", *OURS]}


async def test_a_client_s_certificate_is_told_and_nothing_beside_it(front: tuple[int, CertificateAuthority]) -> None:
    port, authority = front
    tls = ssl.create_default_context(cafile=str(authority.ca_file))
    tls.load_cert_chain(*authority.client("ann", "ann", ["a", MASTERS]))
    _, seen = await ask(port, tls, HELLO + FORGED + CLOSE)
    assert sorted(tuple(pair) for (pair,) in seen["peer"]) == [
        ("commonName", "ann"),
        ("organizationName", "a"),
        ("organizationName", MASTERS),
    ]


async def test_who_is_known_is_told_to_the_gateway_alone(
    front: tuple[int, CertificateAuthority],
) -> None:
    port, authority = front
    tls = ssl.create_default_context(cafile=str(authority.ca_file))
    head, _ = await ask(port, tls, HELLO.replace(b"/x", b"/known") + CLOSE)
    assert b"proven" not in head


async def test_a_client_proves_nothing_by_the_gateway_s_own_word(front: tuple[int, CertificateAuthority]) -> None:
    port, authority = front
    tls = ssl.create_default_context(cafile=str(authority.ca_file))
    head, seen = await ask(port, tls, HELLO + b"X-Aerekos-Proven: 1\r\n" + CLOSE)
    assert b"proven" not in head
    assert seen["headers"] == ["host", OURS[0], "x-aerekos-proven", OURS[1]], "which means nothing in a request"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/internal/replica"), ("GET", "/%69nternal/replica"), ("POST", "/internal/reports")]
)
async def test_what_gateways_are_told_is_told_to_none_of_their_clients(
    tmp_path: Path, method: str, path: str
) -> None:
    house = await make_house(tmp_path)
    channel = Channel(house.door, Replication(house.store, house.endpoints), None)  # type: ignore[arg-type]
    async with behind_a_gateway(channel, tmp_path) as (port, authority):
        tls = ssl.create_default_context(cafile=str(authority.ca_file))
        tls.load_cert_chain(*authority.client("root", "root", ["system:masters"]))
        raw = f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nx-forwarded-for: \r\n"
        reader, writer = await asyncio.open_connection("localhost", port, ssl=tls)
        code, _, body = await read_all(reader, writer, raw.encode() + CLOSE)
    await house.close()
    assert code == 404, body


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (b"connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 3\r\n\r\nabc", 400),
        (b"connection: upgrade\r\nupgrade: websocket\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"connection: upgrade\r\nupgrade: h2c\r\ncontent-length: 3\r\n\r\nabc", 400),
        (b"connection: upgrade\r\nupgrade: h2c\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n", 200),
    ],
)
async def test_an_upgrade_smuggles_nothing(front: tuple[int, CertificateAuthority], lines: bytes, code: int) -> None:
    port, authority = front
    tls = ssl.create_default_context(cafile=str(authority.ca_file))
    streams = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname="localhost")
    found, head, body = await read_all(*streams, HELLO + lines)
    assert found == code
    assert (head + body).count(b"HTTP/1.1 ") + (head + body).count(b"http/1.1 ") == 1


@pytest.mark.parametrize("folder", ["home", "a" * 120])
def test_the_conductor_s_socket_is_its_user_s_alone(tmp_path: Path, folder: str) -> None:
    path = tmp_path / folder / "conductor.sock"
    path.parent.mkdir()
    path.write_text("left by one that was killed")
    listener = listen_on(path)
    assert stat.S_ISSOCK(path.stat().st_mode) and stat.S_IMODE(path.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(short_path(path))
    listener.close()


async def test_while_the_conductor_is_away_that_is_said(tmp_path: Path) -> None:
    passthrough = Passthrough(Endpoint(str(tmp_path / "nobody.sock")))
    server = HttpServer(passthrough, await listen("127.0.0.1", 0, 8), None, ConnectionLimits())
    server.start()
    port = server.sockets[0].getsockname()[1]
    for lines in (CLOSE, b"connection: upgrade\r\nupgrade: websocket\r\n\r\n"):
        code, head, body = await read_all(*await asyncio.open_connection("127.0.0.1", port), HELLO + lines)
        assert (code, b"retry-after: 1" in head) == (503, True)
        told = json.loads(body)
        assert told["message"] == "the conductor is away; it comes back by itself"
        assert [each["reason"] for each in told["details"]["causes"]] == [CONDUCTOR_AWAY]
    await server.stop(AT_ONCE)
    passthrough.close()
