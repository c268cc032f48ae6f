"""The agent's way to the API: which addresses it knows, and in which order it asks."""

from __future__ import annotations

import httpx
import pytest

from agent.conductor_client import ConductorClient
from agent.errors import Unreachable
from controller.kit.clock import LoopClock

pytestmark = pytest.mark.anyio


class Network:
    """Hosts that are up, and who was asked."""

    def __init__(self, *up: str) -> None:
        self.up, self.asked = set(up), [""]
        self.asked.clear()

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.host)
        if request.url.host not in self.up:
            raise httpx.ConnectError("down")
        return httpx.Response(200, json={})

    def door(self, *urls: str) -> ConductorClient:
        return ConductorClient(
            urls, LoopClock(), lambda _: httpx.AsyncClient(transport=httpx.MockTransport(self.answer))
        )


async def test_managers_that_were_learnt_are_asked_after_those_that_were_given() -> None:
    network = Network("m2")
    door = network.door("https://given/")
    door.update_endpoints(["https://m1", "https://m2/", "https://m1"])
    await door.post("/x", {}, ca="")
    assert network.asked == ["given", "m1", "m2"]
    await door.post("/x", {}, ca="")
    assert network.asked[3:] == ["m2"], "the one that answered is asked first"


async def test_a_manager_that_is_none_any_more_is_forgotten_but_never_what_was_given() -> None:
    network = Network("m2")
    door = network.door("https://given")
    door.update_endpoints(["https://m1", "https://m2"])
    await door.post("/x", {}, ca="")
    door.update_endpoints(["https://m2", "https://m3"])
    assert door.urls == ("https://m2", "https://given", "https://m3")


async def test_no_news_leaves_what_was_known() -> None:
    door = Network().door()
    door.update_endpoints(["https://m1"])
    door.update_endpoints([])
    assert door.urls == ("https://m1",)


async def test_without_any_address_it_says_what_to_give() -> None:
    with pytest.raises(Unreachable, match="--api https://<conductor>:7443"):
        await Network().door().post("/x", {}, ca="")


async def test_one_that_is_dropped_while_it_is_asked_comes_not_back() -> None:
    network = Network("m1")
    door = network.door()
    door.update_endpoints(["https://m1"])
    network.answer, real = lambda request: (door.update_endpoints(["https://m2"]), real(request))[1], network.answer  # type: ignore[method-assign]
    await door.post("/x", {}, ca="")
    assert door.urls == ("https://m2",)
