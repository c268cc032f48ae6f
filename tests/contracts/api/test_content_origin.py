"""Objects at an origin of their own: browsers are sent there, it knows nobody, and nothing else is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from contracts.api.conftest import an_instance, answering, read_all
from unit.api.components import ADMIN, House, make_house

from api.chain import RequestChain
from api.gateway.content_origin import ContentOrigin
from api.gateway.handlers import gateway_handlers
from services.sdk.edge.acceptor import listen
from services.sdk.edge.connections import ConnectionLimits
from services.sdk.edge.http_server import AT_ONCE, HttpServer

pytestmark = pytest.mark.anyio
NAVIGATES = ("sec-fetch-mode: navigate", "sec-fetch-dest: document")


@dataclass
class Ports:
    """A gateway's own port, and that for objects."""

    house: House
    own: int
    content: int

    async def ask(self, port: int, host: str, target: str, *lines: str, method: str = "GET") -> tuple[int, bytes]:
        raw = "\r\n".join([f"{method} {target} HTTP/1.1", f"host: {host}", *lines, "connection: close", "", ""])
        code, head, body = await read_all(*await asyncio.open_connection("127.0.0.1", port), raw.encode())
        return code, head + b"\r\n\r\n" + body

    def link(self, host: str = "") -> str:
        """Path and query of a link somebody signed at the gateway's own port."""
        pair = self.house.accounts.access_key("ann")
        host = host or f"localhost:{self.own}"
        request = AWSRequest("GET", f"https://{host}/b/page%20one.html")
        SigV4QueryAuth(Credentials(pair.id, pair.secret), "kms", "us-east-1", expires=300).add_auth(request)
        parts = urlsplit(request.url)
        return f"{parts.path}?{parts.query}"


@pytest.fixture
async def ports(tmp_path: Path) -> AsyncIterator[Ports]:
    house = await make_house(tmp_path)
    await house.add_user("ann", "editor")
    chain = RequestChain(
        gateway_handlers(house.gateway, house.authenticator), authenticator=house.authenticator, guard=house.guard,
        metrics=house.metrics, audit=house.audit, otherwise=house.door,
    )  # fmt: skip
    own, content = await listen("127.0.0.1", 0, 64), await listen("127.0.0.1", 0, 64)
    here, there = own[0].getsockname()[1], content[0].getsockname()[1]
    origin = ContentOrigin(there, here)
    servers = [
        HttpServer(origin.before(chain), own, None, ConnectionLimits()),
        HttpServer(origin.at_its_port(chain), content, None, ConnectionLimits()),
    ]
    for each in servers:
        each.start()
    yield Ports(house, here, there)
    for each in servers:
        await each.stop(AT_ONCE)
    await house.close()


async def test_a_browser_that_opens_a_link_is_sent_to_the_other_origin_and_shown_it_there(ports: Ports) -> None:
    async with an_instance(answering(b"<p>hello", b"content-type: text/html")) as kms:
        await ports.house.add_service("key-manager", kms.address)
        link = ports.link()
        code, told = await ports.ask(ports.own, f"localhost:{ports.own}", link, *NAVIGATES)
        location = f"https://localhost:{ports.content}{link}"
        assert (code, f"location: {location.lower()}\r\n".encode() in told) == (307, True)
        assert b"cache-control: no-store" in told and b"referrer-policy: no-referrer" in told
        assert not kms.heads
        code, told = await ports.ask(ports.content, f"localhost:{ports.content}", link, *NAVIGATES)
        assert (code, b"<p>hello" in told) == (200, True)
        assert b"content-security-policy: sandbox;" in told and b"content-disposition: attachment" in told


async def test_tools_are_served_where_they_ask(ports: Ports) -> None:
    async with an_instance(answering()) as kms:
        await ports.house.add_service("key-manager", kms.address)
        assert (await ports.ask(ports.own, f"localhost:{ports.own}", ports.link()))[0] == 200
        for lines in (("sec-fetch-mode: cors", "sec-fetch-dest: image"), ()):
            assert (await ports.ask(ports.own, f"localhost:{ports.own}", ports.link(), *lines))[0] == 200


async def test_the_signature_is_that_of_the_gateway_s_own_port_and_no_other_host(ports: Ports) -> None:
    async with an_instance(answering()) as kms:
        await ports.house.add_service("key-manager", kms.address)
        for host in (f"localhost:{ports.content}", "evil.example", f"evil.example:{ports.own}"):
            code, _ = await ports.ask(ports.content, "localhost", ports.link(host))
            assert code in (400, 403), host
    assert not kms.heads


@pytest.mark.parametrize("target", ["/", "/version", "/auth/whoami", "/api/v1/namespaces", "/services/key-manager/"])
async def test_nothing_else_is_at_that_origin(ports: Ports, target: str) -> None:
    token = ports.house.bearer(ADMIN)["authorization"]
    code, _ = await ports.ask(ports.content, f"localhost:{ports.content}", target, f"authorization: {token}")
    assert code == 404


async def test_no_socket_and_no_cookie_comes_in_there(ports: Ports) -> None:
    upgrade = ("connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-key: AA==")
    assert (await ports.ask(ports.content, "localhost", ports.link(), *upgrade))[0] == 404
    async with an_instance(answering()) as kms:
        await ports.house.add_service("key-manager", kms.address)
        code, _ = await ports.ask(ports.content, f"localhost:{ports.content}", ports.link(), "cookie: a=1")
    assert (code, b"cookie" in kms.heads[0].lower()) == (200, False)


@pytest.mark.parametrize("host", ["evil.example/@x", "a b", "x:99999999", "[::1", "a?b"])
async def test_a_host_that_is_none_is_no_place_to_send_anybody(ports: Ports, host: str) -> None:
    _, told = await ports.ask(ports.own, host, ports.link(), *NAVIGATES)
    assert b"location:" not in told


@pytest.mark.parametrize(
    ("own", "host", "signed"),
    [
        (443, b"h:7445", b"h"),
        (7443, b"h:7445", b"h:7443"),
        (7443, b"[::1]:7445", b"[::1]:7443"),
        (7443, b"h", b"h:7443"),
    ],
)
async def test_the_host_is_told_as_it_was_signed(own: int, host: bytes, signed: bytes) -> None:
    assert ContentOrigin(7445, own)._signed_host(host) == signed
