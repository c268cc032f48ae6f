"""The `swarm` driver: observe, apply, forget for services that are Swarm services.

Swarm keeps the copies running; this driver keeps the Swarm services what they should be. Docker's events make it look
at once, a look every half second makes it right: tasks tell nothing by themselves. What somebody changed, scaled or
removed by hand is put back. Ending it leaves everything running, to be adopted by the next conductor.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import anyio
import anyio.abc

from controller.kit.clock import Clock
from controller.runtime.driver import DriverError, InstanceSeen, News, Workload
from controller.runtime.swarm import naming
from controller.runtime.swarm.docker_door import Docker, NotThere, OutOfDate
from controller.runtime.swarm.drifting import differences
from controller.runtime.swarm.logs import read_logs
from controller.runtime.swarm.looking import Look, Teller, look
from controller.runtime.swarm.preparing import avoided, remove_network, remove_unused, surroundings
from controller.runtime.swarm.wishing import Surroundings, wish
from crds.meta import ObjectKey

LOOK_EVERY_SECONDS = 0.5
EVENTS_WINDOW_SECONDS = 5
TRIES = 3


class SwarmDriver:
    """One per cloud; several clouds may share a Swarm under different names."""

    name = "swarm"

    def __init__(
        self,
        docker: Docker,
        clock: Clock,
        *,
        cloud: str = "aerekos",
        stack: str = "",
        control_network: str = "",
        look_every_seconds: float = LOOK_EVERY_SECONDS,
    ) -> None:
        self._docker, self._clock, self._cloud = docker, clock, naming.Cloud(cloud, stack, control_network)
        self._look_every = look_every_seconds
        self._listeners: list[Callable[[News], None]] = []
        self._wishes: dict[ObjectKey, Workload] = {}
        self._locks: defaultdict[ObjectKey, anyio.Lock] = defaultdict(anyio.Lock)
        self._teller = Teller()
        self._around: dict[ObjectKey, Surroundings] = {}
        self._settled_at: dict[ObjectKey, float] = {}
        self._wake = anyio.Event()
        self._lost = False

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Watch until cancelled. A daemon that is away is asked again and again."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._follow_events)
            task_status.started()
            while True:
                await self._look_once()
                self._wake = anyio.Event()
                with anyio.move_on_after(self._look_every):
                    await self._wake.wait()

    async def observe(self, key: ObjectKey) -> Sequence[InstanceSeen]:
        """Asks Swarm at once. Raises DriverError when it cannot be asked."""
        return (await look(self._docker, self._cloud, key)).instances(key)

    async def apply(self, workload: Workload) -> None:
        """Raises DriverError: NeedsImage, NameTaken, NoSuchWorker, NotASwarmManager, RuntimeUnreachable."""
        if not workload.image:
            message = f"{workload.key.name} names no image: a Swarm runs containers only"
            raise DriverError(message, reason="NeedsImage", retryable=False)
        self._wishes[workload.key] = workload
        await self._settle(workload, await look(self._docker, self._cloud, workload.key))

    def hint(self, key: ObjectKey) -> None:
        """An agent saw something happen to one of its containers."""
        self._wake.set()

    async def forget(self, key: ObjectKey) -> bool:
        """Remove it. True when no copy is left, also none that still stops."""
        self._wishes.pop(key, None)
        self._settled_at.pop(key, None)
        async with self._locks[key]:
            seen = await look(self._docker, self._cloud, key)
            if key in seen.services:
                id_ = seen.services[key]["ID"]
                await self._docker.ask(lambda api: api.remove_service(id_))
                return False
            if seen.tasks.get(key):
                return False
        await remove_unused(self._docker, self._cloud, key)
        if not await self._neighbours(key):
            await remove_network(self._docker, self._cloud, key.namespace)
        return True

    async def known(self) -> Sequence[ObjectKey]:
        """Every workload with a Swarm service or a task that carries our label."""
        return (await look(self._docker, self._cloud)).keys

    def on_news(self, listener: Callable[[News], None]) -> None:
        """All listeners hear all news, in order of subscription."""
        self._listeners.append(listener)

    async def logs(self, key: ObjectKey, instance: str | None, *, tail: int) -> Sequence[str]:
        """From the machines the copies run on; lines of a machine that is away are missing."""
        return await read_logs(self._docker, naming.swarm_name(self._cloud, key), key, instance, tail)

    async def _neighbours(self, key: ObjectKey) -> bool:
        return any(each.namespace == key.namespace for each in await self.known())

    async def _settle(self, workload: Workload, seen: Look) -> list[str]:
        """Make or correct the Swarm service; what was corrected."""
        async with self._locks[workload.key]:
            for attempt in range(TRIES):
                around = await surroundings(self._docker, self._cloud, workload, seen)
                with suppress(OutOfDate) if attempt < TRIES - 1 else nullcontext():
                    changed = await self._make_or_correct(workload, around)
                    self._around[workload.key] = around
                    self._settled_at[workload.key] = self._clock.monotonic()
                    return changed
        return []

    async def _make_or_correct(self, workload: Workload, around: Surroundings) -> list[str]:
        wanted = wish(self._cloud, workload, around)
        there = await self._find(workload.key, wanted["Name"])
        if there is None:
            await self._docker.ask(lambda api: api.create_service(**_arguments(wanted)))
            return ["missing"]
        changed = differences(wanted, there["Spec"])
        if changed:
            wanted["TaskTemplate"]["ForceUpdate"] = there["Spec"]["TaskTemplate"].get("ForceUpdate", 0)
            id_, version = there["ID"], there["Version"]["Index"]
            await self._docker.ask(lambda api: api.update_service(id_, version, **_arguments(wanted)))
        keep = [each["SecretName"] for each in around.secrets] + [each["ConfigName"] for each in around.configs]
        if changed:
            await remove_unused(self._docker, self._cloud, workload.key, keep)
        return changed

    async def _find(self, key: ObjectKey, name: str) -> Mapping[str, Any] | None:
        try:
            there: Mapping[str, Any] = await self._docker.ask(lambda api: api.inspect_service(name))
        except NotThere:
            return None
        marks = there["Spec"].get("Labels") or {}
        if marks.get(naming.CLOUD) != self._cloud.name or naming.key_in(marks) != key:
            message = f"a Swarm service {name} exists that is not ours; remove it, or give {key.name} another name"
            raise DriverError(message, reason="NameTaken", retryable=False)
        return there

    async def _look_once(self) -> None:
        began = self._clock.monotonic()
        try:
            seen = await look(self._docker, self._cloud)
            for news in self._teller.news(seen, self._clock.monotonic()):
                self._tell(news)
        except DriverError as lost:
            self._note_lost(lost)
            return
        self._lost = False
        for key, workload in list(self._wishes.items()):
            # What cannot be corrected is the reconciler's to report: its own `apply` meets the same refusal.
            with suppress(DriverError):
                await self._correct(key, workload, seen, began)

    async def _correct(self, key: ObjectKey, workload: Workload, seen: Look, began: float) -> None:
        """Reality is compared with the last wish; only a difference costs a call."""
        if self._wishes.get(key) is not workload or self._settled_at.get(key, math.inf) >= began:
            return  # it was applied while we looked, or is about to be
        there = seen.services.get(key)
        if there is not None:
            wanted = wish(self._cloud, workload, replace(self._around[key], avoid=avoided(workload, seen)))
            if not differences(wanted, there["Spec"]):
                return
        self._tell_corrected(workload, await self._settle(workload, seen))

    def _tell_corrected(self, workload: Workload, corrected: Sequence[str]) -> None:
        # Where copies may run follows the workers, and the labels follow that: nobody did anything by hand.
        by_hand = [each for each in corrected if not each.startswith(("TaskTemplate.Placement", "Labels"))]
        if by_hand:
            what = "removed by hand" if by_hand == ["missing"] else f"changed by hand ({', '.join(by_hand)})"
            message = f"its Swarm service was {what}; put back"
            self._tell(News(workload.key, workload.uid, "DriftCorrected", message, warning=True))

    async def _follow_events(self) -> None:
        """Each event wakes the look. The window ends by itself, so that no thread waits for ever."""
        since = int(self._clock.now().timestamp())
        while True:
            try:
                heard = await self._docker.ask(
                    partial(_first_event, since=since), extra_seconds=EVENTS_WINDOW_SECONDS
                )
            except DriverError:
                await anyio.sleep(1)
                continue
            if heard:
                since = heard
                self._wake.set()
                await anyio.sleep(0.05)  # events come in bursts

    def _note_lost(self, lost: DriverError) -> None:
        """Told once per outage, to everything we keep."""
        if not self._lost:
            for key, workload in self._wishes.items():
                self._tell(News(key, workload.uid, "RuntimeUnreachable", str(lost), warning=True))
        self._lost = True

    def _tell(self, news: News) -> None:
        for listener in self._listeners:
            listener(news)


def _arguments(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """As the docker SDK names them."""
    return {
        "task_template": wanted["TaskTemplate"],
        "name": wanted["Name"],
        "labels": wanted["Labels"],
        "mode": wanted["Mode"],
        "update_config": wanted["UpdateConfig"],
        "rollback_config": wanted["RollbackConfig"],
        "endpoint_spec": wanted["EndpointSpec"],
    }


def _first_event(api: Any, since: int) -> int:
    """The second after it happened; 0 when the window passed without any."""
    wanted = {"type": ["service", "node", "container", "network"]}
    stream = api.events(since=since, until=since + EVENTS_WINDOW_SECONDS, filters=wanted, decode=True)
    try:
        for event in stream:
            return int(event["time"]) + 1
    finally:
        stream.close()
    return 0
