"""The agent's credentials endpoint, between a real client and a real conductor's door: who is answered, and how often
the conductor is asked.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import anyio
import httpx
import pytest
import structlog
from served import served

from agent.addressing.netfilter import NetfilterError
from agent.errors import AgentError
from agent.swarm import role_credentials
from agent.swarm.role_credentials import PATH, RoleCredentials, is_behind_bridge
from agent.swarm.upstream import Upstream

pytestmark = pytest.mark.anyio
CREDENTIAL = {"AccessKeyId": "ASIA1", "SecretAccessKey": "s", "Token": "t", "Expiration": "2026-01-01T00:00:00Z"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Moment:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 1000.0

    def monotonic(self) -> float:
        return self.at


@dataclass
class Conductor:
    """Knows one Service; keeps what it was asked."""

    asked: list[tuple[str, Any]] = field(default_factory=list)
    gone: bool = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        told = httpx.Response(200, content=body).json()
        headers = dict(scope["headers"])
        assert (scope["method"], scope["path"]) == ("POST", PATH)
        self.asked.append((headers[b"authorization"].decode(), told))
        right = {"namespace": "acme", "name": "web", "token": "mine"}
        answer = (
            {"status": 200, "body": CREDENTIAL}
            if told == right and not self.gone
            else {"status": 401, "body": {"code": "Unauthorized", "message": "this is no token of it"}}
        )
        text = httpx.Response(200, json=answer).content
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text})


@dataclass
class House:
    conductor: Conductor
    urls: list[str]
    clock: Moment
    client: httpx.AsyncClient
    pauses: list[float]
    containers: set[str]

    async def ask(self, token: str = "mine", path: str = "/services/acme/web", method: str = "GET") -> httpx.Response:
        return await self.client.request(method, path, headers={"authorization": token} if token else {})


@pytest.fixture
async def house() -> AsyncIterator[House]:
    conductor, clock, pauses, containers, urls = Conductor(), Moment(), list[float](), {"127.0.0.1"}, list[str]()

    async def upstream() -> Upstream:
        if not urls:
            raise AgentError("this machine has not joined yet")
        return Upstream(urls, "worker-token", "")

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    endpoint = RoleCredentials(upstream, clock, containers.__contains__, pause)  # type: ignore[arg-type]
    async with (
        served(conductor) as there,
        served(endpoint) as here,
        httpx.AsyncClient(base_url=f"http://{here}") as client,
    ):
        urls.append(f"http://{there}")
        yield House(conductor, urls, clock, client, pauses, containers)


async def test_a_container_gets_what_the_conductor_says(house: House) -> None:
    answer = await house.ask()
    assert (answer.status_code, answer.json()) == (200, CREDENTIAL) and answer.headers["cache-control"] == "no-store"
    assert house.conductor.asked == [("Bearer worker-token", {"namespace": "acme", "name": "web", "token": "mine"})]


async def test_an_answer_is_good_for_a_second_and_a_role_that_went_is_gone_then(house: House) -> None:
    for _ in range(5):
        assert (await house.ask()).status_code == 200
    assert len(house.conductor.asked) == 1
    house.conductor.gone = True
    house.clock.at += 1.01
    assert (await house.ask()).status_code == 401


async def test_who_guesses_waits_and_asks_one_at_a_time(house: House) -> None:
    async with anyio.create_task_group() as guessing:
        for each in range(4):
            guessing.start_soon(house.ask, f"guess-{each}")
    assert house.pauses == [1.0] * 4 and len(house.conductor.asked) == 4


async def test_nothing_else_is_answered_and_the_conductor_is_not_asked(house: House) -> None:
    for path in ("/", "/services/acme", "/services/acme/web/x", "/services/acme/web?x=1", "/latest/meta-data"):
        assert (await house.ask(path=path)).status_code == 404, path
    assert (await house.ask(method="POST")).status_code == 404
    for token in ("", "x" * 300):
        assert (await house.ask(token)).status_code == 401
    house.containers.clear()
    assert (await house.ask()).status_code == 403, "a neighbour in the network is no container of this machine"
    assert not house.conductor.asked


async def test_while_the_conductor_is_away_it_says_so_and_the_next_address_is_tried(house: House) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        house.urls.insert(0, gone)
        assert (await house.ask()).status_code == 200
        house.clock.at += 2
        house.urls[:] = [gone]
        assert (await house.ask()).status_code == 503
        house.urls.clear()
        assert "has not joined yet" in (await house.ask()).json()["message"]


async def test_containers_are_those_behind_docker_s_bridge(monkeypatch: pytest.MonkeyPatch) -> None:
    bridge = SimpleNamespace(family=socket.AF_INET, address="172.18.0.1", netmask="255.255.0.0")
    outside = SimpleNamespace(family=socket.AF_INET, address="10.0.0.5", netmask="255.255.255.0")
    monkeypatch.setattr(
        role_credentials.psutil, "net_if_addrs", lambda: {"docker_gwbridge": [bridge], "eth0": [outside]}
    )
    assert is_behind_bridge("172.18.3.4")
    assert not any(map(is_behind_bridge, ("10.0.0.7", "172.17.0.2", "127.0.0.1", "172.18.0.1")))


async def test_an_agent_that_may_not_give_the_address_says_so_once_and_tries_again() -> None:
    tried, pauses = list[int](), list[float]()

    def assign() -> None:
        tried.append(1)
        if len(tried) < 4:
            raise NetfilterError("ip addr replace: Operation not permitted (needs root, or CAP_NET_ADMIN)")
        raise RuntimeError("enough")

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    nobody: Any = None
    with structlog.testing.capture_logs() as logs, pytest.raises(RuntimeError):
        await RoleCredentials(nobody, nobody, pause=pause, assign=assign).run()
    told = [each["because"] for each in logs]
    assert len(tried) == 4 and pauses == [15.0] * 3 and len(told) == 1 and "CAP_NET_ADMIN" in told[0]
