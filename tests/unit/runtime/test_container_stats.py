"""What containers use, from the numbers a real daemon gave; asking one is proven in tests/swarm/test_agent.py."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from controller.docker.container_stats import ContainerStats
from controller.kit.clock import LoopClock
from controller.kit.virtual import VirtualLoop
from controller.runtime.driver import DriverError

pytestmark = pytest.mark.anyio
NODE = "9zjlyahz255hv3rhhfsg1yeyh"


@pytest.fixture
def anyio_backend() -> Any:
    return ("asyncio", {"loop_factory": VirtualLoop})


def container(id_: str, name: str, place: str, namespace: str = "default", **labels: str) -> dict[str, Any]:
    own = {"aerekos.cloud/cloud": "aerekos", "aerekos.cloud/namespace": namespace, "aerekos.cloud/name": name}
    task = {"com.docker.swarm.task.name": f"aerekos_{namespace}_{name}.{place}.1m5l1o4qe8bb1h3p1jyz0gk2b"}
    return {"Id": id_, "Labels": {**own, **task, **labels}}


class Docker:
    """Answers as the engine does: one for each container, cgroup v1 or v2."""

    def __init__(self, *containers: dict[str, Any]) -> None:
        self.containers = list(containers)
        self.cpu = dict.fromkeys((each["Id"] for each in containers), 0.0)
        self.gone: set[str] = set()
        self.memory: dict[str, Any] = {"usage": 3_000_000, "stats": {"total_inactive_file": 1_000_000}}

    async def ask(self, work: Any, *, extra_seconds: float = 0.0) -> Any:
        outer = self

        class Api:
            def info(self) -> Any:
                return {"Name": "Oak.example.org"}

            def containers(self, filters: Any) -> Any:
                assert filters == {"label": ["aerekos.cloud/cloud"]}
                return outer.containers

            def stats(self, id_: str, *, stream: bool, one_shot: bool) -> Any:
                assert (stream, one_shot) == (False, True)
                if id_ in outer.gone:
                    raise DriverError("no such container")
                spent = round(outer.cpu[id_] * 1e9)
                return {"cpu_stats": {"cpu_usage": {"total_usage": spent}}, "memory_stats": outer.memory}

        return work(Api())


async def test_cpu_is_what_was_spent_between_two_questions() -> None:
    docker = Docker(container("c1", "web", "2"), container("c2", "db", "1", "shop"))
    meter = ContainerStats(docker, LoopClock())  # type: ignore[arg-type]
    assert await meter.measure() == {
        "web-2": {"cpu": 0.0, "memory": 2_000_000},
        "shop.db-1": {"cpu": 0.0, "memory": 2_000_000},
    }
    docker.cpu["c1"] += 5
    await anyio.sleep(10)
    assert {name: each["cpu"] for name, each in (await meter.measure()).items()} == {"web-2": 0.5, "shop.db-1": 0.0}
    await anyio.sleep(10)
    assert (await meter.measure())["web-2"]["cpu"] == 0.0


async def test_one_on_every_machine_is_called_by_its_machine() -> None:
    meter = ContainerStats(Docker(container("c1", "logs", NODE)), LoopClock())  # type: ignore[arg-type]
    assert list(await meter.measure()) == ["logs-oak"]


async def test_two_that_overlap_in_an_update_are_one_instance() -> None:
    docker = Docker(container("old", "web", "1"), container("new", "web", "1"))
    meter = ContainerStats(docker, LoopClock())  # type: ignore[arg-type]
    await meter.measure()
    docker.cpu |= {"old": 1.0, "new": 2.0}
    await anyio.sleep(10)
    assert await meter.measure() == {"web-1": {"cpu": 0.3, "memory": 4_000_000}}


async def test_what_goes_meanwhile_is_left_out_and_comes_back_without_a_past() -> None:
    docker = Docker(container("c1", "web", "1"))
    meter = ContainerStats(docker, LoopClock())  # type: ignore[arg-type]
    docker.gone.add("c1")
    assert await meter.measure() == {}
    docker.gone.clear()
    docker.cpu["c1"] = 1000.0
    await anyio.sleep(10)
    assert (await meter.measure())["web-1"]["cpu"] == 0.0


async def test_files_in_memory_that_can_be_dropped_do_not_count() -> None:
    docker = Docker(container("c1", "web", "1"))
    docker.memory = {"usage": 5_000_000, "stats": {"inactive_file": 4_000_000}}  # cgroup v2
    assert (await ContainerStats(docker, LoopClock()).measure())["web-1"]["memory"] == 1_000_000  # type: ignore[arg-type]
    docker.memory = {}  # a container that has just ended answers without numbers
    assert await ContainerStats(docker, LoopClock()).measure() == {}  # type: ignore[arg-type]


async def test_strangers_and_plain_containers_are_not_measured() -> None:
    plain = container("c1", "web", "1", **{"com.docker.swarm.task.name": ""})
    foreign = {"Id": "c2", "Labels": {"aerekos.cloud/cloud": "other"}}
    assert await ContainerStats(Docker(plain, foreign), LoopClock()).measure() == {}  # type: ignore[arg-type]
