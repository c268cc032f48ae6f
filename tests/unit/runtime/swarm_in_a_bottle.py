"""A Swarm that obeys at once, in virtual time: services, tasks and nodes as Docker tells them; calls are counted."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.abc

from controller.docker.client import NotFound, VersionConflict
from controller.kit.clock import LoopClock
from controller.runtime.driver import DriverError, RuntimeEvent
from controller.runtime.swarm import SwarmDriver

NODES = ("node-1", "node-2", "node-3")


class Api:
    """What the driver uses of the docker SDK's APIClient. A copy runs where the fewest are, once it is wanted."""

    def __init__(self, clock: LoopClock) -> None:
        self._clock, self._numbers = clock, itertools.count(1)
        self.by_id: dict[str, dict[str, Any]] = {}
        self.running: list[dict[str, Any]] = []
        self.told: list[Mapping[str, Any]] = []

    def nodes(self) -> list[dict[str, Any]]:
        described = {"Status": {"State": "ready"}, "Spec": {"Availability": "active"}}
        return [{"ID": name, "Description": {"Hostname": name}, **described} for name in NODES]

    def services(self, filters: dict[str, Any]) -> list[dict[str, Any]]:
        return [dict(each) for each in self.by_id.values() if _carries(each["Spec"]["Labels"], filters)]

    def tasks(self, filters: dict[str, Any]) -> list[dict[str, Any]]:
        return [each for each in self.running if _carries(each["Spec"]["ContainerSpec"]["Labels"], filters)]

    def create_service(self, **spec: Any) -> dict[str, str]:
        id_ = f"s{next(self._numbers)}"
        self.by_id[id_] = {"ID": id_, "Version": {"Index": next(self._numbers)}, "Spec": _spec(spec)}
        self._settle(id_, "create")
        return {"ID": id_}

    def inspect_service(self, name: str) -> dict[str, Any]:
        for each in self.by_id.values():
            if name in (each["ID"], each["Spec"]["Name"]):
                return dict(each)
        raise NotFound(name, reason="NotFound")

    def update_service(self, id_: str, version: int, **spec: Any) -> None:
        if self.by_id[id_]["Version"]["Index"] != version:
            raise VersionConflict("update out of sequence", reason="OutOfDate")
        self.by_id[id_] = {"ID": id_, "Version": {"Index": next(self._numbers)}, "Spec": _spec(spec)}
        self._settle(id_, "update")

    def remove_service(self, id_: str) -> None:
        self.told.append(_event(self.by_id.pop(id_), "remove"))
        self.running = [each for each in self.running if each["ServiceID"] != id_]

    def networks(self, **_: Any) -> list[dict[str, Any]]:
        return []

    def create_network(self, name: str, **_: Any) -> dict[str, str]:
        return {"Id": f"id of {name}"}

    def remove_network(self, _: str) -> None:
        """There is nothing to remove."""

    def secrets(self, _: Any = None) -> list[dict[str, Any]]:
        return []

    configs = remove_secret = remove_config = secrets

    def inspect_swarm(self) -> dict[str, Any]:
        return {"Spec": {"Dispatcher": {"HeartbeatPeriod": 1}}}

    def _settle(self, id_: str, action: str) -> None:
        service = self.by_id[id_]
        template, wanted = service["Spec"]["TaskTemplate"], service["Spec"]["Mode"]["Replicated"]["Replicas"]
        here = [each for each in self.running if each["ServiceID"] == id_ and each["Spec"] == template][:wanted]
        others = [each for each in self.running if each["ServiceID"] != id_]
        while len(here) < wanted:
            load = Counter(each["NodeID"] for each in [*here, *others])
            here.append(self._task(id_, template, len(here) + 1, min(NODES, key=lambda node: load[node])))
        self.running = [*others, *here]
        self.told.append(_event(service, action))

    def _task(self, id_: str, template: Any, slot: int, node: str) -> dict[str, Any]:
        at = f"{self._clock.now().isoformat().removesuffix('+00:00')}Z"
        state = {"DesiredState": "running", "Status": {"State": "running", "Timestamp": at}, "CreatedAt": at}
        return {
            "ID": f"t{next(self._numbers)}",
            "ServiceID": id_,
            "Slot": slot,
            "NodeID": node,
            "Spec": template,
            **state,
        }


class Bottle:
    """Stands for `Docker`. `away`: it does not answer."""

    def __init__(self, clock: LoopClock) -> None:
        self.api, self.calls, self.away = Api(clock), Counter[str](), False
        self.url = "bottle"

    async def ask(self, work: Callable[[Any], Any], *, extra_seconds: float = 0.0) -> Any:
        await anyio.sleep(0.001)
        if self.away:
            raise DriverError("Docker cannot be reached", reason="RuntimeUnreachable")
        return work(_Counted(self.api, self.calls))

    async def follow(self, filters: Mapping[str, Any], told: Callable[[Mapping[str, Any]], None]) -> None:
        while not self.away:
            while self.api.told:
                told(self.api.told.pop(0))
            await anyio.sleep(0.02)


class _Counted:
    def __init__(self, api: Api, calls: Counter[str]) -> None:
        self._api, self._calls = api, calls

    def __getattr__(self, name: str) -> Any:
        self._calls[name] += 1
        return getattr(self._api, name)


class House:
    """A driver that runs in a bottle, and what it told."""

    def __init__(self, clock: LoopClock, stack: str = "") -> None:
        self.clock, self.docker, self.told = clock, Bottle(clock), list[RuntimeEvent]()
        self.driver = SwarmDriver(self.docker, clock, stack=stack)  # type: ignore[arg-type]
        self.driver.on_event(self.told.append)

    @property
    def reasons(self) -> list[str]:
        return [news.reason for news in self.told]


@asynccontextmanager
async def bottled(stack: str = "") -> AsyncIterator[House]:
    house = House(LoopClock(), stack)
    async with anyio.create_task_group() as group:
        await group.start(house.driver.run)
        yield house
        group.cancel_scope.cancel()


def _carries(labels: Mapping[str, str], filters: Mapping[str, Any]) -> bool:
    return all(labels.get(name) == value for name, _, value in (each.partition("=") for each in filters["label"]))


def _event(service: Mapping[str, Any], action: str) -> dict[str, Any]:
    return {"Type": "service", "Action": action, "Actor": {"Attributes": {"name": service["Spec"]["Name"]}}}


def _spec(given: Mapping[str, Any]) -> dict[str, Any]:
    """As Docker names what the SDK's arguments say."""
    return {"".join(word.title() for word in name.split("_")): value for name, value in given.items()}
