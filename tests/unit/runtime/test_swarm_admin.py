"""Which nodes of a Swarm a worker's name means: those of earlier memberships go by it, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from controller.docker.client import NotFound
from controller.docker.swarm_admin import MISSED_SECONDS, SwarmAdmin
from controller.kit.virtual import VirtualLoop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return ("asyncio", {"loop_factory": VirtualLoop})


class Nodes:
    """A Docker that knows only nodes. `id: (host name, state)`."""

    def __init__(self, **nodes: tuple[str, str]) -> None:
        self.known = {
            id_: {
                "ID": id_,
                "Version": {"Index": 1},
                "Spec": {"Availability": "active"},
                "Description": {"Hostname": name},
                "Status": {"State": state},
            }
            for id_, (name, state) in nodes.items()
        }

    async def ask(self, work: Callable[[Any], Any], **_: float) -> Any:
        return work(self)

    def nodes(self) -> list[dict[str, Any]]:
        return list(self.known.values())

    def remove_node(self, id_: str, *, force: bool) -> None:
        assert force
        del self.known[id_]

    def update_node(self, id_: str, version: int, spec: dict[str, Any]) -> None:
        self.known[id_] = {**self.known[id_], "Spec": spec}


def managing_(docker: Nodes) -> SwarmAdmin:
    return SwarmAdmin(docker)  # type: ignore[arg-type]


async def test_the_one_that_is_there_is_drained_and_not_its_ghost() -> None:
    docker = Nodes(old=("oak.lan", "down"), new=("Oak.lan", "ready"))
    manager = managing_(docker)
    assert not await manager.is_down("oak")
    await manager.drain("oak")
    drained = {id_: node["Spec"]["Availability"] for id_, node in docker.known.items()}
    assert drained == {"old": "active", "new": "drain"}
    with pytest.raises(NotFound, match="birch"):
        await manager.drain("birch")


async def test_a_machine_is_dismissed_with_its_ghosts_and_nobody_else() -> None:
    docker = Nodes(old=("oak", "down"), new=("oak", "ready"), other=("birch", "down"))
    await managing_(docker).remove_node("oak")
    await managing_(docker).remove_node("nobody")
    assert set(docker.known) == {"other"}
    assert await managing_(docker).is_down("oak")


async def test_a_machine_that_has_just_left_is_waited_for_until_it_is_missed() -> None:
    docker = Nodes(old=("oak", "ready"))
    began = anyio.current_time()
    async with anyio.create_task_group() as group:
        group.start_soon(managing_(docker).remove_stale_node, "oak")
        await anyio.sleep(3.7)
        docker.known["old"]["Status"]["State"] = "down"
    assert not docker.known and anyio.current_time() - began < MISSED_SECONDS


async def test_a_machine_of_the_same_name_that_stays_is_another_machine() -> None:
    docker, began = Nodes(other=("oak", "ready")), anyio.current_time()
    await managing_(docker).remove_stale_node("oak")
    assert set(docker.known) == {"other"} and anyio.current_time() - began == pytest.approx(MISSED_SECONDS)
    began = anyio.current_time()
    await managing_(docker).remove_stale_node("birch")
    assert anyio.current_time() == began


async def test_only_nodes_that_are_there_are_known_by_an_address() -> None:
    docker = Nodes(old=("oak", "down"), new=("Oak.lan", "ready"), boss=("elm", "ready"))
    docker.known["old"]["Status"]["Addr"] = "10.0.0.9"
    docker.known["new"]["Status"]["Addr"] = "10.0.0.1"
    docker.known["boss"]["Status"]["Addr"] = "127.0.0.1"
    docker.known["boss"]["ManagerStatus"] = {"Addr": "10.0.0.2:2377"}
    manager = managing_(docker)
    assert await manager.addresses_of("oak") == {"10.0.0.1"}
    assert "10.0.0.2" in await manager.addresses_of("elm")
    assert await manager.addresses_of("stranger") == frozenset()


async def test_the_join_token_becomes_another_and_nothing_else_of_the_swarm() -> None:
    told: list[Any] = []

    class Swarm(Nodes):
        def inspect_swarm(self) -> dict[str, Any]:
            return {"Version": {"Index": 7}, "Spec": {"Dispatcher": {"HeartbeatPeriod": 1}}}

        def update_swarm(self, version: int, **how: Any) -> None:
            told.append((version, how))

    await managing_(Swarm()).rotate_join_token()
    assert told == [(7, {"swarm_spec": {"Dispatcher": {"HeartbeatPeriod": 1}}, "rotate_worker_token": True})]
