"""Two gateways of one cloud: the conductor of one leads, that of the other stands by. Real TLS between them."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from contracts.api.conftest import read_all

from api.asgi import Receive, Scope, Send
from api.auth.principal import MASTERS
from api.channel.conductors import Leadership
from api.front_proxy import FrontProxy
from api.gateway.leader import PATH, LeaderRoute, believe
from api.gateway.mutual_tls import MutualTls
from api.gateway.passthrough import Passthrough
from api.gateway.upstream import Endpoint
from api.local_reads import ASK_LEADER
from api.server import make_socket_server
from api.tls import CertificateAuthority
from controller.kit.clock import SystemClock
from controller.kit.unix_sockets import listen_on
from services.sdk.edge.acceptor import listen
from services.sdk.edge.connections import ConnectionLimits
from services.sdk.edge.http_server import AT_ONCE, HttpServer

pytestmark = pytest.mark.anyio
CLOSE = "connection: close\r\n\r\n"
READ, OTHER = "/api/v1/namespaces", "/auth/whoami"


@dataclass
class Side:
    """One of them. `answers`: what its conductor knows."""

    name: str
    route: LeaderRoute
    port: int = 0
    connected: bool = True
    knows: bool = True

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@asynccontextmanager
async def a_side(name: str, socket: Path, authority: CertificateAuthority) -> AsyncIterator[Side]:
    async def conductor(scope: Scope, receive: Receive, send: Send) -> None:
        seen = {
            "by": name,
            "peer": scope["extensions"]["aerekos.peer"],
            "client": scope["client"][0],
            "headers": sorted({each.decode() for each, _ in scope["headers"]}),
        }
        refused = [] if side.knows else [(ASK_LEADER, b"1")]
        await send({"type": "http.response.start", "status": 503 if refused else 200, "headers": refused})
        await send({"type": "http.response.body", "body": json.dumps(seen).encode()})

    server = make_socket_server(FrontProxy(conductor))
    running = asyncio.create_task(server.serve(sockets=[listen_on(socket)]))
    passthrough, clock = Passthrough(Endpoint(str(socket))), SystemClock()
    secure = MutualTls(authority, [], clock)
    side = Side(name, LeaderRoute(passthrough, lambda: side.connected, (), secure.context))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (side.route if side.route.is_elsewhere() else passthrough)(scope, receive, send)

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.server(["localhost", "127.0.0.1"]))
    tls.load_verify_locations(authority.ca_file)
    tls.verify_mode = ssl.CERT_OPTIONAL
    gateway = HttpServer(side.route.before(app), await listen("127.0.0.1", 0, 64), tls, ConnectionLimits())
    gateway.start()
    side.port = gateway.sockets[0].getsockname()[1]
    try:
        yield side
    finally:
        await gateway.stop(AT_ONCE)
        side.route.close()
        passthrough.close()
        server.should_exit = server.force_exit = True
        await running


@dataclass
class Pair:
    leads: Side
    stands_by: Side
    authority: CertificateAuthority

    async def ask(
        self, side: Side, target: str, *lines: str, method: str = "GET", certificate: Any = None
    ) -> tuple[int, dict[str, Any]]:
        tls = ssl.create_default_context(cafile=str(self.authority.ca_file))
        if certificate:
            tls.load_cert_chain(*certificate)
        head = f"{method} {target} HTTP/1.1\r\nhost: x\r\n" + "".join(f"{each}\r\n" for each in lines)
        connection = await asyncio.open_connection("127.0.0.1", side.port, ssl=tls)
        code, _, body = await read_all(*connection, (head + CLOSE).encode())
        return code, json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    authority = CertificateAuthority(tmp_path / "tls", now=SystemClock().now())
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(a_side("one", tmp_path / "one.sock", authority))
        two = await stack.enter_async_context(a_side("two", tmp_path / "two.sock", authority))
        one.route.use(Leadership(others=(two.url,)))
        two.route.use(Leadership(False, one.url, (one.url,)))
        yield Pair(one, two, authority)


async def test_reads_are_answered_where_they_are_asked_and_all_else_by_who_leads(pair: Pair) -> None:
    for target, method, by in ((READ, "GET", "two"), (READ, "POST", "one"), (OTHER, "GET", "one")):
        code, told = await pair.ask(pair.stands_by, target, method=method)
        assert (code, told["by"], told["client"]) == (200, by, "127.0.0.1")
    pair.stands_by.knows = False
    assert (await pair.ask(pair.stands_by, READ))[1]["by"] == "one"


async def test_the_one_that_leads_hears_who_asked_at_the_other(pair: Pair) -> None:
    admin = pair.authority.client("admin", "ann", [MASTERS])
    _, told = await pair.ask(pair.stands_by, OTHER, "X-Remote-User: root", "X-Forwarded-For: ::9", certificate=admin)
    assert told["peer"] == [[["organizationName", MASTERS]], [["commonName", "ann"]]]
    assert told["client"] == "127.0.0.1" and "x-remote-user" not in told["headers"]


@pytest.mark.parametrize("who", ["nobody", "ann", "root", "server"])
async def test_nobody_but_a_gateway_says_who_asks(pair: Pair, who: str) -> None:
    """Neither a client, nor an admin, nor whoever has the key of the server's certificate."""
    shown = {
        "nobody": None,
        "ann": pair.authority.client("ann", "ann", []),
        "root": pair.authority.client("root", "root", [MASTERS]),
        "server": pair.authority.server(["localhost", "127.0.0.1"]),
    }[who]
    forged = ("X-Remote-User: eve", "X-Remote-Group: system:masters", "X-Forwarded-For: 203.0.113.9")
    if who == "server":  # no certificate of a client at all
        with pytest.raises((ssl.SSLError, OSError, ValueError)):
            await pair.ask(pair.leads, OTHER, *forged, certificate=shown)
        return
    for side in (pair.leads, pair.stands_by):
        code, told = await pair.ask(side, OTHER, *forged, certificate=shown)
        names = [value for field in told["peer"] for name, value in field if name == "commonName"]
        assert (code, names, told["client"]) == (200, [] if who == "nobody" else [who], "127.0.0.1")
        assert "x-forwarded-for" not in told["headers"]


async def test_nobody_leads(pair: Pair) -> None:
    pair.stands_by.route.use(Leadership(False, "", (pair.leads.url,)))
    assert (await pair.ask(pair.stands_by, READ))[0] == 200
    code, told = await pair.ask(pair.stands_by, OTHER)
    assert code == 503 and "no conductor leads now" in told["message"]


async def test_what_was_sent_on_goes_no_further(pair: Pair) -> None:
    """Each of two takes the other for the one that leads."""
    pair.leads.route.use(Leadership(False, pair.stands_by.url, (pair.stands_by.url,)))
    code, told = await pair.ask(pair.stands_by, OTHER)
    assert code == 503 and "does not lead" in told["message"]


async def test_a_gateway_whose_conductor_is_gone_finds_the_next_one(pair: Pair) -> None:
    """It asks those it has heard of; clients are not told."""
    pair.leads.connected = False
    assert not pair.leads.route.is_elsewhere()
    await pair.leads.route.look()
    assert (await pair.ask(pair.leads, OTHER))[1]["by"] == "one"
    pair.stands_by.route.use(Leadership(others=(pair.leads.url,)))
    await pair.leads.route.look()
    assert (await pair.ask(pair.leads, OTHER))[1]["by"] == "two"
    code, told = await pair.ask(pair.leads, PATH)
    assert code == 200 and "leads" not in told  # it went on as any other path


async def test_what_runs_beside_a_killed_conductor_is_left_once_another_one_leads(pair: Pair) -> None:
    """Its gateway judges by what it knew: who was revoked since is let in by nobody."""
    pair.leads.connected = False
    pair.stands_by.route.use(Leadership(others=(pair.leads.url,)))
    await pair.leads.route.look()
    assert pair.leads.route.is_elsewhere()
    pair.leads.connected = True
    await pair.leads.route.look()
    assert not pair.leads.route.is_elsewhere()


async def test_one_that_may_have_lost_the_lead_asks_who_has_it(pair: Pair) -> None:
    """Cut off from the store it goes on while nobody else leads, and says to nobody that it does."""
    pair.leads.route.use(Leadership(others=(pair.stands_by.url,), sure=False))
    pair.stands_by.connected = False
    await pair.stands_by.route.look()
    assert (await pair.ask(pair.stands_by, OTHER))[1]["by"] == "one", "by the lead that was known last"
    await pair.leads.route.look()
    assert (await pair.ask(pair.leads, READ))[1]["by"] == "one", "nobody else is found"
    pair.stands_by.connected = True
    pair.stands_by.route.use(Leadership(others=(pair.leads.url,)))
    await pair.leads.route.look()
    for target in (READ, OTHER):
        assert (await pair.ask(pair.leads, target))[1]["by"] == "two"


def test_who_is_believed_is_believed_once() -> None:
    """A gateway's certificate in the headers of a gateway is no gateway that asks."""
    peer = ((("commonName", "system:gateway"),),)
    inner = [(b"x-remote-user", b"system:gateway"), (b"x-forwarded-for", b"198.51.100.7")]
    scope: Scope = {"extensions": {"aerekos.peer": peer}, "client": ("127.0.0.1", 1), "headers": inner}
    believe(scope)
    scope["headers"] = [(b"x-remote-user", b"root"), (b"x-remote-group", b"system:masters")]
    believe(scope)
    assert scope["extensions"]["aerekos.peer"] == peer and scope["client"][0] == "198.51.100.7"
