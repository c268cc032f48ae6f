"""Usage of this machine by our containers, as its Docker daemon counts it.

One question per container: an engine before 23 takes a second for an answer, whoever asks, so all are asked at once
and seldom. Use a `Docker` of its own for it: its threads are busy as long.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from controller.docker.client import DockerClient
from controller.kit.clock import Clock
from controller.runtime.driver import DriverError
from controller.runtime.swarm import naming

TASK = "com.docker.swarm.task.name"
_NANOSECONDS = 1e9


@dataclass(frozen=True, slots=True)
class CpuSample:
    """One container at one moment: CPU seconds since its start, memory in bytes."""

    cpu: float
    memory: int
    at: float


class ContainerStats:
    """Remembers the last answers: CPU in cores is what was spent between two."""

    def __init__(self, docker: DockerClient, clock: Clock) -> None:
        self._docker, self._clock = docker, clock
        self._last: dict[str, CpuSample] = {}

    async def measure(self) -> dict[str, dict[str, float]]:
        """Instance → `{cpu: cores since the last call, memory: bytes}`. Raises DriverError.

        A container that goes meanwhile is left out; one seen for the first time has spent nothing yet.
        """
        asked = {"label": [naming.CLOUD]}
        found = await self._docker.ask(lambda api: (api.info()["Name"], api.containers(filters=asked)))
        copies = dict(_copies(*found))
        before, self._last = self._last, await self._samples(copies)
        used: defaultdict[str, dict[str, float]] = defaultdict(lambda: {"cpu": 0.0, "memory": 0})
        for container, sample in self._last.items():
            # While a new copy starts before the old one stops, both are the instance.
            one = used[copies[container]]
            one["cpu"] = round(one["cpu"] + _cores(before.get(container, sample), sample), 3)
            one["memory"] += sample.memory
        return dict(used)

    async def _samples(self, copies: Mapping[str, str]) -> dict[str, CpuSample]:
        found: dict[str, CpuSample] = {}

        async def ask(container: str) -> None:
            try:
                told = await self._docker.ask(lambda api: api.stats(container, stream=False, one_shot=True))
                found[container] = CpuSample(*_counted(told), at=self._clock.monotonic())
            except (DriverError, KeyError):
                return  # it has just ended

        async with anyio.create_task_group() as tasks:
            for container in copies:
                tasks.start_soon(ask, container)
        return found


def _copies(hostname: str, containers: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Container → instance, as controller.runtime.swarm.tasks names them."""
    for each in containers:
        key = naming.key_in(each["Labels"])
        # `<service>.<slot>.<task>`, or the machine's id in place of the slot where one runs on every machine.
        place = each["Labels"].get(TASK, "").split(".")
        if key is not None and len(place) == 3:
            slot = place[1] if place[1].isdigit() else hostname.split(".")[0].lower()
            yield str(each["Id"]), naming.instance_name(key, slot)


def _counted(told: Mapping[str, Any]) -> tuple[float, int]:
    """CPU seconds; memory as `docker stats` shows it: without files that can be dropped at any time."""
    memory = told["memory_stats"]
    stats = memory.get("stats", {})
    droppable = stats.get("total_inactive_file", stats.get("inactive_file", 0))
    return told["cpu_stats"]["cpu_usage"]["total_usage"] / _NANOSECONDS, max(memory["usage"] - droppable, 0)


def _cores(before: CpuSample, now: CpuSample) -> float:
    seconds = now.at - before.at
    return max(now.cpu - before.cpu, 0.0) / seconds if seconds > 0 else 0.0
