"""`POST /agents/overlay` becomes the condition OverlayReachable, and an Event when the answer changes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from unit.api.components import ADMIN, HOW, House

from api.agents.overlay import overlay_routes
from api.auth.principal import AUTHENTICATED, WORKERS, Principal
from api.rest import rest_app
from crds.kinds.worker import WORKER, Worker
from crds.meta import Condition, condition

pytestmark = pytest.mark.anyio
OAK = Principal("system:worker:oak", frozenset({WORKERS, AUTHENTICATED}))


class Told(list[tuple[str, str, str, bool]]):
    def tell(self, about: Worker, reason: str, message: str, *, warning: bool = False) -> None:
        self.append((about.metadata.name, reason, message, warning))


async def add(house: House, name: str, **conditions: str) -> None:
    await house.registry.create(WORKER, "", {"metadata": {"name": name}}, HOW)
    listed = [{"type": each, "status": status, "reason": "X"} for each, status in conditions.items()]
    patch = {"status": {"conditions": listed}}
    await house.registry.merge(WORKER, WORKER.key(name), patch, HOW, subresource="status")


def peers(**ok: bool) -> dict[str, Any]:
    return {
        "peers": {name: {"ok": each, "milliseconds": 0.5, "error": "" if each else "no"} for name, each in ok.items()}
    }


class Asking:
    """Posts as a worker to routes with an ear for Events."""

    def __init__(self, house: House) -> None:
        self.house, self.told = house, Told()
        self.app = rest_app([overlay_routes(house.registry, house.authenticator, house.clock, self.told.tell)])

    async def post(self, body: Any, who: Principal = OAK) -> httpx.Response:
        headers = self.house.bearer(who)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="https://x") as client:
            return await client.post("/agents/overlay", json=body, headers=headers)

    def worker(self, name: str = "oak") -> Worker:
        return WORKER.parse(self.house.registry.get(WORKER, WORKER.key(name)).body)

    def found(self) -> Condition:
        found = condition(self.worker().status.conditions, "OverlayReachable")
        assert found is not None
        return found


@pytest.fixture
async def asking(house: House) -> Asking:
    await add(house, "oak", Ready="True")
    return Asking(house)


async def test_all_that_answer_are_reached(asking: Asking) -> None:
    assert (await asking.post(peers(oak=True, elm=True, ash=True))).status_code == 204
    assert (asking.found().status, asking.found().message) == ("True", "2 other machines answer")
    assert not asking.told, "that all is well from the beginning is no news"
    await asking.post(peers(oak=True))
    assert asking.found().message == "there is no other machine yet"


async def test_who_is_not_reached_is_named_and_told_once(asking: Asking) -> None:
    for _ in range(3):
        await asking.post(peers(oak=True, elm=False, ash=True))
    expected = "oak does not reach through the overlay network: elm (no)"
    assert (asking.found().status, asking.found().reason, asking.found().message) == (
        "False",
        "PeersUnreachable",
        expected,
    )
    assert asking.told == [("oak", "PeersUnreachable", expected, True)]
    await asking.post(peers(oak=True, elm=True, ash=True))
    assert asking.told[1:] == [("oak", "PeersReachable", "2 other machines answer", False)]


async def test_the_same_again_writes_nothing(asking: Asking) -> None:
    await asking.post(peers(oak=True, elm=True))
    before = asking.house.store.revision
    for _ in range(5):
        await asking.post(peers(oak=True, elm=True))
    assert asking.house.store.revision == before


async def test_who_is_not_even_found_counts_as_lost(asking: Asking) -> None:
    """Only those that live and take part: elm has a prober; ash is away; yew is new; fir is being deleted."""
    await add(asking.house, "elm", Ready="True", OverlayReachable="True")
    await add(asking.house, "ash", Ready="False", OverlayReachable="True")
    await add(asking.house, "yew", Ready="True")
    await asking.house.registry.create(WORKER, "", {"metadata": {"name": "fir", "finalizers": ["x/y"]}}, HOW)
    listed = [{"type": each, "status": "True", "reason": "X"} for each in ("Ready", "OverlayReachable")]
    patch = {"status": {"conditions": listed}}
    await asking.house.registry.merge(WORKER, WORKER.key("fir"), patch, HOW, subresource="status")
    await asking.house.registry.delete(WORKER, WORKER.key("fir"), HOW)
    await asking.post(peers(oak=True))
    assert asking.found().message == "oak does not reach through the overlay network: elm (not found by name)"


async def test_an_answer_about_nobody_is_no_good_news(asking: Asking) -> None:
    await asking.post({"peers": {}})
    assert (asking.found().status, asking.found().reason) == ("False", "NameResolutionFailed")


async def test_a_crowd_is_counted(asking: Asking) -> None:
    await asking.post(peers(oak=True, **{f"w{number:03}": False for number in range(50)}))
    assert asking.found().message.endswith("w009 (no) and 40 more")


async def test_other_conditions_stay(asking: Asking) -> None:
    await asking.post(peers(oak=True, elm=True))
    ready = condition(asking.worker().status.conditions, "Ready")
    assert ready is not None and ready.status == "True"


async def test_only_a_worker_tells_and_only_of_itself(asking: Asking) -> None:
    assert (await asking.post(peers(oak=True), ADMIN)).status_code == 403
    await asking.house.registry.delete(WORKER, WORKER.key("oak"), HOW)
    assert (await asking.post(peers(oak=True))).status_code == 401
    assert asking.house.store.get(WORKER.key("oak")) is None


@pytest.mark.parametrize(
    "body", [{}, {"peers": []}, {"peers": {"elm": {"ok": "maybe"}}}, {"peers": {"a": {"ok": True, "x": 1}}}]
)
async def test_what_makes_no_sense_is_invalid(asking: Asking, body: Any) -> None:
    assert (await asking.post(body)).status_code == 422
