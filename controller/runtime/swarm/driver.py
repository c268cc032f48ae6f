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

from controller.docker.client import DockerClient, NotFound
from controller.kit.clock import Clock
from controller.runtime.driver import DriverError, LogEntries, LogMark, ObservedInstance, RuntimeEvent, Workload
from controller.runtime.swarm import naming
from controller.runtime.swarm.event_diff import EventDiffer
from controller.runtime.swarm.log_following import SwarmLogFollower
from controller.runtime.swarm.logs import read_logs
from controller.runtime.swarm.refresh import SOON_SECONDS, RefreshScheduler, keep_heartbeat
from controller.runtime.swarm.service_controller import SwarmServiceController
from controller.runtime.swarm.snapshot import SwarmSnapshot, take_snapshot
from controller.runtime.swarm.stack import remove_leftovers, stack_exists
from crds.conditions import Reason
from crds.event_reasons import EventReason
from crds.meta import ObjectKey

# A daemon that restarts is back within that; until then, what was seen last is the best answer.
LOST_AFTER_SECONDS = 10.0
# What has not changed for so long is looked at less often.
STILL_AFTER_SECONDS = 30.0


class SwarmDriver:
    """One per cloud; several clouds may share a Swarm under different names.

    `stack`: the Docker stack whose part everything made becomes; `control_network`: its network with the conductor.
    `encrypted`: see `DependencyProvisioner`.
    """

    name = "swarm"

    def __init__(
        self,
        docker: DockerClient,
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
        self._refresh = RefreshScheduler(docker, self._key_of)
        self._controller = SwarmServiceController(
            docker, self._cloud, clock, self._emit, self._refresh.request, encrypted
        )
        self._differ, self._follower = EventDiffer(), SwarmLogFollower(docker, clock)
        self._snapshot: SwarmSnapshot | None = None
        self._leaving: set[ObjectKey] = set()
        self._names: dict[str, ObjectKey] = {}
        self._last_event_at = clock.monotonic()
        self._silent_since: float | None = None
        self._lost: DriverError | None = None

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Watch until cancelled. A daemon that is away is asked again and again."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._refresh.follow_events)
            group.start_soon(keep_heartbeat, self._docker)
            task_status.started()
            while True:
                within = await self._pass(self._refresh.take())
                moving = [*self._controller.in_transition(self._snapshot), *self._leaving] if self._snapshot else []
                still = self._clock.monotonic() - self._last_event_at > STILL_AFTER_SECONDS
                await self._refresh.wait(moving, still=still, within=within)

    async def observe(self, key: ObjectKey) -> Sequence[ObservedInstance]:
        """Instances as last seen. Raises DriverError when Swarm could not be asked for a while."""
        return (await self._current_snapshot()).instances(key)

    async def apply(self, workload: Workload) -> None:
        """Costs no call when nothing is to be done. Raises DriverError: NeedsImage, NameConflict, WorkerNotFound,
        RolledBack, NotASwarmManager, RuntimeUnreachable.
        """
        if not workload.image:
            message = (
                f"{workload.key.name} is a program, and a Swarm runs containers only: give it an image, or run it "
                "in a cloud with the process runtime (`aerekos up --runtime process`)"
            )
            raise DriverError(message, reason=Reason.NEEDS_IMAGE, retryable=False)
        self._names[naming.swarm_name(self._cloud, workload.key)] = workload.key
        await self._controller.apply(workload, await self._current_snapshot())

    async def adopt(self, name: str, key: ObjectKey) -> None:
        """Take over a Swarm service that somebody else made, before its Service is created. No task restarts.

        Raises DriverError: NotFound, NameConflict when it is ours already, or there is one of that key.
        """
        if key in (await take_snapshot(self._docker, self._cloud, key)).services:
            raise DriverError(
                f"there is a Swarm service for {key} already", reason=Reason.NAME_CONFLICT, retryable=False
            )
        await self._controller.adopt(name, key)
        newer = await take_snapshot(self._docker, self._cloud, key)
        self._snapshot = (await self._current_snapshot()).updated(key, newer)
        self._names[name] = key

    def request_refresh(self, key: ObjectKey) -> None:
        """An agent saw something happen to one of its containers."""
        self._refresh.request(key)

    async def remove(self, key: ObjectKey) -> bool:
        """Remove it. True when no copy is left, also none that still stops."""
        self._controller.drop(key)
        self._leaving.add(key)
        async with self._controller.locks[key]:
            seen = (await self._current_snapshot()).updated(key, await take_snapshot(self._docker, self._cloud, key))
            if key in seen.services:
                await self._remove(seen.services[key]["ID"])
            if key in seen.services or seen.has_live_tasks(key):
                self._refresh.request(key)
                return False
        await self._clean_up(key)
        return True

    async def list_workloads(self) -> Sequence[ObjectKey]:
        """Every workload with a Swarm service or a task that carries our label."""
        return (await take_snapshot(self._docker, self._cloud)).keys

    def on_event(self, listener: Callable[[RuntimeEvent], None]) -> None:
        """Every listener gets every event, in order of subscription."""
        self._listeners.append(listener)

    async def logs(self, key: ObjectKey, instance: str | None, *, tail: int) -> Sequence[str]:
        """Log lines from the machines the copies run on; those of a machine that is away are missing."""
        seen = await self._current_snapshot()
        return await read_logs(self._docker, seen.service_name(key), key, seen, instance, tail)

    async def log_marks(self) -> Sequence[LogMark]:
        """A Swarm does not say who wrote something: the marks are empty."""
        seen = await self._current_snapshot()
        return [LogMark(key, each.name, "") for key in seen.keys for each in seen.instances(key)]

    async def log_entries(self, key: ObjectKey, instance: str, position: str) -> LogEntries:
        """From the machines the copies run on; times are Docker's. Raises ValueError."""
        seen = await self._current_snapshot()
        return await self._follower.entries_after(seen.service_name(key), key, seen, instance, position)

    async def leave(self) -> None:
        """The conductor ends. Everything runs on, for the next one, unless its stack was removed meanwhile."""
        self._controller.close()
        with suppress(DriverError):
            if not await stack_exists(self._docker, self._cloud):
                await remove_leftovers(self._docker, self._cloud)

    async def _remove(self, id_: str) -> None:
        try:
            await self._docker.ask(lambda api: api.remove_service(id_))
        except NotFound:
            return

    async def _clean_up(self, key: ObjectKey) -> None:
        self._leaving.discard(key)
        self._names = {name: owner for name, owner in self._names.items() if owner != key}
        self._snapshot = self._snapshot.without(key) if self._snapshot else None
        left = self._snapshot.keys if self._snapshot else [key]
        neighbours = any(each.namespace == key.namespace for each in (*left, *self._controller.desired))
        await self._controller.clean_up(key, last=not neighbours)

    async def _current_snapshot(self) -> SwarmSnapshot:
        """Raises DriverError when the daemon could not be asked for a while."""
        if self._lost is not None:
            raise self._lost
        if self._snapshot is None:
            self._snapshot = await take_snapshot(self._docker, self._cloud)
        return self._snapshot

    def _key_of(self, swarm_name: str) -> ObjectKey | None:
        """Key of the workload whose Swarm service has that name."""
        return self._names.get(swarm_name)

    async def _pass(self, where: frozenset[ObjectKey] | None) -> float:
        """Refresh these workloads, or all, and correct drift. Seconds until all need the next pass."""
        began = self._clock.monotonic()
        try:
            now = await self._take_snapshot(where)
        except DriverError as lost:
            self._note_lost(lost)
            await anyio.sleep(SOON_SECONDS)
            self._refresh.request_all()
            return SOON_SECONDS
        self._snapshot = now
        self._note_found()
        for event in self._differ.events(now, self._clock.now()):
            self._last_event_at = self._clock.monotonic()
            self._emit(event)
        keys = list(self._controller.desired) if where is None else sorted(where)
        await self._controller.correct_drift(keys, now, began=began, everything=where is None)
        return self._controller.seconds_until_rebalance()

    async def _take_snapshot(self, where: frozenset[ObjectKey] | None) -> SwarmSnapshot:
        if where is None or self._snapshot is None:
            now = await take_snapshot(self._docker, self._cloud)
            self._names |= {now.service_name(key): key for key in now.services}
            return now
        for key in where:
            newer = await take_snapshot(self._docker, self._cloud, key)
            self._snapshot = self._snapshot.updated(key, newer)
        self._names |= {self._snapshot.service_name(key): key for key in where if key in self._snapshot.services}
        return self._snapshot

    def _note_lost(self, lost: DriverError) -> None:
        """Told once per outage, to everything we keep."""
        now = self._clock.monotonic()
        self._silent_since = now if self._silent_since is None else self._silent_since
        if now - self._silent_since >= LOST_AFTER_SECONDS:
            if self._lost is None:
                self._emit_all(EventReason.RUNTIME_UNREACHABLE, str(lost), warning=True)
            self._lost = lost

    def _note_found(self) -> None:
        """Reconcilers that back off on RuntimeUnreachable are woken by this event."""
        since, self._silent_since = self._silent_since, None
        if self._lost is not None and since is not None:
            self._lost = None
            seconds = self._clock.monotonic() - since
            self._emit_all(EventReason.RUNTIME_REACHABLE, f"Docker answers again, after {seconds:.0f} s")

    def _emit_all(self, reason: EventReason, message: str, *, warning: bool = False) -> None:
        for key, workload in list(self._controller.desired.items()):
            self._emit(RuntimeEvent(key, workload.uid, reason, message, warning=warning))

    def _emit(self, event: RuntimeEvent) -> None:
        for listener in self._listeners:
            listener(event)
