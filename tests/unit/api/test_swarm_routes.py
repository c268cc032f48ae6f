"""What agents in a Swarm tell, and who may look at Swarm services: the conditions and hints that come of it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from unit.api.components import ADMIN, HOW, House

from api.agents.container_events import news_routes
from api.agents.overlay import overlay_routes
from api.auth.principal import AUTHENTICATED, WORKERS, Principal
from api.rest import rest_app
from api.swarm_services import swarm_routes
from controller.docker.client import NotFound
from controller.runtime.driver import DriverError
from crds.kinds.service import SERVICE
from crds.kinds.worker import WORKER
from crds.meta import ObjectKey

pytestmark = pytest.mark.anyio
OAK = Principal("system:worker:oak", frozenset({WORKERS, AUTHENTICATED}))
VIEWER = Principal("vera", frozenset({"aerekos:viewer", AUTHENTICATED}))


class Swarm:
    def __init__(self) -> None:
        self.adopted: list[tuple[str, ObjectKey]] = []

    async def service(self, name: str) -> dict[str, Any]:
        if name != "web":
            raise NotFound(name, reason="NotFound")
        container = {"ContainerSpec": {"Image": "nginx:1"}}
        return {"ID": "s1", "Spec": {"TaskTemplate": container, "Mode": {"Replicated": {"Replicas": 1}}}}

    async def adopt(self, name: str, key: ObjectKey) -> None:
        if self.adopted:
            raise DriverError("taken", reason="NameConflict", retryable=False)
        self.adopted.append((name, key))


class Room:
    """The routes of a Swarm, and what became of asking them."""

    def __init__(self, house: House) -> None:
        self.house, self.swarm, self.hinted = house, Swarm(), list[ObjectKey]()
        routers = [
            news_routes(house.authenticator, self.hinted.append),
            overlay_routes(house.registry, house.authenticator, house.clock),
            swarm_routes(self.swarm, self.swarm, house.authenticator, house.authorizer),  # type: ignore[arg-type]
        ]
        self.transport = httpx.ASGITransport(rest_app(routers))

    async def ask(self, who: Principal | None, method: str, path: str, body: Any = None) -> httpx.Response:
        if who is not None and who.name == "vera":
            await self.house.add_user("vera", "viewer")
        headers = self.house.bearer(who) if who else {}
        async with httpx.AsyncClient(transport=self.transport, base_url="https://x", headers=headers) as client:
            return await client.request(method, path, json=body)

    def conditions(self) -> dict[str, tuple[str, str]]:
        status = self.house.registry.get(WORKER, WORKER.key("oak")).object["status"]
        return {each["type"]: (each["status"], each["message"]) for each in status["conditions"]}


@pytest.fixture
async def room(house: House) -> Room:
    await house.registry.create(WORKER, "", {"metadata": {"name": "oak"}}, HOW)
    return Room(house)


async def test_news_make_the_conductor_look(room: Room) -> None:
    body = {"services": [{"name": "web"}, {"namespace": "payments", "name": "db"}]}
    assert (await room.ask(OAK, "POST", "/agents/container-events", body)).status_code == 204
    assert room.hinted == [SERVICE.key("web", "default"), SERVICE.key("db", "payments")]


async def test_only_workers_have_news_and_names_must_be_names(room: Room) -> None:
    path = "/agents/container-events"
    assert (await room.ask(None, "POST", path, {"services": []})).status_code == 401
    assert (await room.ask(ADMIN, "POST", path, {"services": []})).status_code == 403
    assert (await room.ask(OAK, "POST", path, {"services": [{"name": "No Name"}]})).status_code == 422
    assert room.hinted == []


async def test_whom_a_worker_reaches_becomes_its_condition(room: Room) -> None:
    seen = {"elm": {"ok": False, "error": "timed out"}, "oak": {"ok": True}, "fir": {"ok": True, "milliseconds": 1.5}}
    assert (await room.ask(OAK, "POST", "/agents/overlay", {"peers": seen})).status_code == 204
    status, message = room.conditions()["OverlayReachable"]
    assert status == "False" and "elm" in message and "fir" not in message
    seen["elm"]["ok"] = True
    await room.ask(OAK, "POST", "/agents/overlay", {"peers": seen})
    assert room.conditions()["OverlayReachable"][0] == "True"


async def test_a_worker_that_was_deleted_is_told_so(room: Room) -> None:
    lost = Principal("system:worker:lost", OAK.groups)
    assert (await room.ask(lost, "POST", "/agents/overlay", {"peers": {}})).status_code == 401


async def test_only_admins_see_and_import_swarm_services(room: Room) -> None:
    assert (await room.ask(VIEWER, "GET", "/swarm/services/web")).status_code == 403
    shown = await room.ask(ADMIN, "GET", "/swarm/services/web?to=site")
    assert shown.json()["metadata"]["name"] == "site" and shown.json()["spec"]["image"] == "nginx:1"
    assert (await room.ask(ADMIN, "GET", "/swarm/services/nobody")).status_code == 404
    adoption = "/swarm/services/web/adoption?to=site&namespace=shop"
    assert (await room.ask(OAK, "POST", adoption)).status_code == 403
    assert (await room.ask(ADMIN, "POST", adoption)).status_code == 204
    assert room.swarm.adopted == [("web", SERVICE.key("site", "shop"))]
    assert (await room.ask(ADMIN, "POST", adoption)).status_code == 409
