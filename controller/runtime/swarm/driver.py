"""The `swarm` driver: observe, apply, forget for services that are Swarm services.

Swarm keeps the copies running; this driver keeps the Swarm services what they should be. It answers from what it saw
last. What somebody changed, scaled or removed by hand is put back. Ending it leaves everything running, to be adopted
by the next conductor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import anyio
import anyio.abc

from controller.kit.clock import Clock
from controller.runtime.driver import DriverError, ObservedInstance, RuntimeEvent, Workload
from controller.runtime.swarm import naming
from controller.runtime.swarm.docker_door import Docker, NotThere
from controller.runtime.swarm.keeping import Keeper
from controller.runtime.swarm.logs import read_logs
from controller.runtime.swarm.looking import Look, look
from controller.runtime.swarm.stack import stands, sweep
from controller.runtime.swarm.telling import Teller
from controller.runtime.swarm.watching import SOON_SECONDS, Watch, keep_heartbeat
from crds.meta import ObjectKey

# A daemon that restarts is back within that; until then, what was seen last is the best answer.
LOST_AFTER_SECONDS = 10.0
# What has not changed for so long is looked at less often.
STILL_AFTER_SECONDS = 30.0


class SwarmDriver:
    """One per cloud; several clouds may share a Swarm under different names.

    `stack`: the Docker stack whose part everything made becomes; `control_network`: its network with the conductor.
    `encrypted`: see `Preparer`.
    """

    name = "swarm"

    def __init__(
        self,
        docker: Docker,
        clock: Clock,
        *,
        cloud: str = "aerekos",
        stack: str = "",
        control_network: str = "",
        encrypted: Callable[[], bool | None] = lambda: False,
    ) -> None:
        self._docker, self._clock = docker, clock
        self._cloud = naming.Cloud(cloud, stack, control_network)
        self._listeners: list[Callable[[RuntimeEvent], None]] = []
        self._watch = Watch(docker, self._named)
        self._keeper = Keeper(docker, self._cloud, clock, self._emit, self._watch.hint, encrypted)
        self._teller = Teller()
        self._seen: Look | None = None
        self._leaving: set[ObjectKey] = set()
        self._names: dict[str, ObjectKey] = {}
        self._stirred_at = clock.monotonic()
        self._silent_since: float | None = None
        self._lost: DriverError | None = None

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Watch until cancelled. A daemon that is away is asked again and again."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch.follow)
            group.start_soon(keep_heartbeat, self._docker)
            task_status.started()
            while True:
                within = await self._look(self._watch.take())
                moving = [*self._keeper.on_their_way(self._seen), *self._leaving] if self._seen else []
                still = self._clock.monotonic() - self._stirred_at > STILL_AFTER_SECONDS
                await self._watch.next(moving, still=still, within=within)

    async def observe(self, key: ObjectKey) -> Sequence[ObservedInstance]:
        """As last seen. Raises DriverError when Swarm could not be asked for a while."""
        return (await self._known_look()).instances(key)

    async def apply(self, workload: Workload) -> None:
        """Costs no call when nothing is to be done. Raises DriverError: NeedsImage, NameTaken, NoSuchWorker,
        RolledBack, NotASwarmManager, RuntimeUnreachable.
        """
        if not workload.image:
            message = (
                f"{workload.key.name} is a program, and a Swarm runs containers only: give it an image, or run it "
                "in a cloud with the process runtime (`aerekos up --runtime process`)"
            )
            raise DriverError(message, reason="NeedsImage", retryable=False)
        self._names[naming.swarm_name(self._cloud, workload.key)] = workload.key
        await self._keeper.want(workload, await self._known_look())

    async def adopt(self, name: str, key: ObjectKey) -> None:
        """Take over a Swarm service that somebody else made, before its Service is created. No task restarts.

        Raises DriverError: NotThere, NameTaken when it is ours already, or there is one of that key.
        """
        if key in (await look(self._docker, self._cloud, key)).services:
            raise DriverError(f"there is a Swarm service for {key} already", reason="NameTaken", retryable=False)
        await self._keeper.adopt(name, key)
        newer = await look(self._docker, self._cloud, key)
        self._seen = (await self._known_look()).updated(key, newer)
        self._names[name] = key

    def request_refresh(self, key: ObjectKey) -> None:
        """An agent saw something happen to one of its containers."""
        self._watch.hint(key)

    async def remove(self, key: ObjectKey) -> bool:
        """Remove it. True when no copy is left, also none that still stops."""
        self._keeper.drop(key)
        self._leaving.add(key)
        async with self._keeper.locks[key]:
            seen = (await self._known_look()).updated(key, await look(self._docker, self._cloud, key))
            if key in seen.services:
                await self._remove(seen.services[key]["ID"])
            if key in seen.services or seen.lives(key):
                self._watch.hint(key)
                return False
        await self._forgotten(key)
        return True

    async def list_workloads(self) -> Sequence[ObjectKey]:
        """Every workload with a Swarm service or a task that carries our label."""
        return (await look(self._docker, self._cloud)).keys

    def on_event(self, listener: Callable[[RuntimeEvent], None]) -> None:
        """All listeners hear all news, in order of subscription."""
        self._listeners.append(listener)

    async def logs(self, key: ObjectKey, instance: str | None, *, tail: int) -> Sequence[str]:
        """From the machines the copies run on; lines of a machine that is away are missing."""
        seen = await self._known_look()
        return await read_logs(self._docker, seen.service_name(key), key, seen, instance, tail)

    async def leave(self) -> None:
        """The conductor ends. Everything runs on, for the next one, unless its stack was removed meanwhile."""
        self._keeper.close()
        with suppress(DriverError):
            if not await stands(self._docker, self._cloud):
                await sweep(self._docker, self._cloud)

    async def _remove(self, id_: str) -> None:
        try:
            await self._docker.ask(lambda api: api.remove_service(id_))
        except NotThere:
            return

    async def _forgotten(self, key: ObjectKey) -> None:
        self._leaving.discard(key)
        self._names = {name: owner for name, owner in self._names.items() if owner != key}
        self._seen = self._seen.without(key) if self._seen else None
        left = self._seen.keys if self._seen else [key]
        neighbours = any(each.namespace == key.namespace for each in (*left, *self._keeper.wishes))
        await self._keeper.clean_up(key, last=not neighbours)

    async def _known_look(self) -> Look:
        """Raises DriverError when the daemon could not be asked for a while."""
        if self._lost is not None:
            raise self._lost
        if self._seen is None:
            self._seen = await look(self._docker, self._cloud)
        return self._seen

    def _named(self, swarm_name: str) -> ObjectKey | None:
        """The workload whose Swarm service has that name."""
        return self._names.get(swarm_name)

    async def _look(self, where: frozenset[ObjectKey] | None) -> float:
        """At the workloads named, or at all; puts right what is not as wished. Seconds until the next look at all."""
        began = self._clock.monotonic()
        try:
            now = await self._seen_now(where)
        except DriverError as lost:
            self._note_lost(lost)
            await anyio.sleep(SOON_SECONDS)
            self._watch.look_everywhere()
            return SOON_SECONDS
        self._seen = now
        self._note_found()
        for news in self._teller.news(now, self._clock.now()):
            self._stirred_at = self._clock.monotonic()
            self._emit(news)
        keys = list(self._keeper.wishes) if where is None else sorted(where)
        await self._keeper.put_right(keys, now, began=began, everything=where is None)
        return self._keeper.wants_work_in()

    async def _seen_now(self, where: frozenset[ObjectKey] | None) -> Look:
        if where is None or self._seen is None:
            now = await look(self._docker, self._cloud)
            self._names |= {now.service_name(key): key for key in now.services}
            return now
        for key in where:
            newer = await look(self._docker, self._cloud, key)
            self._seen = self._seen.updated(key, newer)
        self._names |= {self._seen.service_name(key): key for key in where if key in self._seen.services}
        return self._seen

    def _note_lost(self, lost: DriverError) -> None:
        """Told once per outage, to everything we keep."""
        now = self._clock.monotonic()
        self._silent_since = now if self._silent_since is None else self._silent_since
        if now - self._silent_since >= LOST_AFTER_SECONDS:
            if self._lost is None:
                self._emit_all("RuntimeUnreachable", str(lost), warning=True)
            self._lost = lost

    def _note_found(self) -> None:
        """Who was told that it is lost waits for this, with growing patience."""
        since, self._silent_since = self._silent_since, None
        if self._lost is not None and since is not None:
            self._lost = None
            seconds = self._clock.monotonic() - since
            self._emit_all("RuntimeReachable", f"Docker answers again, after {seconds:.0f} s")

    def _emit_all(self, reason: str, message: str, *, warning: bool = False) -> None:
        for key, workload in list(self._keeper.wishes.items()):
            self._emit(RuntimeEvent(key, workload.uid, reason, message, warning=warning))

    def _emit(self, news: RuntimeEvent) -> None:
        for listener in self._listeners:
            listener(news)
