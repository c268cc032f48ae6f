"""Lines of a Swarm's copies, read on from the time of the last one: Docker is asked by whole seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from controller.docker.client import DockerClient
from controller.runtime.swarm.logs import TASK, entries_after
from controller.runtime.swarm.snapshot import SwarmSnapshot
from crds.kinds.service import SERVICE

KEY = SERVICE.key("web", "shop")
AT = "2026-01-02T03:04:05.{:09d}Z"


class Docker:
    """One service with two copies, and what they wrote."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.lines = [(1, "t0", "one"), (2, "t1", "of the other"), (3, "t0", "two")]

    async def ask(self, work: Callable[[Any], Any], *, extra_seconds: float = 0.0) -> Any:
        return work(self)

    def service_logs(self, service: str, **options: Any) -> list[bytes]:
        self.asked.append(options)
        return [f"{AT.format(at)} {TASK}{task} {text}\n".encode() for at, task, text in self.lines]

    def tasks(self, _: Any) -> list[Any]:
        return [{"ID": f"t{n}", "Slot": n} for n in range(2)]


async def read(docker: Docker, instance: str, position: str) -> Any:
    return await entries_after(cast(DockerClient, docker), "web", KEY, SwarmSnapshot(), instance, position)


@pytest.mark.anyio
async def test_each_line_of_a_copy_comes_once() -> None:
    docker = Docker()
    name = "shop.web-0"
    first = await read(docker, name, "")
    assert [text for _, text in first.entries] == ["one", "two"]
    assert first.entries[0][0] == 1_767_323_045_000_000_001
    assert "since" not in docker.asked[-1]
    assert (await read(docker, name, first.position)).entries == []
    assert docker.asked[-1]["since"] == 1_767_323_045
    docker.lines.append((9, "t0", "three"))
    later = await read(docker, name, first.position)
    assert [text for _, text in later.entries] == ["three"] and not later.lost
    with pytest.raises(ValueError):
        await read(docker, name, "no time")
