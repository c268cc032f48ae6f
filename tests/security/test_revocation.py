"""What is open ends at most two seconds after the credential, or the right, it was let in with: over the wire, for
each kind of stream and each way to lose a credential.
"""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import websockets
from contracts.api.conftest import Served, served  # noqa: F401 (a fixture)
from unit.api.components import COOKIE, HOW, House, make_house

from api.agents.registration import agent_routes
from api.audit.routes import audit_routes
from api.auth.routes.sessions import session_routes
from api.exec import ExecHandler
from api.rest import log_routes, rest_app
from api.streams import LOOK_SECONDS
from api.traffic_routes import traffic_routes
from crds.kinds.rbac import CLUSTER_ROLE_BINDING
from crds.kinds.service import SERVICE
from crds.kinds.service_account import SERVICE_ACCOUNT
from crds.kinds.user import USER
from crds.kinds.worker import WORKER

pytestmark = pytest.mark.anyio
WITHIN_SECONDS = 2.0
PASSWORD = "correct horse battery"
NAMESPACES, SECRETS = "/api/v1/namespaces?watch=true", "/api/v1/secrets?watch=true"
LINES = (NAMESPACES, SECRETS, "/audit?watch=true", "/agents/leases?watch=true", "/traffic?watch=true")
LOGS = "/logs/default/web?follow=true"
EXEC = "/api/v1/namespaces/default/pods/web-0/exec?command=sh"


class Silent:
    """An instance that goes on for ever and says one line."""

    def __init__(self) -> None:
        self.running = 0

    async def logs(self, key: Any, instance: str | None, *, tail: int) -> Sequence[str]:
        return ["a line"]

    async def observe(self, key: Any) -> Sequence[Any]:
        return []

    @asynccontextmanager
    async def execute(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        self.running += 1
        try:
            yield self
        finally:
            self.running -= 1

    async def run(self, told: Any) -> int:
        await told(1, b"begun")
        await anyio.sleep_forever()
        return 0


@dataclass
class Room:
    """A served house in which every kind of stream can be opened. `ended`: what ended, and when."""

    served: Served
    driver: Silent = field(default_factory=Silent)
    begun: set[str] = field(default_factory=set)
    ended: dict[str, float] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)

    @property
    def house(self) -> House:
        return self.served.house

    def prepare(self) -> None:
        house, driver = self.house, self.driver
        routes = [
            session_routes(house.accounts, house.authenticator, COOKIE),
            log_routes(house.registry, driver, house.authenticator, house.authorizer, house.clock),  # type: ignore[arg-type]
            agent_routes(house.registry, house.leases, house.authenticator, house.authorizer, house.clock),
            audit_routes(house.audit, house.authenticator, house.authorizer),
            traffic_routes(house.gateway.traffic, house.authenticator, house.authorizer),
        ]
        house.conductor._rest = rest_app(routes)

        def find(scope: Any, who: Any) -> Any:
            from api.auth.authorizer import Action

            house.authorizer.require(who, Action("create", "", "pods/exec", "default", "web-0"))
            return SERVICE.key("web"), "web-0"

        house.conductor._exec = ExecHandler(driver, find)  # type: ignore[arg-type]

    async def read(self, name: str, path: str, token: str) -> None:
        async with self.client(token) as client, client.stream("GET", path, timeout=60) as answer:
            assert answer.status_code == 200, (path, answer.status_code)
            self.begun.add(name)
            with suppress(httpx.RemoteProtocolError):
                async for part in answer.aiter_text():
                    self.said[name] = self.said.get(name, "") + part
        self.ended[name] = time.monotonic()

    async def read_socket(self, name: str, path: str, token: str, protocol: str) -> None:
        encoded = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
        offered: Any = [protocol, f"base64url.bearer.authorization.k8s.io.{encoded}"]
        url = f"wss://localhost:{self.served.port}{path}"
        async with websockets.connect(url, ssl=self.served.context, subprotocols=offered) as socket:
            with suppress(websockets.ConnectionClosed):
                while True:
                    said = await socket.recv()
                    self.begun.add(name)
                    self.said[name] = said if isinstance(said, str) else said[1:].decode()
        self.ended[name] = time.monotonic()

    def client(self, token: str) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {token}"}
        base = f"https://localhost:{self.served.port}"
        return httpx.AsyncClient(base_url=base, verify=self.served.context, headers=headers, trust_env=False)

    @asynccontextmanager
    async def open(self, token: str, *, lines: Sequence[str] = LINES, more: bool = True) -> AsyncIterator[None]:
        """Every stream, until all of them are open."""
        async with anyio.create_task_group() as group:
            group.start_soon(self.house.guard.run)
            for path in lines:
                group.start_soon(self.read, path, path, token)
            wanted = set(lines)
            if more:
                group.start_soon(self.read, "logs", LOGS, token)
                group.start_soon(self.read_socket, "socket", NAMESPACES, token, "aerekos.lines")
                group.start_soon(self.read_socket, "exec", EXEC, token, "v5.channel.k8s.io")
                wanted |= {"logs", "socket", "exec"}
            await self.until(lambda: self.begun >= wanted)
            assert not self.ended
            yield
            group.cancel_scope.cancel()

    async def until(self, true: Callable[[], bool], seconds: float = 30) -> None:
        with anyio.fail_after(seconds):
            while not true():  # noqa: ASYNC110 (other tasks and a server are at work)
                await anyio.sleep(0.02)


@pytest.fixture
async def room(served: Served) -> Room:  # noqa: F811
    made = Room(served)
    made.prepare()
    await made.house.add_service("web")
    await made.house.add_user("bob", "admin", password=PASSWORD)
    return made


async def login(room: Room) -> str:
    return (await room.house.accounts.log_in("bob", PASSWORD)).access_token


async def _logout(room: Room, token: str) -> None:
    async with room.client(token) as client:
        assert (await client.post("/auth/logout", json={})).status_code == 204


async def _logout_all(room: Room, token: str) -> None:
    async with room.client(token) as client:
        assert (await client.post("/auth/logout-all", json={})).status_code == 204


async def _password(room: Room, _: str) -> None:
    await room.house.accounts.set_password("bob", "another horse entirely", one_time=False, by="bob")


async def _disabled(room: Room, _: str) -> None:
    await room.house.registry.merge(USER, USER.key("bob"), {"spec": {"disabled": True}}, HOW)


async def _deleted(room: Room, _: str) -> None:
    await room.house.registry.delete(USER, USER.key("bob"), HOW)


WAYS: dict[str, Callable[[Room, str], Awaitable[None]]] = {
    "logout": _logout,
    "logout-all": _logout_all,
    "password": _password,
    "disabled": _disabled,
    "deleted": _deleted,
}


@pytest.mark.parametrize("way", WAYS)
async def test_every_stream_ends_with_its_login(room: Room, way: str) -> None:
    token = await login(room)
    async with room.open(token):
        assert room.driver.running == 1 and len(room.house.guard) == len(LINES) + 3
        await WAYS[way](room, token)
        gone = time.monotonic()
        await room.until(lambda: len(room.ended) == len(LINES) + 3)
    late = {name: at - gone for name, at in room.ended.items() if at - gone > WITHIN_SECONDS}
    assert not late
    assert room.driver.running == 0, "the command went on"
    for name in (*LINES, "socket"):
        assert '"type":"ERROR"' in room.said[name] and '"code":401' in room.said[name], name
    assert '"code":401' in room.said["exec"]
    assert len(room.house.guard) == 0


async def test_who_is_demoted_loses_what_they_may_no_longer_see_and_keeps_the_rest(room: Room) -> None:
    token = await login(room)
    async with room.open(token):
        await room.house.registry.merge(USER, USER.key("bob"), {"spec": {"roles": ["viewer"]}}, HOW)
        gone = time.monotonic()
        await room.until(lambda: len(room.ended) >= 3)
        assert max(room.ended.values()) - gone <= WITHIN_SECONDS
        await anyio.sleep(LOOK_SECONDS * 1.5)
        assert set(room.ended) == {SECRETS, "/audit?watch=true", "exec"}
        assert '"code":403' in room.said[SECRETS]


async def test_a_stream_outlives_its_access_token_but_not_its_session(room: Room) -> None:
    """Access tokens are short; a watch that lasts for an hour is the session's matter."""
    token = await login(room)
    async with room.open(token, lines=[NAMESPACES], more=False):
        room.house.clock.forward(3600)
        room.house.guard.look()
        assert not room.ended and len(room.house.guard) == 1
        room.house.clock.forward(12 * 3600)
        await room.until(lambda: NAMESPACES in room.ended)


async def test_streams_of_a_worker_end_with_it(room: Room) -> None:
    for name in ("oak", "elm"):  # the last one of a cloud stays
        await room.house.add_worker(name)
    secret = room.house.accounts.client_secret("worker:oak", WORKER.key("oak"))
    for end in ("joined again", "deleted"):
        token = room.house.accounts.identity_token("worker:oak", secret, "api")
        room.begun.clear()
        room.ended.clear()
        async with room.open(token, lines=["/agents/leases?watch=true"], more=False):
            if end == "deleted":
                await room.house.registry.delete(WORKER, WORKER.key("oak"), HOW)
            else:
                secret = await room.house.accounts.clients.replaced("worker:oak", by="test")
            gone = time.monotonic()
            await room.until(lambda: bool(room.ended))
        assert max(room.ended.values()) - gone <= WITHIN_SECONDS, end


async def test_streams_of_a_service_account_end_with_it_and_with_its_binding(room: Room) -> None:
    registry = room.house.registry
    binding = {
        "metadata": {"name": "robot"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}],
    }
    token = (await room.house.robot())["authorization"].removeprefix("Bearer ")
    path = "/api/v1/configmaps?watch=true"
    for end in ("binding", "account"):
        await registry.create(CLUSTER_ROLE_BINDING, "", binding, HOW)
        room.begun.clear()
        room.ended.clear()
        async with room.open(token, lines=[path], more=False):
            if end == "binding":
                await registry.delete(CLUSTER_ROLE_BINDING, CLUSTER_ROLE_BINDING.key("robot"), HOW)
            else:
                await registry.delete(SERVICE_ACCOUNT, SERVICE_ACCOUNT.key("robot"), HOW)
            gone = time.monotonic()
            await room.until(lambda: bool(room.ended))
        assert max(room.ended.values()) - gone <= WITHIN_SECONDS, end


async def test_a_certificate_of_a_user_is_worth_what_the_user_is(tmp_path: Path) -> None:
    """Those signed for people: their groups are the present ones, and they end with the user."""
    house = await make_house(tmp_path)
    await house.add_user("bob", "viewer")
    peer = ((("commonName", "bob"),), (("organizationName", "aerekos:admin"),))
    scope: dict[str, Any] = {"headers": [], "extensions": {"aerekos.peer": peer}}
    try:
        assert house.authenticator.authenticate(scope).groups == {"aerekos:viewer", "system:authenticated"}
        for way in (_disabled, _deleted):
            await way(Room(Served(house, 0, None)), "")  # type: ignore[arg-type]
            with pytest.raises(Exception, match="no longer exists or is disabled"):
                house.authenticator.authenticate(scope)
    finally:
        await house.close()
